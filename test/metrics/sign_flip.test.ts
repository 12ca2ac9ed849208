import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { mcnemar, signFlip } from '../../lib/metrics/index.ts';
import { closeTo, golden } from './golden.ts';

const test = suite('signFlip');

test('agrees with scipy, which flips all signs', () => {
  for (const { differences, p } of golden<{ differences: number[]; p: number }[]>('signFlips')) {
    closeTo(signFlip(differences), p, differences.join(), 1e-12);
  }
});

test("is McNemar's exact p where every item was tried once", () => {
  for (const [onlyA, onlyB] of [
    [3, 0],
    [5, 5],
    [4, 12],
    [40, 25],
    [160, 100],
  ] as const) {
    const outcomes = [...Array(onlyA).fill(1), ...Array(onlyB).fill(-1), 0, 0] as number[];
    const { p } = mcnemar(
      outcomes.map((one) => one === 1),
      outcomes.map((one) => one === -1),
    );
    closeTo(signFlip(outcomes), p, `${onlyA}, ${onlyB}`, 1e-11);
  }
});

test('takes an item tried three times alike for one, and many items', () => {
  const once = [1, 1, 1, 1, 1, -1];
  assert.is(signFlip(once.map((one) => 3 * one)), signFlip(once));
  assert.is(signFlip(Array.from({ length: 6000 }, (_, i) => i % 3)), 0);
  assert.is(signFlip([0, 0]), 1);
});

test('refuses what is no count', () => {
  assert.throws(() => signFlip([]), /^differences is empty: expected an item$/);
  assert.throws(() => signFlip([0.5]), /^differences\[0\] is 0\.5: expected a whole number$/);
});

test.run();
