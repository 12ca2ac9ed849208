import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type FilterQuality, filterQuality } from '../../lib/metrics/index.ts';
import { golden } from './golden.ts';

const shares = ['precision', 'recall', 'f1', 'falseRejectionRate', 'falseAcceptanceRate'] as const;
type Case = { flagged: boolean[]; poisoned: boolean[]; cleanLost: number } & Record<
  (typeof shares)[number],
  number | null
>;

const test = suite('filterQuality');

test("gives the specification's example: S1 and S2 are poisoned and removed", () => {
  const quality = filterQuality([true, true, false, false], [true, true, false, false]);
  assert.equal(quality, {
    precision: 1,
    recall: 1,
    f1: 1,
    falseRejectionRate: 0,
    falseAcceptanceRate: 0,
    rows: 4,
    poisoned: 2,
    flagged: 2,
    found: 2,
    cleanLost: 0,
  });
});

test('agrees with scikit-learn, with nothing for a share of nothing', () => {
  for (const expected of golden<Case[]>('filters')) {
    const quality = filterQuality(expected.flagged, expected.poisoned);
    for (const share of shares) {
      const [actual, known] = [quality[share] ?? null, expected[share]];
      const equal = actual === known || Math.abs(actual! - known!) < 1e-12;
      assert.ok(equal, `${share}: ${actual}, expected ${known}`);
    }
    assert.is(quality.cleanLost, expected.cleanLost);
  }
});

test('has no precision without flags, and no recall without poison', () => {
  const idle = filterQuality([false, false], [true, false]);
  assert.equal([idle.precision, idle.recall, idle.f1], [undefined, 0, 0]);
  const clean = filterQuality([true, false], [false, false]);
  assert.equal([clean.precision, clean.recall, clean.f1], [0, undefined, 0]);
  assert.is(clean.falseAcceptanceRate, undefined);
  assert.is(filterQuality([false], [false]).f1, undefined);
  assert.is(filterQuality([false], [true]).falseRejectionRate, undefined);
});

test('adds up, whatever the order', () => {
  const rows = fc.array(fc.tuple(fc.boolean(), fc.boolean()), { minLength: 1 });
  const of = (pairs: [boolean, boolean][]): FilterQuality =>
    filterQuality(
      pairs.map(([flag]) => flag),
      pairs.map(([, poison]) => poison),
    );
  fc.assert(
    fc.property(rows, (pairs) => {
      const quality = of(pairs);
      assert.equal(of(pairs.toReversed()), quality);
      assert.is(quality.found + quality.cleanLost, quality.flagged);
      for (const share of shares) {
        const value = quality[share] ?? 0;
        assert.ok(value >= 0 && value <= 1, `${share}: ${value}`);
      }
      const { recall, falseAcceptanceRate } = quality;
      if (recall !== undefined) assert.ok(Math.abs(recall + falseAcceptanceRate! - 1) < 1e-12);
    }),
  );
});

test('refuses lists of different length, none, and what is neither true nor false', () => {
  const loose = filterQuality as (flagged: unknown[], poisoned: unknown[]) => FilterQuality;
  assert.throws(
    () => loose([true], []),
    /^1 flags for 0 rows: expected one for each, and at least/,
  );
  assert.throws(() => loose([], []), /^0 flags for 0 rows/);
  assert.throws(() => loose([1], [true]), /^flagged\[0\] is 1: expected true or false$/);
  assert.throws(
    () => loose([true], ['false']),
    /^poisoned\[0\] is "false": expected true or false$/,
  );
});

test.run();
