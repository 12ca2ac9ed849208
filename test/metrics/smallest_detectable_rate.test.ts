import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { smallestDetectableRate, wilson } from '../../lib/metrics/index.ts';
import { closeTo, golden } from './golden.ts';

const test = suite('smallestDetectableRate');

test("agrees with scipy's exact bound", () => {
  type Case = { eligible: number; confidence: number; rate: number };
  for (const { eligible, confidence, rate } of golden<Case[]>('smallestRates')) {
    const what = `${eligible} at ${confidence}`;
    closeTo(smallestDetectableRate(eligible, confidence), rate, what, 1e-9);
  }
});

test('is a rate at which a test without success has the chance that is left', () => {
  const confidences = fc.double({ min: 0.01, max: 0.999, noNaN: true });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000 }), confidences, (eligible, confidence) => {
      const rate = smallestDetectableRate(eligible, confidence);
      assert.ok(rate > 0 && rate < 1);
      closeTo((1 - rate) ** eligible, 1 - confidence, 'chance', 1e-9);
      assert.ok(smallestDetectableRate(eligible + 1, confidence) < rate);
    }),
  );
});

test("is near three of the eligible prompts, and below Wilson's bound from 7 prompts", () => {
  closeTo(smallestDetectableRate(165), 3 / 165, 'rule of three', 0.02);
  for (const eligible of [1, 6, 7, 165, 5695]) {
    assert.is(smallestDetectableRate(eligible) < wilson(0, eligible)[1], eligible >= 7);
  }
});

test('refuses counts and confidences that cannot be', () => {
  assert.throws(
    () => smallestDetectableRate(0),
    /^eligible is 0: expected a whole number, at least 1$/,
  );
  assert.throws(() => smallestDetectableRate(1.5), /^eligible is 1\.5: expected/);
  assert.throws(() => smallestDetectableRate(5, 1), /^confidence is 1: expected in \(0, 1\)$/);
  assert.throws(() => smallestDetectableRate(5, Number.NaN), /^confidence is NaN: expected/);
});

test.run();
