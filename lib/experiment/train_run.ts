import { join } from 'node:path';
import type { Model } from '../model/index.ts';
import type { Run, RunEvent } from '../runs.ts';
import { type TrainEvent, type TrainingExample, type TrainOptions, train } from '../train.ts';

/** Who is told what. Nothing is awaited but `afterEpoch`, while which training stands still. */
export interface Listeners {
  onEvent?: (event: TrainEvent) => void;
  afterEpoch?: (event: TrainEvent & { type: 'epoch' }) => Promise<void>;
}

/**
 * Trains a model in a run directory: events go to `events.jsonl`, checkpoints to `checkpoints/`, and
 * at the end the weights to `model/`. A run that was interrupted goes on from its last checkpoint;
 * the events after it are dropped, as they come again.
 *
 * @returns the loss of the last epoch
 */
export async function trainRun(
  run: Run,
  model: Model,
  examples: readonly TrainingExample[],
  options: Omit<TrainOptions, 'out' | 'resume'>,
  { onEvent, afterEpoch }: Listeners = {},
): Promise<number> {
  let loss = Number.NaN;
  let first = true;
  const events = train(model, examples, { ...options, out: run.directory, resume: true });
  for (let next = await events.next(); !next.done; next = await events.next()) {
    const event = next.value;
    try {
      if (first) await run.rewind((earlier) => isBefore(earlier, event));
      first = false;
      await run.record(event);
      onEvent?.(event);
      if (event.type === 'epoch') await afterEpoch?.(event);
    } catch (error) {
      // Thrown where training stands still, so that it writes a checkpoint when it was aborted.
      await events.throw(error);
      throw error;
    }
    if (event.type === 'done') loss = event.loss;
  }
  if (model.adapter !== undefined) {
    await model.saveAdapter(join(run.directory, 'adapter'));
    await model.mergeAdapter();
  }
  await model.save(join(run.directory, 'model'));
  return loss;
}

/** The order of events after one step. */
const order = ['step', 'evaluation', 'epoch', 'metrics', 'checkpoint', 'done'];

/** Whether an event came before the one that a resumed run begins with. */
function isBefore(earlier: RunEvent, first: TrainEvent): boolean {
  if (earlier.step !== first.step) return earlier.step < first.step;
  return order.indexOf(earlier.type) < order.indexOf(first.type);
}

/** How many steps `train()` makes. */
export function stepsOf(
  examples: number,
  { epochs, batchSize, accumulate }: { epochs: number; batchSize: number; accumulate: number },
): number {
  return epochs * Math.ceil(examples / (batchSize * accumulate));
}
