import { check, checkKeys, checkObject } from '../check.ts';
import { type Adapter, adapterOf } from '../model/adapter.ts';
import { type BlockOptions, blockKeys, blockPlan, namesOf } from '../model/blocks.ts';
import type { Dtype, LoraOptions, Model } from '../model/index.ts';
import { defaultLogitsBytes, type LossConfig, nativeLoss } from '../model/loss.ts';
import { type Packing, packings } from '../model/texts.ts';
import { checkBlockOptions, type Optimizer, optimizers } from '../model/trainer.ts';
import type { TrainingExample } from './encode.ts';

export interface TrainOptions extends BlockOptions {
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
  /**
   * `badam` is AdamW on one block of layers at a time, for models whose gradients and moments memory
   * does not hold; see BlockOptions. Its switchBlockEvery is by default what its authors advise: the
   * steps of an epoch over the number of blocks, but 50 to 100. Default `adamw`.
   */
  optimizer?: Optimizer;
  /**
   * An adapter of low rank, given to the model before the first step and all that changes then; see
   * LoraOptions. It is the model's when training is done: saveAdapter or mergeAdapter comes next.
   */
  lora?: LoraOptions;
  /** Batches that make one step. Default 1. */
  accumulate?: number;
  /** Batches of examples of like length, which need less padding, in an order by seed and epoch. false. */
  bucketByLength?: boolean;
  /** The dtype that the model has to have. */
  precision?: Dtype;
  /** Most bytes that logits may take; beyond them loss and last product go some rows at a time. Default 2²⁸. */
  logitsBytes?: number;
  /** Run blocks again on the way back instead of keeping their inside: less memory, more time. false. */
  checkpointActivations?: boolean;
  /** Longer prompts lose their end, but not the end token. Default 256. */
  maxInputTokens?: number;
  /** Longer completions likewise. Default 256. */
  maxOutputTokens?: number;
  /**
   * `reference` packs prompt and completion as the authors' code does: of a decoder-only model joined as one
   * text, padded to the longest length, and of a T5 with the padding attended to. Default `paper`.
   */
  packing?: Packing;
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
  optimizer: Optimizer;
  /** Of BAdam: what was given. */
  blocks: BlockOptions;
  lora: Adapter | null;
  accumulate: number;
  bucketByLength: boolean;
  precision: Dtype;
  logitsBytes: number;
  maxInputTokens: number;
  maxOutputTokens: number;
  packing: Packing;
}

/** @throws RangeError or TypeError that names the option that is unknown, missing or out of range */
export function settingsOf(model: Model, options: TrainOptions): Settings {
  checkObject('model', model, 'one that Model.load or Model.create gives');
  checkKeys('train', options, [...required, ...Object.keys(defaults), ...blockKeys, ...others]);
  const { validation, evaluateEvery, out, checkpointEvery, resume = false, ...rest } = options;
  const { checkpointActivations = false, signal: _, ...own } = rest;
  const given = Object.entries(own).filter(([, value]) => value !== undefined);
  const isBlock = ([key]: [string, unknown]) => (blockKeys as readonly string[]).includes(key);
  const { lora } = options;
  const settings: Settings = Object.assign(
    { ...defaults, precision: model.dtype },
    Object.fromEntries(given.filter((entry) => !isBlock(entry))) as unknown as Settings,
    {
      blocks: inOrder(options, blockKeys),
      lora: lora ? adapterOf(model.config, lora) : null,
    },
  );
  checkSettings(settings, model.dtype);
  checkBlocks(model, settings);
  checkAdapter(model, settings);
  const isFlag = typeof checkpointActivations === 'boolean';
  check('checkpointActivations', checkpointActivations, isFlag, 'true or false');
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
  lora: null,
  accumulate: 1,
  bucketByLength: false,
  precision: undefined,
  logitsBytes: defaultLogitsBytes,
  maxInputTokens: 256,
  maxOutputTokens: 256,
  packing: 'paper',
};
const required = ['epochs', 'batchSize', 'learningRate', 'loss', 'seed'];
const others = [
  'checkpointActivations',
  'validation',
  'evaluateEvery',
  'out',
  'checkpointEvery',
  'resume',
  'signal',
];

function checkSettings(settings: Settings, dtype: Dtype): void {
  const { learningRate, loss, seed, schedule, warmup, weightDecay, clip } = settings;
  const { optimizer, bucketByLength, precision, packing } = settings;
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
  check('optimizer', optimizer, optimizers.includes(optimizer), optimizers.join(' or '));
  check('bucketByLength', bucketByLength, typeof bucketByLength === 'boolean', 'true or false');
  check('packing', packing, packings.includes(packing), packings.join(' or '));
  check('precision', precision, precision === dtype, `${dtype}, the dtype of the model`);
  nativeLoss(loss, 1);
  const canBeKept = loss.name !== 'custom';
  check('loss.name', loss.name, canBeKept, 'one that a checkpoint can keep; Trainer.step takes it');
}

function checkBlocks(model: Model, { optimizer, blocks, seed }: Settings): void {
  checkBlockOptions(blocks, optimizer);
  if (optimizer === 'badam') blockPlan(namesOf(model), blocks, seed);
}

/** What is given of some options, in the order of `keys`: two checkpoints are compared as texts. */
function inOrder(options: TrainOptions, keys: typeof blockKeys): BlockOptions {
  const given = keys.filter((key) => options[key] !== undefined);
  return Object.fromEntries(given.map((key) => [key, options[key]]));
}

function checkAdapter({ adapter }: Model, { lora, optimizer }: Settings): void {
  if (lora === null) return;
  const { rank, alpha } = lora;
  const given = `of rank ${rank} and alpha ${alpha}`;
  const refuse = (why: string) => new RangeError(`lora is ${given}: expected none, as ${why}`);
  if (adapter !== undefined) throw refuse('the model has an adapter');
  if (optimizer !== 'adamw') throw refuse(`the optimizer is ${optimizer}`);
}

/** The options of BAdam for so many examples, complete but for what the blocks themselves decide. */
export function blockOptions(model: Model, examples: number, settings: Settings): BlockOptions {
  const { optimizer, blocks, batchSize, accumulate, seed } = settings;
  if (optimizer !== 'badam') return {};
  const count = blockPlan(namesOf(model), blocks, seed).blocks.length;
  const advised = Math.floor(examples / (batchSize * accumulate * count));
  return { switchBlockEvery: Math.min(100, Math.max(50, advised)), ...blocks };
}

function count(name: string, value: number, least = 1): void {
  check(name, value, isWhole(value) && value >= least, `a whole number, at least ${least}`);
}

const isWhole = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
