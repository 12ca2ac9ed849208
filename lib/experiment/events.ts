import type { Metrics } from '../evaluate.ts';
import type { ClassifierMetrics } from '../evaluate_classifier.ts';
import type { Environment, Results, RunRecord } from '../runs.ts';
import type { TrainEvent } from '../train.ts';
import type { Places } from './data.ts';
import { lostOf } from './lost.ts';

/** What happens while an experiment runs, for whoever shows it. */
export type ExperimentEvent =
  | ({ type: 'base'; name: string; examples: number; dropped: number } & State)
  | ({ type: 'run'; name: string; number: number; count: number } & State)
  | { type: 'train'; name: string; event: TrainEvent; steps: number }
  | { type: 'evaluate'; name: string; epoch: number; done: number; total: number }
  | { type: 'metrics'; name: string; epoch: number; metrics: Metrics | ClassifierMetrics }
  | { type: 'finished'; name: string; results: Results };

/** Of what is finished already, the files that are gone. */
type State = { state: 'started' } | { state: 'skipped'; lost: string[] };

/** Whether a run, as it was left, is still to be made. */
export const stateOf = async (before: RunRecord | undefined): Promise<State> =>
  before?.results === undefined
    ? { state: 'started' }
    : { state: 'skipped', lost: await lostOf(before) };

export interface ExperimentOptions extends Places {
  /** The directory that gets a directory for each run. */
  out: string;
  environment: Environment;
  signal?: AbortSignal;
  onEvent?: (event: ExperimentEvent) => void;
}
