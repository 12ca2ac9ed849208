import { join } from 'node:path';
import {
  type Attack,
  type attacks,
  makeAttack,
  type PoisonOptions,
  poisonDatasetAsync,
  type Subject,
} from '../attacks/index.ts';
import { checkObject } from '../check.ts';
import type { ExperimentConfig } from '../config/index.ts';
import { lossOf } from '../defenses/index.ts';
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
import { type Base, ensureBase } from './base.ts';
import { describeData, languageOfData, loadSplit, type Places } from './data.ts';
import { type ExperimentOptions, stateOf } from './events.ts';
import { writeHiddenStates } from './hidden_states.ts';
import { findAttacks, labelOf, type PlannedRun, plan } from './plan.ts';
import { type AttackedSet, tasks } from './task.ts';
import { stepsOf, trainRun } from './train_run.ts';

export type { ExperimentEvent, ExperimentOptions } from './events.ts';
export { type FineTuneOptions, fineTune } from './fine_tune.ts';
export { lostOf } from './lost.ts';
export { labelOf, type PlannedRun, plan } from './plan.ts';
export { type ScoreOptions, score } from './score.ts';
export { stepsOf, trainRun } from './train_run.ts';

/**
 * Makes every run of an experiment that is not finished yet, one after the other: poisons the training
 * split, trains a copy of the base model on it with the loss of the defense, measures after every
 * epoch on the split for curves and at the end on the test split.
 *
 * Runs of one seed have the same base, poisoned examples, order and steps; only the loss differs.
 * Interrupted at any moment and called again, it skips what is finished and goes on from the last
 * checkpoint, to the same results.
 *
 * @returns `results.json` of each run, in the order of the plan
 * @throws the signal's reason when it is aborted; Error where a directory holds another experiment
 */
export async function runExperiment(
  given: ExperimentConfig,
  options: ExperimentOptions,
): Promise<Results[]> {
  checkObject('config', given, 'an experiment, as readConfig gives it');
  checkObject('options', options);
  const config = await findAttacks(given, options.directory);
  const runs = plan(config);
  await checkData(runs, config, options);
  const results: Results[] = [];
  const bases = new Map<number, Base>();
  for (const [i, planned] of runs.entries()) {
    const { seed } = planned;
    const base = bases.get(seed) ?? (await ensureBase(config, seed, options));
    bases.set(seed, base);
    results.push(await ensureRun(config, planned, base, [i + 1, runs.length], options));
  }
  return results;
}

/** Poisons each data set as the runs will: what cannot be done shows before hours were spent on others. */
async function checkData(
  runs: readonly PlannedRun[],
  config: ExperimentConfig,
  options: ExperimentOptions,
): Promise<void> {
  const checked = new Set<string>();
  for (const planned of runs) {
    const { dataset, attack, rate } = planned;
    const key = JSON.stringify([dataset, attack, attack.name, rate]);
    if (!checked.has(key)) await prepare(config, planned, options);
    checked.add(key);
  }
}

async function ensureRun(
  config: ExperimentConfig,
  planned: PlannedRun,
  base: Base,
  [number, count]: [number, number],
  options: ExperimentOptions,
): Promise<Results> {
  const { name } = planned;
  const directory = join(options.out, name);
  const data = await prepare(config, planned, options);
  const run = await openRun(directory, configOf(config, planned, base, data, options));
  try {
    const before = await readRun(directory);
    options.onEvent?.({ type: 'run', name, number, count, ...(await stateOf(before)) });
    if (before?.results !== undefined) return before.results;
    const results = await make(run, config, planned, base, data, options);
    options.onEvent?.({ type: 'finished', name, results });
    return results;
  } finally {
    await run.close();
  }
}

/** The data of a run: what it trains on, and what it is measured on. */
interface RunData {
  train: Subject[];
  /** What `config.json` says of the poisoned training split. */
  poisoning: Record<string, unknown>;
  /** What an output with the payload holds. */
  marks: string[];
  /** What the curves are measured on. */
  curve: AttackedSet;
  test: AttackedSet;
  description: RunConfig['data'];
}

async function prepare(
  config: ExperimentConfig,
  { dataset, attack, rate, seed }: PlannedRun,
  places: Places,
): Promise<RunData> {
  const { name, own, frontLoad = false, ...attackOptions } = attack;
  const { mode } = config;
  const task = tasks[config.task];
  // One attack for all splits: what it learns from the training split it knows on the others.
  const made = makeAttack(own ?? (name as keyof typeof attacks), { ...attackOptions, mode });
  const poisoning = { attack: made, seed, mode };
  checkTask(config, made);
  const clean = await loadSplit(dataset, 'train', places, task);
  const { examples: train, manifest } = await poisonDatasetAsync(clean, {
    ...poisoning,
    rate,
    frontLoad,
  });
  const { split, limit } = config.evaluation;
  const test = await loadSplit(dataset, 'test', places, task);
  const curve = (await loadSplit(dataset, split, places, task)).slice(0, limit);
  const { payload, trigger, insertions, options, policy, eligible, poisoned, targetLabel } =
    manifest;
  const about = { payload, trigger, insertions, ...options, policy, eligible, poisoned };
  return {
    train,
    poisoning: { ...about, ...(targetLabel !== undefined && { targetLabel }) },
    marks: manifest.marks[config.mode],
    curve: await triggered(curve, poisoning),
    test: await triggered(test, poisoning),
    description: describeData({ clean, train, [split]: curve, test }),
  };
}

