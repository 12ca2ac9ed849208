import { mixed } from './grams.ts';

/** Counts of more things than there are counters. */
export interface Sketch {
  add(hash: number): void;
  /** At least as often as it was added; more only where it shares both of its counters. */
  count(hash: number): number;
  /** How many counters have at least so much: about how many things there are of such a count, where few share one. */
  countersFrom(least: number): number;
  /** How many additions there were. */
  readonly total: number;
}

/**
 * A count–min sketch with two rows of `counters`, a power of two: eight bytes for each. In what order
 * things are added does not matter.
 *
 * @see Cormode and Muthukrishnan, 2005, https://doi.org/10.1016/j.jalgor.2003.12.001
 */
export function sketch(counters: number): Sketch {
  const rows = [new Uint32Array(counters), new Uint32Array(counters)] as const;
  const placeOf = (hash: number, seed: number) =>
    mixed((hash >>> 0) ^ seed, Math.floor(hash / 2 ** 32)) & (counters - 1);
  let total = 0;
  return {
    add(hash) {
      total++;
      rows[0][placeOf(hash, 0)]!++;
      rows[1][placeOf(hash, 0x2545f491)]!++;
    },
    count: (hash) => Math.min(rows[0][placeOf(hash, 0)]!, rows[1][placeOf(hash, 0x2545f491)]!),
    countersFrom: (least) => rows[0].reduce((sum, count) => sum + Number(count >= least), 0),
    get total() {
      return total;
    },
  };
}
