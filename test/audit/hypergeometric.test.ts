import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { logTail } from '../../lib/audit/hypergeometric.ts';

/** Counts in whole numbers of any size. */
function exactTail(together: number, one: number, other: number, rows: number): number {
  const choose = (n: number, k: number) => {
    if (k < 0 || k > n) return 0n;
    let value = 1n;
    for (let i = 1n; i <= BigInt(k); i++) value = (value * (BigInt(n) - BigInt(k) + i)) / i;
    return value;
  };
  let ways = 0n;
  for (let i = together; i <= Math.min(one, other); i++) {
    ways += choose(one, i) * choose(rows - one, other - i);
  }
  return Number((ways * 10n ** 30n) / choose(rows, other)) / 1e30;
}

const test = suite('logTail');

test('is the sum of exact counts', () => {
  const cases: [number, number, number, number][] = [
    [2, 2, 2, 4],
    [0, 3, 4, 10],
    [1, 3, 4, 10],
    [3, 3, 4, 10],
    [6, 5 + 3, 9, 10],
    [5, 16, 20, 300],
    [4, 100, 70, 1600],
    [30, 400, 300, 1600],
  ];
  for (const [together, one, other, rows] of cases) {
    const expected = exactTail(together, one, other, rows);
    const found = Math.exp(logTail(together, one, other, rows));
    assert.ok(Math.abs(found / expected - 1) < 1e-9, `${together} ${one} ${other} ${rows}`);
  }
});

test('goes far below the smallest number', () => {
  // One way of choose(1e6, 500).
  assert.ok(logTail(500, 500, 500, 1e6) < -4000);
});

test('refuses counts that cannot be', () => {
  assert.throws(() => logTail(3, 2, 5, 10), /^together is 3: expected at most 2$/);
  assert.throws(() => logTail(1, 11, 5, 10), /^one is 11: expected 0\.\.10$/);
});

test.run();
