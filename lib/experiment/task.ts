import type { Manifest, Subject } from '../attacks/index.ts';
import type { Example, LabelledExample } from '../data/examples.ts';
import { readExamples, readLabelledExamples } from '../data/examples.ts';
import {
  type CleanMetrics,
  type EvaluateOptions,
  evaluate,
  evaluateClean,
  type Metrics,
  type TestSet,
} from '../evaluate.ts';
import {
  type ClassifierMetrics,
  type CleanClassifierMetrics,
  evaluateClassifier,
  evaluateClassifierClean,
  type LabelledTestSet,
} from '../evaluate_classifier.ts';
import type { Model, RobertaHead } from '../model/index.ts';
import type { Run } from '../runs.ts';
import { writeClasses, writeCleanClasses, writeCleanOutputs, writeOutputs } from './outputs.ts';

/** Clean examples, the same with the trigger, and what was done to them. */
export interface AttackedSet {
  clean: readonly Subject[];
  triggered: readonly Subject[];
  manifest: Manifest;
}

/** What was measured of a model, and how its outputs are kept. */
export interface Outcome<Found = Metrics | ClassifierMetrics> {
  metrics: Found;
  write(run: Pick<Run, 'writeOutputs'>): Promise<void>;
}

/** What differs between models that write and models that classify. */
export interface Task {
  /** The head that the model needs, where it is not as the model's config says. */
  head?: RobertaHead;
  /** The examples of a file. */
  read(path: string): Promise<Subject[]>;
  /** The texts of an example. */
  texts(example: Subject): string[];
  /** What the model reads of examples. */
  ids(model: Model, examples: readonly Subject[], maxInputTokens: number): number[][];
  evaluate(model: Model, set: AttackedSet, options: EvaluateOptions): Promise<Outcome>;
  /** Without an attack. */
  evaluateClean(
    model: Model,
    clean: readonly Subject[],
    options: EvaluateOptions,
  ): Promise<Outcome<CleanMetrics | CleanClassifierMetrics>>;
}

const generation: Task = {
  read: readExamples,
  texts: (example) => [(example as Example).prompt, (example as Example).completion],
  ids(model, examples, maxInputTokens) {
    const prompts = (examples as readonly Example[]).map(({ prompt }) => prompt);
    return model.promptIds(prompts, maxInputTokens);
  },
  async evaluate(model, given, options) {
    const set = given as TestSet;
    const outcome = await evaluate(model, set, options);
    return { metrics: outcome.metrics, write: (run) => writeOutputs(run, set, outcome) };
  },
  async evaluateClean(model, given, options) {
    const clean = given as readonly Example[];
    const outcome = await evaluateClean(model, clean, options);
    return { metrics: outcome.metrics, write: (run) => writeCleanOutputs(run, clean, outcome) };
  },
};

const classification: Task = {
  head: 'classification',
  read: readLabelledExamples,
  texts({ text, pair }) {
    return pair === undefined ? [text as string] : [text as string, pair as string];
  },
  ids: (model, examples, maxInputTokens) =>
    model.textIds(examples as readonly LabelledExample[], maxInputTokens),
  async evaluate(model, given, { denominator, ...options }) {
    const set = given as LabelledTestSet;
    const outcome = await evaluateClassifier(model, set, {
      ...(denominator !== undefined && { denominator }),
      ...ofClassifier(options),
    });
    return { metrics: outcome.metrics, write: (run) => writeClasses(run, set, outcome) };
  },
  async evaluateClean(model, given, options) {
    const clean = given as readonly LabelledExample[];
    const outcome = await evaluateClassifierClean(model, clean, ofClassifier(options));
    return { metrics: outcome.metrics, write: (run) => writeCleanClasses(run, clean, outcome) };
  },
};

const ofClassifier = ({ batchSize, maxInputTokens, signal, onProgress }: EvaluateOptions) => ({
  ...(batchSize !== undefined && { batchSize }),
  ...(maxInputTokens !== undefined && { maxInputTokens }),
  ...(signal && { signal }),
  ...(onProgress && { onProgress }),
});

/** By the name that experiment files and runs give them. */
export const tasks: Record<'generation' | 'classification', Task> = { generation, classification };
