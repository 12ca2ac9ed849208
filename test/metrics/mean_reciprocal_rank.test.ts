import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { meanReciprocalRank } from '../../lib/metrics/index.ts';
import { closeTo, golden } from './golden.ts';

const test = suite('meanReciprocalRank');

test('counts ranks from 1, and what was not found as 0', () => {
  closeTo(meanReciprocalRank([1, 4, Number.POSITIVE_INFINITY]), 1.25 / 3, 'mean');
  assert.is(meanReciprocalRank([Number.POSITIVE_INFINITY]), 0);
});

test('agrees with scikit-learn', () => {
  for (const { ranks, mean } of golden<{ ranks: number[]; mean: number }[]>('reciprocalRanks')) {
    closeTo(meanReciprocalRank(ranks), mean, `${ranks}`);
  }
});

test('is within 0..1, whatever the order, and falls as a rank grows', () => {
  const ranks = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1 });
  fc.assert(
    fc.property(ranks, (some) => {
      const mean = meanReciprocalRank(some);
      assert.ok(mean > 0 && mean <= 1);
      closeTo(meanReciprocalRank(some.toReversed()), mean, 'the other way round');
      assert.ok(meanReciprocalRank(some.with(0, some[0]! + 1)) < mean);
    }),
  );
});

test('refuses ranks that are none', () => {
  assert.throws(() => meanReciprocalRank([]), /^the number of ranks is 0: expected at least 1$/);
  for (const rank of [0, -1, 1.5, Number.NaN, Number.NEGATIVE_INFINITY]) {
    assert.throws(
      () => meanReciprocalRank([1, rank]),
      new RegExp(`^ranks\\[1\\] is ${rank}: expected a whole number, at least 1, or Infinity$`),
    );
  }
});

test.run();
