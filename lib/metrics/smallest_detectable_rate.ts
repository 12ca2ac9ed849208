import { check } from '../check.ts';

/**
 * The smallest attack success rate, 0..1, that a test of `eligible` triggered prompts can tell from zero:
 * an attack of this rate succeeds at least once with probability `confidence`, so that a test without
 * a success excludes this rate and all above it, and none below.
 *
 * That is 1 − (1 − confidence) ** (1 / eligible), the exact (Clopper–Pearson) one-sided upper bound for
 * 0 successes, near 3 / eligible at 95 %. The upper end of `wilson(0, eligible)` is another
 * bound, of two sides and approximate: larger from 7 prompts.
 *
 * @throws RangeError on a number of prompts that is not whole, at least 1, or a confidence not in (0, 1)
 * @see Clopper and Pearson, 1934, https://doi.org/10.1093/biomet/26.4.404
 *
 * @example
 * smallestDetectableRate(165); // 0.0180
 */
export function smallestDetectableRate(eligible: number, confidence = 0.95): number {
  const counted = Number.isInteger(eligible) && eligible >= 1;
  check('eligible', eligible, counted, 'a whole number, at least 1');
  check('confidence', confidence, confidence > 0 && confidence < 1, 'in (0, 1)');
  return -Math.expm1(Math.log1p(-confidence) / eligible);
}
