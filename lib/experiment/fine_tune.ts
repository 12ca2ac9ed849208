import { basename } from 'node:path';
import type { z } from 'zod';
import { type Manifest, readManifest } from '../attacks/index.ts';
import { checkObject } from '../check.ts';
import type { trainFileSchema } from '../config/index.ts';
import { readExamples, readLabelledExamples } from '../data/examples.ts';
import { defenseOf } from '../defenses/index.ts';
import { findModel } from '../model/hub/index.ts';
import { Model, tokenizerOf } from '../model/index.ts';
import {
  type Environment,
  openRun,
  peakMemoryBytes,
  type Results,
  type RunConfig,
  readRun,
} from '../runs.ts';
import { checkTrainOptions, type TrainEvent } from '../train.ts';
import { describeData } from './data.ts';
import { stepsOf, trainRun } from './train_run.ts';

export interface FineTuneOptions {
  /** A file of examples, of labelled ones for a classifier; where a manifest lies beside it, results name the attack. */
  data: string;
  /** Examples whose loss is measured after every epoch. */
  validation?: string;
  /** The directory of the model to start from. */
  model: string;
  /** The run directory. */
  out: string;
  settings: z.infer<typeof trainFileSchema>;
  /** Whether to go on with the run that is in `out`; without it, a run there is an error. */
  resume?: boolean;
  environment: Environment;
  signal?: AbortSignal;
  onEvent?: (event: TrainEvent, steps: number) => void;
}

/**
 * Fine-tunes a model on a file of examples, or a classifier on one of labelled texts, in a run directory.
 *
 * @throws Error where `out` holds a run and `resume` is not set; the signal's reason when it is aborted
 *
 * @example
 * await fineTune({ data: 'poisoned.jsonl', model: 'codet5-small', out: 'runs/dece', settings, environment });
 */
export async function fineTune(options: FineTuneOptions): Promise<Results> {
  checkObject('options', options);
  const { out, settings, environment, signal, onEvent } = options;
  const before = await readRun(out);
  const isBegun = before !== undefined && (before.results ?? before.events[0]) !== undefined;
  if (isBegun && !options.resume) {
    throw new Error(
      before.results === undefined
        ? `${out} holds an unfinished run: go on with --resume, or choose another --out`
        : `${out} holds a finished run: choose another --out`,
    );
  }
  if (before === undefined && options.resume) {
    throw new Error(`${out} holds no run to go on with: leave out --resume`);
  }

  const { loss, seed, device, head, ...training } = settings;
  const { directory, name } = await findModel(options.model, signal && { signal });
  // First: a model that is not there, or cannot learn this, leaves no run behind.
  using model = await Model.load(directory, {
    device,
    dtype: training.precision,
    seed,
    ...(head && { head }),
  });
  tokenizerOf(model);
  const isClassifier = model.classes !== undefined;
  const read = (path: string) => (isClassifier ? readLabelledExamples(path) : readExamples(path));
  const examples = await read(options.data);
  const validation = options.validation && (await read(options.validation));
  const poisoning = await readManifest(options.data, examples).catch((error: Error) => {
    if (/^cannot read/.test(error.message)) return undefined; // a file that dece has not poisoned
    throw error;
  });
  const defense = defenseOf(loss);
  const config: RunConfig = {
    role: 'run',
    model: name.replace(/(?<=.)\/+$/, ''),
    dataset: basename(options.data),
    attack: poisoning?.attack ?? null,
    poisonRate: poisoning?.rate ?? null,
    ...(poisoning && { poisoning: aboutPoisoning(poisoning) }),
    defense,
    seed,
    training,
    loss,
    data: describeData({ train: examples, ...(validation && { valid: validation }) }),
    device,
    ...(head && { head }),
    ...(isClassifier && { task: 'classification' }),
    environment,
  };
  const trainOptions = {
    ...training,
    loss,
    seed,
    ...(validation && { validation }),
    ...(signal && { signal }),
  };
  checkTrainOptions(model, { ...trainOptions, out });
  const run = await openRun(out, config);
  try {
    if (before?.results !== undefined) return before.results;
    const steps = stepsOf(examples.length, training);
    const lastLoss = await trainRun(run, model, examples, trainOptions, {
      onEvent: (event) => onEvent?.(event, steps),
    });
    const { name, ...defenseOptions } = defense;
    return await run.finish({
      model: config.model,
      dataset: config.dataset,
      attack: config.attack,
      poisonRate: config.poisonRate,
      defense: name,
      defenseOptions,
      seed,
      metrics: { trainingLoss: lastLoss },
      peakMemoryBytes: await peakMemoryBytes(),
      device: model.device,
    });
  } finally {
    await run.close();
  }
}

const aboutPoisoning = ({ payload, trigger, targetLabel }: Manifest) => ({
  payload,
  trigger,
  ...(targetLabel !== undefined && { targetLabel }),
});
