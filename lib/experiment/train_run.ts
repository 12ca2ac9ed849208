import { join } from 'node:path';
import type { Example } from '../data/examples.ts';
import type { Model } from '../model/index.ts';
import type { Run } from '../runs.ts';
import { type TrainEvent, type TrainOptions, train } from '../train.ts';

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
  examples: readonly Example[],
  options: Omit<TrainOptions, 'out' | 'resume'>,
  { onEvent, afterEpoch }: Listeners = {},
): Promise<number> {
  let loss = Number.NaN;
  let begun = false;
  const settings = { ...options, out: run.directory, resume: true };
  for await (const event of train(model, examples, settings)) {
    if (!begun) await run.rewind(event.type === 'step' ? event.step - 1 : event.step);
    begun = true;
    if (event.type === 'epoch' || event.type === 'done') loss = event.loss;
    await run.record(event);
    onEvent?.(event);
    if (event.type === 'epoch') await afterEpoch?.(event);
  }
  await model.save(join(run.directory, 'model'));
  return loss;
}

/** How many steps `train()` makes. */
export function stepsOf(
  examples: number,
  { epochs, batchSize, accumulate }: { epochs: number; batchSize: number; accumulate: number },
): number {
  return epochs * Math.ceil(examples / (batchSize * accumulate));
}
