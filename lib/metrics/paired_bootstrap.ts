import { check, checkKeys } from '../check.ts';
import { seeded } from '../random.ts';
import { checkEach, checkLengths } from './lists.ts';

export interface BootstrapOptions {
  /** How many times the items are drawn anew. Default 10,000. */
  samples?: number;
  /** Default 42. */
  seed?: number;
  /** Of the interval. Default 0.95. */
  confidence?: number;
}

export interface Bootstrap {
  /** mean(scoresA) − mean(scoresB) */
  difference: number;
  /** The middle `confidence` of the differences that were drawn, by linear interpolation. */
  interval: [low: number, high: number];
  /** Two-sided; at least 1 / (samples + 1). */
  p: number;
}

/**
 * Whether two runs differ by more than the choice of test items explains.
 *
 * Items are drawn with putting back, as many as there are, and both runs are scored on the same draw.
 * `p` is the share of draws whose difference is at least as far from the measured one as that is from
 * 0, with the measured one counted as a draw. It is not bound to the interval: near the edge one may
 * exclude 0 where the other does not. The same seed gives the same answer; the order of items matters
 * as far as the draws do.
 *
 * @param scoresA one score for each test item, of the one run
 * @param scoresB of the other run, for the same items in the same order
 * @throws RangeError on lists of different length, or none, scores that are not finite and options out
 *   of range; TypeError on an unknown option
 * @see Efron and Tibshirani, 1993, An Introduction to the Bootstrap, chapters 13 and 16
 *
 * @example
 * pairedBootstrap([1, 1, 0, 1], [0, 1, 0, 0]).difference; // 0.5
 */
export function pairedBootstrap(
  scoresA: readonly number[],
  scoresB: readonly number[],
  options: BootstrapOptions = {},
): Bootstrap {
  checkKeys('pairedBootstrap', options, ['samples', 'seed', 'confidence']);
  const { samples = 10_000, seed = 42, confidence = 0.95 } = options;
  check(
    'samples',
    samples,
    Number.isInteger(samples) && samples >= 1,
    'a whole number, at least 1',
  );
  check('confidence', confidence, confidence > 0 && confidence < 1, 'in (0, 1)');
  checkLengths('scores', scoresA, 'scores of the other run', scoresB);
  checkEach('scoresA', scoresA, Number.isFinite, 'a finite number');
  checkEach('scoresB', scoresB, Number.isFinite, 'a finite number');

  const differences = Float64Array.from(scoresA, (score, i) => score - scoresB[i]!);
  const items = differences.length;
  const random = seeded(seed);
  const totals = new Float64Array(samples);
  for (let sample = 0; sample < samples; sample++) {
    for (let i = 0; i < items; i++) totals[sample]! += differences[random.below(items)]!;
  }
  totals.sort();

  const total = differences.reduce((sum, difference) => sum + difference, 0);
  // Sums of the same values in another order differ in their last digits, and are equal all the same.
  const far = Math.abs(total) * (1 - 1e-12);
  const asFar = totals.reduce((count, drawn) => count + Number(Math.abs(drawn - total) >= far), 0);
  return {
    difference: total / items,
    interval: [
      quantile(totals, (1 - confidence) / 2) / items,
      quantile(totals, (1 + confidence) / 2) / items,
    ],
    p: (asFar + 1) / (samples + 1),
  };
}

/** Of sorted values, between neighbours by linear interpolation. */
function quantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (high - low) * (place - below);
}
