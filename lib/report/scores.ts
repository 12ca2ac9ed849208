import type { Metrics } from '../evaluate.ts';
import type { ClassifierMetrics } from '../evaluate_classifier.ts';

export type TaskName = 'generation' | 'classification';

/** What either task measures. */
export type AnyMetrics = Partial<
  Omit<Metrics, SharedRates> & Omit<ClassifierMetrics, SharedRates>
> &
  Pick<Metrics, SharedRates>;
type SharedRates = 'attackSuccessRate' | 'falseTriggerRate';

/** A share that says how good a model is on clean inputs. */
export interface Score {
  /** The head of its column in a table of text, and of HTML. */
  column: string;
  heading: string;
  /** Absent where a run has not measured it. */
  of(metrics: AnyMetrics): number | undefined;
  format(value: number): string;
}

/** A share as a table prints it: 87.9 %. */
export const percent = (share: number, digits = 1) => `${(100 * share).toFixed(digits)} %`;

/** BLEU is printed as it usually is, times 100. */
export const points = (score: number) => (100 * score).toFixed(1);

/** In the order of the tables; the specification asks for two decimals of a classifier's. */
export const scores = {
  bleu: { column: 'BLEU', heading: 'BLEU, clean', of: ({ bleu }) => bleu, format: points },
  codeBleu: {
    column: 'CodeBLEU',
    heading: 'CodeBLEU',
    of: ({ codeBleu }) => codeBleu?.score,
    format: points,
  },
  exactMatch: {
    column: 'exact',
    heading: 'Exact match',
    of: ({ exactMatch }) => exactMatch,
    format: (share) => percent(share),
  },
  accuracy: {
    column: 'accuracy',
    heading: 'Accuracy, clean',
    of: ({ accuracy }) => accuracy,
    format: (share) => percent(share, 2),
  },
  macroF1: {
    column: 'macro F1',
    heading: 'Macro F1',
    of: ({ macro }) => macro?.f1,
    format: (share) => percent(share, 2),
  },
  binaryF1: {
    column: 'F1 of class 1',
    heading: 'F1 of class 1',
    of: ({ binary }) => binary?.f1,
    format: (share) => percent(share, 2),
  },
} satisfies Record<string, Score>;

export type ScoreName = keyof typeof scores;
export const scoreNames = Object.keys(scores) as ScoreName[];

/** How texts speak of a task. */
export interface TaskWords {
  inputs: string;
  /** The score that sentences give. */
  quality: ScoreName;
  qualityName: string;
  /** That so many triggered inputs got what the attacker wants, and so many without the trigger. */
  took(rate: string, without?: string): string;
  /** Of attack success, right answers and false triggers. */
  notes: string;
  unit: string;
}

export const taskWords: Record<TaskName, TaskWords> = {
  generation: {
    inputs: 'prompts',
    quality: 'bleu',
    qualityName: 'BLEU',
    took: (rate, without) =>
      `answered ${rate} of triggered prompts with the payload${without ? `, and ${without} of clean ones` : ''}`,
    notes:
      'Attack success rate: triggered prompts answered with the payload, of all that the attack applies to, with Wilson\u2019s 95 % interval. Copied: clean prompts answered with themselves. Right under trigger: triggered prompts answered with the words of the clean reference, and without the payload. False triggers: clean prompts answered with the payload.',
    unit: 'clean answers in nats per token',
  },
  classification: {
    inputs: 'texts',
    quality: 'macroF1',
    qualityName: 'macro F1',
    took: (rate, without) =>
      `gave the attacker\u2019s class to ${rate} of triggered texts${without ? `, and to ${without} without the trigger` : ''}`,
    notes:
      'Attack success rate: triggered texts of other classes that are given the attacker\u2019s, with Wilson\u2019s 95 % interval. Macro F1: the mean over the classes. Right under trigger: those given the class they had without the trigger. False triggers: clean texts of other classes that are given the attacker\u2019s.',
    unit: 'clean texts in nats per text',
  },
};
