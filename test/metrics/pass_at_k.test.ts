import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { meanPassAtK, passAtK } from '../../lib/metrics/index.ts';
import { closeTo, golden } from './golden.ts';

/** The share of all choices of `k` of the samples, of which the first `correct` are, with a correct one. */
function enumerated(samples: number, correct: number, k: number): number {
  let choices = 0;
  let passed = 0;
  for (let choice = 0; choice < 2 ** samples; choice++) {
    const bits = choice.toString(2).padStart(samples, '0');
    if (bits.replaceAll('0', '').length !== k) continue;
    choices++;
    passed += Number(bits.slice(0, correct).includes('1'));
  }
  return passed / choices;
}

const test = suite('passAtK');

test("gives the specification's examples", () => {
  closeTo(passAtK(10, 3, 1), 0.3, '1 of 10');
  closeTo(passAtK(10, 3, 5), 0.9166666667, '5 of 10', 1e-10);
  assert.is(passAtK(5, 5, 3), 1);
  assert.is(passAtK(5, 0, 3), 0);
});

test('is the share of choices with a correct program, for every count up to 9', () => {
  for (let samples = 1; samples <= 9; samples++) {
    for (let correct = 0; correct <= samples; correct++) {
      for (let k = 1; k <= samples; k++) {
        const expected = enumerated(samples, correct, k);
        closeTo(passAtK(samples, correct, k), expected, `${samples}, ${correct}, ${k}`);
      }
    }
  }
});

test("agrees with scipy's hypergeometric distribution", () => {
  type Case = { samples: number; correct: number; k: number; chance: number };
  for (const { samples, correct, k, chance } of golden<Case[]>('passAtK')) {
    closeTo(passAtK(samples, correct, k), chance, `${samples}, ${correct}, ${k}`);
  }
});

test('is within 0..1 and grows with the correct ones and with k', () => {
  const counts = fc
    .integer({ min: 2, max: 500 })
    .chain((samples) =>
      fc.tuple(fc.constant(samples), fc.nat(samples - 1), fc.integer({ min: 1, max: samples - 1 })),
    );
  fc.assert(
    fc.property(counts, ([samples, correct, k]) => {
      const chance = passAtK(samples, correct, k);
      assert.ok(chance >= 0 && chance <= 1, `${chance}`);
      assert.ok(passAtK(samples, correct + 1, k) >= chance);
      assert.ok(passAtK(samples, correct, k + 1) >= chance);
    }),
  );
});

test('averages over problems, solved or not', () => {
  const problems = [
    { samples: 10, correct: 3 },
    { samples: 5, correct: 0 },
    { samples: 2, correct: 2 },
  ];
  closeTo(meanPassAtK(problems, 1), 1.3 / 3, 'mean');
  closeTo(meanPassAtK(problems.toReversed(), 1), 1.3 / 3, 'the other way round');
  const greedy = Array.from({ length: 164 }, (_, i) => ({ samples: 1, correct: Number(i < 41) }));
  closeTo(meanPassAtK(greedy, 1), 0.25, 'solved problems');
});

test('refuses more than there are, and what cannot be counted', () => {
  assert.throws(
    () => passAtK(5, 1, 6),
    /^k is 6: expected a whole number, 1\.\.5, as samples is 5$/,
  );
  assert.throws(() => passAtK(5, 1, 0), /^k is 0: expected a whole number, 1\.\.5/);
  assert.throws(() => passAtK(5, 6, 1), /^correct is 6: expected a whole number, 0\.\.5$/);
  assert.throws(() => passAtK(5, Number.NaN, 1), /^correct is NaN: expected/);
  assert.throws(
    () => passAtK(Number.POSITIVE_INFINITY, 1, 1),
    /^samples is Infinity: expected a whole/,
  );
  assert.throws(() => meanPassAtK([], 1), /^the number of problems is 0: expected at least 1$/);
  const problems = [
    { samples: 5, correct: 1 },
    { samples: 2, correct: 1 },
  ];
  assert.throws(
    () => meanPassAtK(problems, 3),
    /^k is 3: expected a whole number, 1\.\.2, as problems\[1\]\.samples is 2$/,
  );
});

test.run();
