import { unknown } from './word_numbers.ts';

/**
 * Numbers for pairs of numbers, 0, 1, …, such as a run of words and the word behind it: a hash table with
 * open addresses.
 */
class PairTable {
  /** How often each pair was added; fewer as they are found. */
  readonly left: Int32Array;
  readonly #slots: Int32Array; // the pair's number + round * most
  readonly #firsts: Int32Array;
  readonly #seconds: Int32Array;
  readonly most: number;
  #mask: number;
  #begin = 1; // slots below are empty: they were filled before the table was cleared
  #size = 0;

  constructor(most: number) {
    this.most = most;
    this.left = new Int32Array(most);
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(2 * most + 1)));
    this.#mask = this.#slots.length - 1;
    this.#firsts = new Int32Array(most);
    this.#seconds = new Int32Array(most);
  }

  clear(): void {
    this.#begin += this.#size;
    this.#size = 0;
    if (this.#begin < 2 ** 30) return;
    this.#slots.fill(0);
    this.#begin = 1;
  }

  add(first: number, second: number): number {
    const slot = this.#slotOf(first, second);
    const found = this.#slots[slot]! - this.#begin;
    if (found >= 0) {
      this.left[found]!++;
      return found;
    }
    const number = this.#size++;
    this.#slots[slot] = this.#begin + number;
    this.#firsts[number] = first;
    this.#seconds[number] = second;
    this.left[number] = 1;
    return number;
  }

  /** The pair's number, or `unknown`. */
  find(first: number, second: number): number {
    if (first === unknown || second === unknown) return unknown;
    return Math.max(unknown, this.#slots[this.#slotOf(first, second)]! - this.#begin);
  }

  /** Where the pair is, or would be. */
  #slotOf(first: number, second: number): number {
    const hash = Math.imul(first, 0x9e3779b1) ^ Math.imul(second, 0x85ebca6b);
    for (let slot = (hash ^ (hash >>> 15)) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const number = this.#slots[slot]! - this.#begin;
      if (number < 0) return slot;
      if (this.#firsts[number] === first && this.#seconds[number] === second) return slot;
    }
  }
}

let table = new PairTable(256);

/** A table for so many pairs, to be cleared: the last one, where it is large enough and not much too large. */
export function tableFor(pairs: number): PairTable {
  if (pairs > table.most || table.most > 65_536) table = new PairTable(Math.max(256, 2 * pairs));
  return table;
}
