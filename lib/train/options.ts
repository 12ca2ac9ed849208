import { check, checkKeys } from '../check.ts';
import type { Dtype, Model } from '../model/index.ts';
import { defaultLogitsBytes, type LossConfig, nativeLoss } from '../model/loss.ts';
import type { TrainingExample } from './encode.ts';

export interface TrainOptions {
  /** Passes over the examples. */
  epochs: number;
  /** Examples in a batch; the last batch of an epoch may have fewer. */
  batchSize: number;
  /** The highest of the schedule. */
  learningRate: number;
  loss: LossConfig;
  /** Of the order of the examples and of dropout: a whole number below 2³². */
  seed: number;
  /** After the warm-up the learning rate falls to 0 in a straight line, or stays. Default `linear`. */
  schedule?: 'linear' | 'constant';
  /**
   * Steps over which the learning rate rises from 0, or below 1 their share of all steps. Default
   * 0.1. `reference` is what the authors' code makes of it: 0.1 · ⌊steps of an epoch / epochs⌋.
   */
  warmup?: number | 'reference';
  /** Default 0.01, on every parameter. */
  weightDecay?: number;
  /** Highest norm of the gradient. Default: none. */
  clip?: number;
  optimizer?: 'adamw';
  /** Batches that make one step. Default 1. */
  accumulate?: number;
  /** The dtype that the model has to have. */
  precision?: Dtype;
  /** Most bytes that logits may take; beyond them loss and last product go some rows at a time. Default 2²⁸. */
  logitsBytes?: number;
  /** Longer prompts lose their end, but not the end token. Default 256. */
  maxInputTokens?: number;
  /** Longer completions likewise. Default 256. */
  maxOutputTokens?: number;
  /** Examples whose cross-entropy is measured, without dropout. */
  validation?: readonly TrainingExample[];
  /** Steps from one measurement to the next. Default: after each epoch. */
  evaluateEvery?: number;
  /** A directory; checkpoints/ in it gets the last checkpoint. */
  out?: string;
  /** Steps from one checkpoint to the next, besides the one after each epoch. */
  checkpointEvery?: number;
  /** Go on from the checkpoint in `out`, where there is one. */
  resume?: boolean;
  signal?: AbortSignal;
}

/** What decides which weights come out, complete; it is kept in the checkpoint. */
export interface Settings {
  epochs: number;
  batchSize: number;
  learningRate: number;
  loss: LossConfig;
  seed: number;
  schedule: 'linear' | 'constant';
  warmup: number | 'reference';
  weightDecay: number;
  clip: number | null;
  optimizer: 'adamw';
  accumulate: number;
  precision: Dtype;
  logitsBytes: number;
  maxInputTokens: number;
  maxOutputTokens: number;
}

/** @throws RangeError or TypeError that names the option that is unknown, missing or out of range */
export function settingsOf(model: Model, options: TrainOptions): Settings {
  checkKeys('train', options, [...required, ...Object.keys(defaults), ...others]);
  const { validation, evaluateEvery, out, checkpointEvery, resume = false, ...rest } = options;
  const { signal: _, ...own } = rest;
  const given = Object.entries(own).filter(([, value]) => value !== undefined);
  const settings = {
    ...defaults,
    precision: model.dtype,
    ...Object.fromEntries(given),
  } as Settings;
  checkSettings(settings, model.dtype);
  count('evaluateEvery', evaluateEvery ?? 1);
  count('checkpointEvery', checkpointEvery ?? 1);
  const measured = validation !== undefined || evaluateEvery === undefined;
  check('validation', validation, measured, 'examples, as evaluateEvery is given');
  const kept = out !== undefined || checkpointEvery === undefined;
  check('out', out, kept, 'a directory, as checkpointEvery is given');
  check('resume', resume, typeof resume === 'boolean', 'true or false');
  check('out', out, out !== undefined || !resume, 'a directory, as resume is true');
  return settings;
}

const defaults = {
  schedule: 'linear',
  warmup: 0.1,
  weightDecay: 0.01,
  clip: null,
  optimizer: 'adamw',
  accumulate: 1,
  precision: undefined,
  logitsBytes: defaultLogitsBytes,
  maxInputTokens: 256,
  maxOutputTokens: 256,
};
const required = ['epochs', 'batchSize', 'learningRate', 'loss', 'seed'];
const others = ['validation', 'evaluateEvery', 'out', 'checkpointEvery', 'resume', 'signal'];

function checkSettings(settings: Settings, dtype: Dtype): void {
  const { learningRate, loss, seed, schedule, warmup, weightDecay, clip } = settings;
  const { optimizer, precision } = settings;
  for (const name of ['epochs', 'batchSize', 'accumulate', 'logitsBytes'] as const)
    count(name, settings[name]);
  // One token and the end.
  for (const name of ['maxInputTokens', 'maxOutputTokens'] as const) count(name, settings[name], 2);
  check('learningRate', learningRate, learningRate > 0 && learningRate < Infinity, 'above 0');
  check('seed', seed, isWhole(seed) && seed < 2 ** 32, 'a whole number below 2**32');
  check('schedule', schedule, ['linear', 'constant'].includes(schedule), 'linear or constant');
  const rises = warmup === 'reference' || isWhole(warmup) || (warmup > 0 && warmup < 1);
  check('warmup', warmup, rises, 'a number of steps, a share below 1, or reference');
  check('weightDecay', weightDecay, weightDecay >= 0 && weightDecay < Infinity, 'at least 0');
  check('clip', clip, clip === null || clip > 0, 'above 0');
  check('optimizer', optimizer, optimizer === 'adamw', 'adamw');
  check('precision', precision, precision === dtype, `${dtype}, the dtype of the model`);
  nativeLoss(loss, 1);
  const canBeKept = loss.name !== 'custom';
  check('loss.name', loss.name, canBeKept, 'one that a checkpoint can keep; Trainer.step takes it');
}

function count(name: string, value: number, least = 1): void {
  check(name, value, isWhole(value) && value >= least, `a whole number, at least ${least}`);
}

const isWhole = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
