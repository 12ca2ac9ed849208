import { checkList } from '../check.ts';
import { checkEach } from './lists.ts';

/**
 * Whether two methods differ on items on which each was tried several times, as by training with several
 * seeds: the exact sign-flip test (Fisher–Pitman, for pairs).
 *
 * What is done several times with one item is no news each time, so that the item counts as one: were the
 * methods alike, all its outcomes could as well be of the other. `p` is the share of all ways to swap items
 * whose sum of differences is at least as far from 0 as the measured one, two-sided. With one try for each
 * item it is McNemar's exact p. It speaks of other items, and of these runs: seeds are too few to tell of
 * other ones.
 *
 * @param differences for each item successes of the one method minus those of the other, whole numbers
 * @returns p, 0 where it is below the smallest number
 * @throws RangeError on none, and on what is no whole number
 * @see Fisher, 1935, The Design of Experiments, section 21
 *
 * @example
 * signFlip([3, 3, 2, 0]); // 0.25
 */
export function signFlip(differences: readonly number[]): number {
  checkList('differences', differences, 'whole numbers');
  checkEach('differences', differences, Number.isSafeInteger, 'a whole number');
  if (differences.length === 0) throw new RangeError('differences is empty: expected an item');
  const sizes = differences.map(Math.abs).filter((size) => size > 0);
  const most = sizes.reduce((sum, size) => sum + size, 0);
  // How likely those of one sign have a given sum, of the sizes so far.
  const chance = new Float64Array(most + 1);
  chance[0] = 1;
  let reached = 0;
  for (const size of sizes) {
    reached += size;
    for (let sum = reached; sum >= 0; sum--) {
      chance[sum] = (chance[sum]! + (sum < size ? 0 : chance[sum - size]!)) / 2;
    }
  }
  const measured = Math.abs(differences.reduce((sum, difference) => sum + difference, 0));
  const p = chance.reduce((p, own, sum) => p + (Math.abs(2 * sum - most) < measured ? 0 : own), 0);
  return Math.min(1, p);
}
