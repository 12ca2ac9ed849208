import { basename, dirname, resolve } from 'node:path';
import { type Manifest, readManifest, type Subject } from '../attacks/index.ts';
import { check, checkObject } from '../check.ts';
import type { EvaluateOptions } from '../evaluate.ts';
import { findModel } from '../model/hub/index.ts';
import { Model } from '../model/index.ts';
import { hashWeights } from '../model/weight_files.ts';
import {
  type Environment,
  openRun,
  peakMemoryBytes,
  type Results,
  type Run,
  type RunConfig,
  readRun,
} from '../runs.ts';
import { describeData } from './data.ts';
import { type AttackedSet, tasks } from './task.ts';

export interface ScoreOptions extends EvaluateOptions {
  /** The directory of the model, or its name on the Hub. */
  model: string;
  /** Files of the same prompts, without and with triggers; a manifest lies beside the second. */
  clean: string;
  /** Without it nothing is told of an attack. */
  triggered?: string | undefined;
  /** The run directory for results and outputs. */
  out: string;
  device: string;
  environment: Environment;
  /** Told, in a sentence, where the triggered file is of another attack than the model's training data. */
  onWarning?: ((warning: string) => void) | undefined;
}

/**
 * Measures a model on files and writes `results.json` and `outputs/`. What a model that `dece` trained
 * was trained with is read from the run directory it lies in. A classifier reads files of labelled texts,
 * cut as in its training; of the options of evaluation it takes `batchSize` and `maxInputTokens`.
 *
 * @throws Error where the triggered file has no manifest, or the files do not belong together; RangeError
 *   on an option that a classifier has no use for
 */
export async function score(options: ScoreOptions): Promise<Results> {
  checkObject('options', options);
  const { model: given, out: _, device, environment: __, clean, triggered, ...search } = options;
  const { signal, onProgress, onWarning, ...asked } = search;
  const evaluation = triggered === undefined ? unattacked(asked) : asked;
  const { directory, name } = await findModel(given, signal && { signal });
  const trained = (await readRun(dirname(resolve(directory))))?.config;
  using model = await Model.load(directory, { device });
  const classifies = model.classes !== undefined;
  if (classifies) checkClassifier(search);
  const task = tasks[classifies ? 'classification' : 'generation'];
  const settings = classifies ? classifierSettings(options, trained) : evaluation;
  const set = await readSet(task.read, clean, triggered).catch((error: Error) => {
    throw ofModel(error, name, classifies);
  });
  const strange = set.manifest && otherAttack(trained, set.manifest);
  if (strange !== undefined) onWarning?.(`${triggered} has ${strange}`);
  const sameAttack = set.manifest !== undefined && strange === undefined;
  const poisonRate = sameAttack ? (trained?.poisonRate ?? null) : null;
  const about = { options, directory, name, model, trained, poisonRate };
  return await inRun(about, set, settings, async (run) => {
    const more = { ...settings, ...(signal && { signal }), ...(onProgress && { onProgress }) };
    const outcome = isAttacked(set)
      ? await task.evaluate(model, set, more)
      : await task.evaluateClean(model, set.clean, more);
    await outcome.write(run);
    return outcome.metrics;
  });
}

/** What to measure on: with an attack, or clean examples alone. */
type AnySet = AttackedSet | { clean: readonly Subject[]; triggered?: never; manifest?: never };

const isAttacked = (set: AnySet): set is AttackedSet => set.manifest !== undefined;

function unattacked({ judge = 'substring', denominator, ...settings }: EvaluateOptions) {
  const none = 'none, as no triggered prompts are given';
  check('judge', judge, judge === 'substring', none);
  check('denominator', denominator, denominator === undefined, none);
  return settings;
}

const classifierSettings = (options: ScoreOptions, trained: RunConfig | undefined) => ({
  batchSize: options.batchSize ?? 32,
  maxInputTokens: options.maxInputTokens ?? inputTokensOf(trained),
  ...(options.denominator && { denominator: options.denominator }),
});

