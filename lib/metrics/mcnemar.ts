import { erfc } from './erfc.ts';
import { checkBooleans, checkLengths } from './lists.ts';

export interface Mcnemar {
  /** Items that only the one run has right. */
  onlyA: number;
  /** Items that only the other run has right. */
  onlyB: number;
  /** Two-sided, exact. */
  p: number;
  /** The statistic with continuity correction, one degree of freedom. */
  chiSquare: number;
  /** Two-sided, by `chiSquare`: close to `p` from about 25 items that only one run has right. */
  chiSquareP: number;
}

/**
 * Whether two runs are right equally often, by the items on which only one of them is.
 *
 * If they are, each such item is a toss of a coin: `p` is twice the smaller tail of that binomial, at
 * most 1, and counts for any number of items. The approximation that papers report for large counts,
 * (|onlyA − onlyB| − 1)² / (onlyA + onlyB), is beside it; where both counts are equal it is 0, as in R.
 *
 * @param outcomesA for each test item, whether the one run has it right
 * @param outcomesB of the other run, for the same items in the same order
 * @throws RangeError on lists of different length, or none, and on other values than true and false
 * @see McNemar, 1947, https://doi.org/10.1007/BF02295996
 * @see Edwards, 1948, https://doi.org/10.1007/BF02289261 (the correction)
 *
 * @example
 * mcnemar([true, true, true, false], [false, false, false, false]).p; // 0.25
 */
export function mcnemar(outcomesA: readonly boolean[], outcomesB: readonly boolean[]): Mcnemar {
  checkLengths('outcomes', outcomesA, 'outcomes of the other run', outcomesB);
  checkBooleans('outcomesA', outcomesA);
  checkBooleans('outcomesB', outcomesB);
  const onlyA = outcomesA.filter((right, i) => right && !outcomesB[i]).length;
  const onlyB = outcomesB.filter((right, i) => right && !outcomesA[i]).length;
  const beyond = Math.max(0, Math.abs(onlyA - onlyB) - 1);
  const chiSquare = beyond ** 2 / Math.max(1, onlyA + onlyB);
  const p = Math.min(1, 2 * lowerTail(Math.min(onlyA, onlyB), onlyA + onlyB));
  return { onlyA, onlyB, p, chiSquare, chiSquareP: erfc(Math.sqrt(chiSquare / 2)) };
}

/**
 * The chance of at most `heads` in `tosses` of a fair coin, `heads` ≤ `tosses` / 2. The last term of the
 * sum is the largest, and has a logarithm where 2 ** −tosses has run out of exponents; the others
 * follow from it.
 */
function lowerTail(heads: number, tosses: number): number {
  let log = -tosses * Math.LN2;
  for (let i = 1; i <= heads; i++) log += Math.log((tosses - heads + i) / i);
  let sum = 1;
  let term = 1;
  for (let i = heads; i >= 1; i--) {
    term *= i / (tosses - i + 1);
    sum += term;
  }
  return Math.exp(log) * sum;
}
