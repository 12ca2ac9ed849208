import type { Metrics } from '../evaluate.ts';
import type { ClassifierMetrics } from '../evaluate_classifier.ts';
import type { Environment, Results } from '../runs.ts';
import type { TrainEvent } from '../train.ts';
import type { Places } from './data.ts';

/** What happens while an experiment runs, for whoever shows it. */
export type ExperimentEvent =
  | { type: 'base'; name: string; state: 'started' | 'skipped'; examples: number; dropped: number }
  | { type: 'run'; name: string; state: 'started' | 'skipped'; number: number; count: number }
  | { type: 'train'; name: string; event: TrainEvent; steps: number }
  | { type: 'evaluate'; name: string; epoch: number; done: number; total: number }
  | { type: 'metrics'; name: string; epoch: number; metrics: Metrics | ClassifierMetrics }
  | { type: 'finished'; name: string; results: Results };

export interface ExperimentOptions extends Places {
  /** The directory that gets a directory for each run. */
  out: string;
  environment: Environment;
  signal?: AbortSignal;
  onEvent?: (event: ExperimentEvent) => void;
}
