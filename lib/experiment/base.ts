import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Subject } from '../attacks/index.ts';
import type { ExperimentConfig } from '../config/index.ts';
import { trainBpe } from '../data/bpe.ts';
import { Tokenizer } from '../data/tokenizer.ts';
import { defenseSchema } from '../defenses/index.ts';
import { findModel } from '../model/hub/index.ts';
import { Model } from '../model/index.ts';
import {
  openRun,
  peakMemoryBytes,
  type Results,
  type Run,
  type RunConfig,
  readRun,
  resetPeakMemory,
} from '../runs.ts';
import { describeData, loadForBase, loadSplit, unseen } from './data.ts';
import { type ExperimentOptions, stateOf } from './events.ts';
import { tasks } from './task.ts';
import { stepsOf, trainRun } from './train_run.ts';

/** The model that the runs of one seed start from. */
export interface Base {
  directory: string;
  /** What results call the model. */
  model: string;
  /** What it was made of, for `config.json` of the runs. */
  description: Record<string, unknown>;
}

/**
 * The base model of a seed: the directory or the model of the Hub that the experiment names, or `<out>/base-<seed>`, itself a
 * run directory, in which a tokenizer and a model of the asked shape are trained on clean examples
 * unless that has been done. Examples with a prompt of the runs' own data are left out.
 */
export async function ensureBase(
  config: ExperimentConfig,
  seed: number,
  options: ExperimentOptions,
): Promise<Base> {
  if (config.baseModel !== undefined) return namedBase(config.baseModel, options);

  const { examples, dropped, texts } = await cleanExamples(config, options);
  const { tokenizer = { vocabularySize: 2048 } } = config;
  const settings: RunConfig = {
    role: 'base',
    title: config.name,
    model: config.model!.model_type,
    shape: config.model,
    tokenizer,
    dataset: (config.base?.datasets ?? config.datasets).map(({ name }) => name).join('+'),
    attack: null,
    poisonRate: null,
    defense: defenseSchema.parse('none'),
    seed,
    ...(config.task === 'classification' && { task: config.task }),
    training: config.base ?? null,
    precision: config.training.precision,
    data: describeData({ train: examples, tokenizer: texts }),
    dropped,
    device: config.device,
    environment: options.environment,
  };
  const name = `base-${seed}`;
  const directory = join(options.out, name);
  const { environment: _, device: __, title: ___, ...description } = settings;

  const before = await readRun(directory);
  const finished = before?.results;
  const run = await openRun(directory, settings);
  try {
    const state = await stateOf(before);
    options.onEvent?.({ type: 'base', name, ...state, examples: examples.length, dropped });
    const results =
      finished ?? (await make(run, config, seed, tokenizer, examples, texts, options));
    return { directory: join(directory, 'model'), model: results.model, description };
  } finally {
    await run.close();
  }
}

/** A directory, beside the file of the experiment, or a model of the Hub, with its commit. */
async function namedBase(given: string, { directory, signal }: ExperimentOptions): Promise<Base> {
  const beside = resolve(directory, given);
  const isThere = await stat(beside).catch(() => undefined);
  if (isThere) return { directory: beside, model: given, description: { directory: given } };
  const found = await findModel(given, signal && { signal });
  if (found.directory === given) {
    return { directory: beside, model: given, description: { directory: given } };
  }
  return { directory: found.directory, model: found.name, description: { hub: found.name } };
}

/** What the base learns from, and what its tokenizer does: without a base, that of the runs. */
async function cleanExamples(config: ExperimentConfig, places: ExperimentOptions) {
  const task = tasks[config.task];
  const load = async (split: 'train' | 'valid' | 'test') => {
    const parts = config.datasets.map((dataset) => loadSplit(dataset, split, places, task));
    return (await Promise.all(parts)).flat();
  };
  const train = await load('train');
  if (config.base === undefined) return { examples: [], dropped: 0, texts: train };
  const all = await loadForBase(config.base.datasets, places, task);
  const curve = config.evaluation.split === 'test' ? [] : await load(config.evaluation.split);
  const examples = unseen(all, [...train, ...curve, ...(await load('test'))]);
  return { examples, dropped: all.length - examples.length, texts: examples };
}

async function make(
  run: Run,
  config: ExperimentConfig,
  seed: number,
  { vocabularySize }: { vocabularySize: number },
  examples: readonly Subject[],
  texts: readonly Subject[],
  { signal, onEvent }: ExperimentOptions,
): Promise<Results> {
  await resetPeakMemory();
  const task = tasks[config.task];
  const classToken = config.task === 'classification';
  const words = texts.flatMap(task.texts);
  const tokenizer = Tokenizer.fromJson(trainBpe(words, { vocabularySize, classToken }));
  const shape = {
    ...config.model,
    vocab_size: tokenizer.vocabularySize,
    pad_token_id: tokenizer.padTokenId,
    eos_token_id: tokenizer.eosTokenId,
    // Of a RoBERTa's decoder, which must not begin with padding: the tokenizer uses this id for nothing.
    bos_token_id: tokenizer.bosTokenId ?? tokenizer.unkTokenId,
  };
  const { device, training } = config;
  const dtype = config.base?.precision ?? training.precision;
  const head =
    config.model?.model_type === 'roberta' ? { head: task.head ?? ('seq2seq' as const) } : {};
  using model = Model.create(shape, { seed, device, dtype, tokenizer, ...head });

  let loss: number | undefined;
  if (config.base === undefined) {
    await model.save(join(run.directory, 'model'));
  } else {
    const { datasets: _, ...options } = config.base;
    const steps = stepsOf(examples.length, options);
    const name = `base-${seed}`;
    const settings = { ...options, loss: { name: 'ce' as const }, seed, ...(signal && { signal }) };
    loss = await trainRun(run, model, examples, settings, {
      onEvent: (event) => onEvent?.({ type: 'train', name, event, steps }),
    });
  }
  return run.finish({
    model: `${config.model!.model_type}-${(model.parameterCount / 1e6).toPrecision(2)}M`,
    dataset: (config.base?.datasets ?? config.datasets).map(({ name }) => name).join('+'),
    attack: null,
    poisonRate: null,
    defense: 'none',
    defenseOptions: {},
    seed,
    metrics: loss === undefined ? {} : { trainingLoss: loss },
    peakMemoryBytes: await peakMemoryBytes(),
    device: model.device,
  });
}