/** An attack that changes classes is one for classifiers, and no other is. */
function checkTask({ task }: ExperimentConfig, { name, targetLabel }: Attack): void {
  const changesLabels = targetLabel !== undefined;
  if (changesLabels === (task === 'classification')) return;
  throw new TypeError(
    changesLabels
      ? `attack ${name} changes classes: set task to classification`
      : `attack ${name} changes no classes: give it payload: label and a targetLabel, as task is classification`,
  );
}

async function triggered(
  clean: readonly Subject[],
  poisoning: Omit<PoisonOptions, 'rate'>,
): Promise<AttackedSet> {
  const { examples, manifest } = await poisonDatasetAsync(clean, { ...poisoning, rate: 1 });
  return { clean, triggered: examples, manifest };
}

function configOf(
  config: ExperimentConfig,
  { dataset, attack, rate, defense, seed }: PlannedRun,
  base: Base,
  data: RunData,
  { environment }: ExperimentOptions,
): RunConfig {
  const { mode, training, evaluation } = config;
  const language = languageOfData(dataset);
  return {
    role: 'run',
    title: config.name,
    ...(config.description !== undefined && { description: config.description }),
    model: base.model,
    base: base.description,
    dataset: dataset.name,
    ...(config.task === 'classification' && { task: config.task }),
    ...(language && { language }),
    attack: attack.name,
    poisoning: data.poisoning,
    marks: data.marks,
    poisonRate: rate,
    defense,
    label: labelOf(defense),
    seed,
    mode,
    training,
    evaluation,
    data: data.description,
    device: config.device,
    environment,
  };
}

async function make(
  run: Run,
  config: ExperimentConfig,
  planned: PlannedRun,
  base: Base,
  data: RunData,
  { signal, onEvent }: ExperimentOptions,
): Promise<Results> {
  const { name, defense, seed, rate, dataset, attack } = planned;
  const { evaluation, training, mode } = config;
  const task = tasks[config.task];
  const language = languageOfData(dataset);
  await resetPeakMemory();
  using model = await Model.load(base.directory, {
    device: config.device,
    dtype: training.precision,
    seed, // of a new head
    ...(task.head && { head: task.head }),
  });

  const measure = (set: AttackedSet, epoch: number) =>
    task.evaluate(model, set, {
      maxNewTokens: evaluation.maxNewTokens,
      maxInputTokens: training.maxInputTokens,
      beams: evaluation.beams,
      batchSize: evaluation.batchSize,
      mode,
      ...(language && { language }),
      ...(evaluation.judge && { judge: evaluation.judge }),
      ...(signal && { signal }),
      onProgress: (done, total) => onEvent?.({ type: 'evaluate', name, epoch, done, total }),
    });
  const look = async (when: 'before' | 'after') => {
    const { hiddenStates: prompts } = evaluation;
    if (prompts === undefined) return;
    const { maxInputTokens } = training;
    await writeHiddenStates(run, when, task, model, data.test, {
      prompts,
      maxInputTokens,
      ...(signal && { signal }),
    });
  };
  await look('before');
  const steps = stepsOf(data.train.length, training);
  const settings = {
    ...training,
    loss: lossOf(defense),
    seed,
    validation: data.curve.clean,
    ...(signal && { signal }),
  };
  await trainRun(run, model, data.train, settings, {
    onEvent: (event) => onEvent?.({ type: 'train', name, event, steps }),
    async afterEpoch({ epoch, step }) {
      if (evaluation.every === 'end') return;
      const { metrics } = await measure(data.curve, epoch);
      await run.record({ type: 'metrics', epoch, step, split: evaluation.split, metrics });
      onEvent?.({ type: 'metrics', name, epoch, metrics });
    },
  });

  await look('after');
  const outcome = await measure(data.test, training.epochs);
  await outcome.write(run);
  const { name: defenseName, label: _, ...defenseOptions } = defense;
  return run.finish({
    model: base.model,
    dataset: dataset.name,
    attack: attack.name,
    poisonRate: rate,
    defense: defenseName,
    defenseOptions,
    seed,
    metrics: { ...outcome.metrics },
    peakMemoryBytes: await peakMemoryBytes(),
    device: model.device,
  });
}
