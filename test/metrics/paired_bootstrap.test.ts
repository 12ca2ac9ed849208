import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Bootstrap, type BootstrapOptions, pairedBootstrap } from '../../lib/metrics/index.ts';
import { closeTo, golden } from './golden.ts';

interface Case extends Bootstrap {
  scoresA: number[];
  scoresB: number[];
  options: BootstrapOptions;
  /** Scipy's interval, by draws of its own. */
  scipy: [number, number];
  /** The standard error of the difference. */
  error: number;
}

/** The mean of every one of the n ** n draws there are. */
function allMeans(values: number[]): number[] {
  const draws = values.reduce((sums) => sums.flatMap((sum) => values.map((v) => sum + v)), [0]);
  return draws.map((sum) => sum / values.length);
}

const test = suite('pairedBootstrap');

test('is digit by digit what numpy makes of the same draws', () => {
  for (const { scoresA, scoresB, options, ...expected } of golden<Case[]>('bootstrap')) {
    const { difference, interval, p } = pairedBootstrap(scoresA, scoresB, options);
    closeTo(difference, expected.difference, 'difference');
    closeTo(interval[0], expected.interval[0], 'low', 1e-10);
    closeTo(interval[1], expected.interval[1], 'high', 1e-10);
    assert.is(p, expected.p);
  }
});

test("has scipy's interval, but for the draws", () => {
  for (const { scoresA, scoresB, options, scipy, error } of golden<Case[]>('bootstrap')) {
    const { interval } = pairedBootstrap(scoresA, scoresB, { ...options, samples: 20_000 });
    for (const [i, bound] of interval.entries()) {
      const distance = Math.abs(bound - scipy[i]!) / error;
      assert.ok(distance < 0.2, `${bound}, expected ${scipy[i]} within a fifth of ${error}`);
    }
  }
});

test('comes near the share among all draws that there are', () => {
  for (const differences of [
    [1, 2, 3, 4],
    [1, -1, 2, 0, 1],
    [3, -1, -1],
  ]) {
    const means = allMeans(differences);
    const mean = differences.reduce((sum, value) => sum + value) / differences.length;
    const far = means.filter((drawn) => Math.abs(drawn - mean) >= Math.abs(mean) - 1e-9);
    const zeros = differences.map(() => 0);
    const { difference, p } = pairedBootstrap(differences, zeros, { samples: 40_000 });
    closeTo(difference, mean, 'difference');
    // Four standard errors of a share of 40,000 draws are 0.01 at most.
    assert.ok(Math.abs(p - far.length / means.length) < 0.01, `${p}, ${far.length / means.length}`);
  }
});

test('finds no difference where there is none, and a sure one in every draw', () => {
  assert.equal(pairedBootstrap([1, 2], [1, 2]), { difference: 0, interval: [0, 0], p: 1 });
  const sure = pairedBootstrap([0.1, 0.1, 0.1], [0, 0, 0], { samples: 999 });
  assert.is(sure.p, 1 / 1000);
  for (const bound of sure.interval) closeTo(bound, 0.1, 'a bound');
});

test('is the same by seed and, but for the sign, the other way round', () => {
  const scores = fc.double({ min: -1, max: 1, noNaN: true });
  const rows = fc.array(fc.tuple(scores, scores), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(rows, fc.nat(1000), (pairs, seed) => {
      const [a, b] = [pairs.map(([one]) => one), pairs.map(([, other]) => other)];
      const options = { samples: 200, seed };
      const there = pairedBootstrap(a, b, options);
      const back = pairedBootstrap(b, a, options);
      assert.equal(pairedBootstrap(a, b, options), there);
      assert.ok(there.p > 0 && there.p <= 1);
      assert.ok(there.interval[0] <= there.interval[1]);
      const opposite = [
        [back.difference, there.difference],
        [back.interval[0], there.interval[1]],
        [back.interval[1], there.interval[0]],
      ] as const;
      for (const [one, other] of opposite) assert.ok(Math.abs(one + other) < 1e-12);
      assert.is(back.p, there.p);
    }),
  );
});

test('takes equal differences for equal, whatever their unit', () => {
  const tenths = [1, 2, -3, 4, 2, 3];
  const zeros = tenths.map(() => 0);
  const p = (unit: number) =>
    pairedBootstrap(
      tenths.map((value) => value * unit),
      zeros,
    ).p;
  assert.is(p(0.1), p(1));
});

test('widens the interval with the confidence, and moves with the seed', () => {
  const [{ scoresA, scoresB }] = golden<[Case]>('bootstrap');
  const width = (confidence: number) => {
    const [low, high] = pairedBootstrap(scoresA, scoresB, { confidence }).interval;
    return high - low;
  };
  assert.ok(width(0.5) < width(0.95) && width(0.95) < width(0.999));
  const [one, other] = [1, 2].map((seed) =>
    pairedBootstrap(scoresA, scoresB, { seed, samples: 99 }),
  );
  assert.not.equal(one, other);
});

test('refuses lists of different length, none, scores that are not finite, and bad options', () => {
  assert.throws(
    () => pairedBootstrap([1], [1, 2]),
    /^1 scores for 2 scores of the other run: expected one for each, and at least one$/,
  );
  assert.throws(() => pairedBootstrap([], []), /^0 scores for 0 scores/);
  assert.throws(
    () => pairedBootstrap([1, Number.NaN], [1, 2]),
    /^scoresA\[1\] is NaN: expected a finite number$/,
  );
  assert.throws(
    () => pairedBootstrap([1], [Number.POSITIVE_INFINITY]),
    /^scoresB\[0\] is Infinity: expected a finite number$/,
  );
  assert.throws(() => pairedBootstrap([1], [1], { samples: 0 }), /^samples is 0: expected a whole/);
  assert.throws(
    () => pairedBootstrap([1], [1], { confidence: 1 }),
    /^confidence is 1: expected in/,
  );
  assert.throws(() => pairedBootstrap([1], [1], { seed: -1 }), /^seed is -1: expected a whole/);
  assert.throws(
    () => pairedBootstrap([1], [1], { draws: 9 } as object),
    /^pairedBootstrap has an unknown option "draws"/,
  );
});

test.run();
