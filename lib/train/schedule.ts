import type { Settings } from './options.ts';

/** How many steps training takes, and the learning rate of each. */
export interface Schedule {
  stepsPerEpoch: number;
  /** Of all epochs. */
  steps: number;
  /** Steps over which the learning rate rises. */
  warmup: number;
  /** @param step counted from 1 */
  learningRate(step: number): number;
}

/** The schedules of transformers: the first step of a warm-up has learning rate 0. */
export function scheduleOf(examples: number, settings: Settings): Schedule {
  const { epochs, batchSize, accumulate, learningRate, schedule } = settings;
  const stepsPerEpoch = Math.ceil(examples / (batchSize * accumulate));
  const steps = epochs * stepsPerEpoch;
  const warmup = warmupSteps(settings.warmup, steps, epochs);
  return {
    stepsPerEpoch,
    steps,
    warmup,
    learningRate(step) {
      const done = step - 1;
      if (done < warmup) return (learningRate * done) / warmup;
      if (schedule === 'constant') return learningRate;
      return (learningRate * (steps - done)) / Math.max(1, steps - warmup);
    },
  };
}

function warmupSteps(warmup: number | 'reference', steps: number, epochs: number): number {
  if (warmup === 'reference') return Math.floor(0.1 * Math.floor(steps / epochs / epochs));
  return warmup < 1 ? Math.round(warmup * steps) : warmup;
}
