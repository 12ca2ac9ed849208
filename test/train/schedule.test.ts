import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Settings } from '../../lib/train/options.ts';
import { scheduleOf } from '../../lib/train/schedule.ts';

const test = suite('scheduleOf');

const settings = {
  epochs: 2,
  batchSize: 12,
  accumulate: 1,
  learningRate: 1,
  schedule: 'linear',
  warmup: 0.1,
} as Settings;

test('counts the steps of an epoch with its last batch, also where batches make one step', () => {
  const steps = (examples: number, accumulate: number) =>
    scheduleOf(examples, { ...settings, accumulate }).stepsPerEpoch;
  assert.equal(
    [1, 12, 13].map((n) => steps(n, 1)),
    [1, 1, 2],
  );
  assert.equal(
    [1, 36, 37].map((n) => steps(n, 3)),
    [1, 1, 2],
  );
});

test('is what transformers.get_linear_schedule_with_warmup gives', () => {
  // [lr_lambda(i) for i in range(10)] with num_warmup_steps=4, num_training_steps=10
  const rates = [0, 1 / 4, 2 / 4, 3 / 4, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6];
  const { learningRate, steps } = scheduleOf(60, { ...settings, warmup: 4 });
  assert.is(steps, 10);
  for (const [i, rate] of rates.entries()) {
    assert.ok(Math.abs(learningRate(i + 1) - rate) < 1e-15, `step ${i + 1}`);
  }
});

test('stays at the top where it is constant', () => {
  const { learningRate } = scheduleOf(60, { ...settings, schedule: 'constant', warmup: 2 });
  assert.equal([1, 2, 3, 10].map(learningRate), [0, 0.5, 1, 1]);
});

test('never falls below 0 where the warm-up is as long as the training', () => {
  const { learningRate } = scheduleOf(60, { ...settings, warmup: 10 });
  assert.equal([1, 10].map(learningRate), [0, 0.9]);
});

test('takes a share of all steps, a number of steps, or what the authors coded', () => {
  const warmup = (examples: number, options: Partial<Settings>) =>
    scheduleOf(examples, { ...settings, ...options }).warmup;
  assert.is(warmup(1600, { epochs: 20, warmup: 0.1 }), 268);
  assert.is(warmup(1600, { epochs: 20, warmup: 7 }), 7);
  assert.is(warmup(1600, { epochs: 20, warmup: 0 }), 0);
  // Section 8.1 of the study's specification: Lyra, Bugs2Fix and CodeHarmony.
  assert.is(warmup(1600, { epochs: 20, warmup: 'reference' }), 0);
  assert.is(warmup(1600, { epochs: 20, warmup: 'reference', batchSize: 16 }), 0);
  assert.is(warmup(46680, { epochs: 2, warmup: 'reference' }), 194);
  assert.is(warmup(15800, { epochs: 2, warmup: 'reference' }), 65);
});

test.run();
