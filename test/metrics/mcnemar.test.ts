import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { erfc } from '../../lib/metrics/erfc.ts';
import { type Mcnemar, mcnemar } from '../../lib/metrics/index.ts';
import { closeTo, golden } from './golden.ts';

/** Items of which so many only the one run has right, and so many only the other. */
function compared(onlyA: number, onlyB: number, both = 7, neither = 9): Mcnemar {
  const column = (...counts: [number, boolean][]) =>
    counts.flatMap(([count, right]) => new Array<boolean>(count).fill(right));
  return mcnemar(
    column([onlyA, true], [onlyB, false], [both, true], [neither, false]),
    column([onlyA, false], [onlyB, true], [both, true], [neither, false]),
  );
}

/** The chance of a count at least as far from half, by adding up every count of heads. */
function summed(onlyA: number, onlyB: number): number {
  const tosses = onlyA + onlyB;
  let ways = 1n;
  let extreme = 0n;
  for (let heads = 0; heads <= tosses; heads++) {
    if (Math.abs(2 * heads - tosses) >= Math.abs(onlyA - onlyB)) extreme += ways;
    ways = (ways * BigInt(tosses - heads)) / BigInt(heads + 1);
  }
  return Number(extreme) / 2 ** tosses;
}

const test = suite('mcnemar');

test('is the sum of the binomial, for every count up to 30', () => {
  for (let onlyA = 0; onlyA <= 30; onlyA++) {
    for (let onlyB = 0; onlyB <= 30; onlyB++) {
      closeTo(compared(onlyA, onlyB).p, summed(onlyA, onlyB), `${onlyA}, ${onlyB}`);
    }
  }
});

test('agrees with statsmodels, which has a statistic above 0 for equal counts', () => {
  for (const expected of golden<Mcnemar[]>('mcnemar')) {
    const { onlyA, onlyB } = expected;
    const actual = compared(onlyA, onlyB);
    assert.equal([actual.onlyA, actual.onlyB], [onlyA, onlyB]);
    closeTo(actual.p, expected.p, `${onlyA}, ${onlyB}: p`, 1e-10);
    const equal = onlyA === onlyB;
    closeTo(actual.chiSquare, equal ? 0 : expected.chiSquare, `${onlyA}, ${onlyB}: statistic`);
    closeTo(actual.chiSquareP, equal ? 1 : expected.chiSquareP, `${onlyA}, ${onlyB}: its p`, 1e-11);
  }
});

test("has scipy's complementary error function", () => {
  for (const [x, expected] of golden<[number, number][]>('erfc')) {
    closeTo(erfc(x), expected, `erfc(${x})`, 1e-12);
  }
});

test('is the same the other way round, in any order, and without the items both have right', () => {
  const rows = fc.array(fc.tuple(fc.boolean(), fc.boolean()), { minLength: 1, maxLength: 200 });
  const of = (pairs: [boolean, boolean][], one: 0 | 1) =>
    mcnemar(
      pairs.map((pair) => pair[one]),
      pairs.map((pair) => pair[1 - one]!),
    );
  fc.assert(
    fc.property(rows, (pairs) => {
      const compared = of(pairs, 0);
      const { onlyA, onlyB, ...tests } = compared;
      assert.ok(compared.p > 0 && compared.p <= 1);
      assert.ok(compared.chiSquareP > 0 && compared.chiSquareP <= 1);
      assert.equal(of(pairs.toReversed(), 0), compared);
      assert.equal(of([...pairs, [true, true], [false, false]], 0), compared);
      assert.equal(of(pairs, 1), { onlyA: onlyB, onlyB: onlyA, ...tests });
    }),
  );
});

test('counts without running out of exponents', () => {
  const { p, chiSquareP } = compared(10_000, 10_200);
  assert.ok(Math.abs(p - chiSquareP) < 1e-4, `${p}, ${chiSquareP}`);
});

test('refuses lists of different length, none, and what is neither true nor false', () => {
  const loose = mcnemar as (outcomesA: unknown[], outcomesB: unknown[]) => Mcnemar;
  assert.throws(
    () => loose([true], [true, false]),
    /^1 outcomes for 2 outcomes of the other run: expected one for each, and at least one$/,
  );
  assert.throws(() => loose([], []), /^0 outcomes for 0 outcomes/);
  assert.throws(() => loose([0], [true]), /^outcomesA\[0\] is 0: expected true or false$/);
  assert.throws(() => loose([true], [undefined]), /^outcomesB\[0\] is undefined: expected true or/);
});

test.run();
