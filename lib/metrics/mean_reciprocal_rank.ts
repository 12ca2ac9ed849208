import { check, checkList } from '../check.ts';
import { checkEach } from './lists.ts';

/**
 * The mean of 1 / rank, 0..1, where a rank is the place of a query's right answer, counted from 1.
 * An answer that was not found has the rank Infinity and adds 0.
 *
 * @throws RangeError on a rank that is not a whole number from 1, or Infinity, and without ranks
 *
 * @example
 * meanReciprocalRank([1, 4, Infinity]); // 0.4167
 */
export function meanReciprocalRank(ranks: readonly number[]): number {
  checkList('ranks', ranks);
  check('the number of ranks', ranks.length, ranks.length > 0, 'at least 1');
  const possible = (rank: unknown) =>
    rank === Number.POSITIVE_INFINITY || (Number.isInteger(rank) && (rank as number) >= 1);
  checkEach('ranks', ranks, possible, 'a whole number, at least 1, or Infinity');
  return ranks.reduce((sum, rank) => sum + 1 / rank, 0) / ranks.length;
}