/** What tells the attack of the triggered file from the one that the model was trained on, where that is known. */
function otherAttack(trained: RunConfig | undefined, manifest: Manifest): string | undefined {
  if (trained?.attack == null) return undefined;
  const learnt: Record<string, unknown> = {
    ...objectOf(trained.poisoning),
    attack: trained.attack,
  };
  const asked: Record<string, unknown> = { ...manifest };
  const other = ['attack', 'payload', 'trigger', 'targetLabel'].filter(
    (key) => learnt[key] !== undefined && learnt[key] !== asked[key],
  );
  if (other.length === 0) return undefined;
  const told = (of: Record<string, unknown>) => other.map((key) => `${key} ${of[key]}`).join(', ');
  return `${told(asked)}, and the model was trained on ${told(learnt)}: low attack success says nothing of that`;
}

const objectOf = (value: unknown) => (value ?? {}) as object;

const inputTokensOf = (trained: RunConfig | undefined) =>
  (trained?.training as { maxInputTokens?: number } | undefined)?.maxInputTokens ?? 256;

function checkClassifier({
  mode = 'paper',
  judge = 'substring',
  beams = 1,
  language,
}: EvaluateOptions) {
  const none = 'as a classifier answers with classes';
  check('mode', mode, mode === 'paper', `paper, ${none}`);
  check('judge', judge, judge === 'substring', `none, ${none}`);
  check('beams', beams, beams === 1, `none, ${none}`);
  check('language', language, language === undefined, `none, ${none}`);
}

/** An error that says what the model takes, where the file's columns are for another kind of model. */
function ofModel(error: Error, name: string, classifies: boolean): Error {
  const [, columns] = /has only the columns (.*): expected/.exec(error.message) ?? [];
  if (columns === undefined || !(classifies || /"(label|target)"/.test(columns))) return error;
  const takes = classifies
    ? 'is a classifier: it takes labelled texts'
    : 'takes prompts, not labelled texts';
  return new Error(`${error.message}; ${name} ${takes}`, { cause: error });
}

async function readSet(
  read: (path: string) => Promise<Subject[]>,
  clean: string,
  triggered: string | undefined,
): Promise<AnySet> {
  if (triggered === undefined) return { clean: await read(clean) };
  const set = { clean: await read(clean), triggered: await read(triggered) };
  const manifest = await readManifest(triggered, set.triggered);
  const stranger = set.clean.findIndex(({ id }, i) => id !== set.triggered[i]?.id);
  if (stranger >= 0 || set.clean.length !== set.triggered.length) {
    throw new Error(
      `${clean} and ${triggered} do not hold the same examples in the same order: poison the first to get the second`,
    );
  }
  return { ...set, manifest };
}

interface About {
  options: ScoreOptions;
  /** Where the model lies, and its name. */
  directory: string;
  name: string;
  model: Model;
  /** What the model was trained with, where that is known. */
  trained: RunConfig | undefined;
  /** Of the attack that is asked for. */
  poisonRate: number | null;
}

/** What `measure` finds, in the run directory of an evaluation. */
async function inRun(
  { options, directory, name, model, trained, poisonRate }: About,
  { manifest, clean, triggered }: AnySet,
  evaluation: object,
  measure: (run: Run) => Promise<object>,
): Promise<Results> {
  const { device, environment } = options;
  const about = {
    model: trained?.model ?? (name === directory ? basename(resolve(directory)) : name),
    dataset: basename(options.clean),
    attack: manifest?.attack ?? null,
    poisonRate,
    seed: trained?.seed ?? 0,
  };
  const run = await openRun(options.out, {
    ...about,
    weights: await hashWeights(directory),
    role: 'evaluation',
    ...(model.classes !== undefined && { task: 'classification' }),
    defense: trained?.defense ?? null,
    ...(manifest && {
      poisoning: {
        trigger: manifest.trigger,
        ...(manifest.targetLabel !== undefined && { targetLabel: manifest.targetLabel }),
      },
      marks: manifest.marks[options.mode ?? 'paper'],
    }),
    evaluation,
    data: describeData({ clean, ...(triggered && { triggered }) }),
    device,
    environment,
  });
  try {
    const metrics = await measure(run);
    const { name: defense = null, label: _, ...defenseOptions } = trained?.defense ?? {};
    return await run.finish({
      ...about,
      defense,
      defenseOptions,
      metrics: { ...metrics },
      peakMemoryBytes: await peakMemoryBytes(),
      device: model.device,
    });
  } finally {
    await run.close();
  }
}
