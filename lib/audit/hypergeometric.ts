import { check } from '../check.ts';

/**
 * How likely two things are to be together in `together` rows or more, where one is in `one` and the
 * other in `other` of `rows` and neither knows of the other: the upper tail of the hypergeometric
 * distribution (Fisher's exact test, one-sided), as a natural logarithm, since it gets far below the
 * smallest number.
 *
 * @throws RangeError on counts that no rows can have
 *
 * @example
 * Math.exp(logTail(2, 2, 2, 4)); // 1/6
 */
export function logTail(together: number, one: number, other: number, rows: number): number {
  const most = Math.min(one, other);
  check('one', one, Number.isInteger(one) && one >= 0 && one <= rows, `0..${rows}`);
  check('other', other, Number.isInteger(other) && other >= 0 && other <= rows, `0..${rows}`);
  check('together', together, Number.isInteger(together) && together <= most, `at most ${most}`);
  const least = Math.max(0, one + other - rows);
  if (together <= least) return 0;

  const all = logChoose(rows, other);
  const logs = Array.from(
    { length: most - together + 1 },
    (_, i) => logChoose(one, together + i) + logChoose(rows - one, other - together - i) - all,
  );
  const largest = logs.reduce((max, log) => Math.max(max, log), -Infinity);
  const sum = logs.reduce((sum, log) => sum + Math.exp(log - largest), 0);
  return Math.min(0, largest + Math.log(sum));
}

const logChoose = (n: number, k: number) => logFactorial(n) - logFactorial(k) - logFactorial(n - k);

const small = [0];
for (let n = 1; n < 64; n++) small.push(small[n - 1]! + Math.log(n));

/** Stirling's series, whose next term is below 1e-12 from 64 on. */
function logFactorial(n: number): number {
  if (n < small.length) return small[n]!;
  return n * Math.log(n) - n + 0.5 * Math.log(2 * Math.PI * n) + 1 / (12 * n) - 1 / (360 * n ** 3);
}
