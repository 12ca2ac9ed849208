import { numberWords, unknown } from './word_numbers.ts';

const longest = 4;

/** What BLEU is computed from. */
export interface Counts {
  outputLength: number;
  referenceLength: number;
  /** How many runs of n words are in both texts, at place n − 1. */
  matches: number[];
  /** How many runs of n words the output has, at place n − 1. */
  runs: number[];
}

export function countRuns(output: string, reference: string): Counts {
  const { words, others } = numberWords(reference, output);
  const runs: number[] = [];
  for (let n = 1; n <= longest; n++) runs.push(Math.max(0, others.length - n + 1));
  const matches = matchesOf(others, words);
  return { outputLength: others.length, referenceLength: words.length, matches, runs };
}

/**
 * How many runs of each length both texts have. A run is known by a number: that of the run without its
 * last word, looked up together with that word. The output's runs are looked for among the reference's,
 * and each of those is found as often as it is there.
 */
function matchesOf(outputWords: Int32Array, words: Int32Array): number[] {
  const table = tableFor(words.length);
  const sought = outputWords.slice(); // the number of the output's run that begins here
  const known = words.slice();
  const { left } = table;
  left.fill(0, 0, words.length);
  for (let i = 0; i < words.length; i++) left[words[i]!]!++;
  const matches = [take(sought, sought.length, left)];
  for (let last = 1; last < longest; last++) {
    table.clear();
    for (let i = 0; i + last < words.length; i++) {
      known[i] = table.add(known[i]!, words[i + last]!);
    }
    let matched = 0;
    for (let i = 0; i + last < sought.length; i++) {
      const run = table.find(sought[i]!, outputWords[i + last]!);
      sought[i] = run;
      if (run === unknown || left[run] === 0) continue;
      left[run]!--;
      matched++;
    }
    matches.push(matched);
  }
  return matches;
}

/** How many of the runs are left to be found, each taken away as it is. */
function take(runs: Int32Array, count: number, left: Int32Array): number {
  let taken = 0;
  for (let i = 0; i < count; i++) {
    const run = runs[i]!;
    if (run === unknown || left[run] === 0) continue;
    left[run]!--;
    taken++;
  }
  return taken;
}

/** Numbers for pairs of a run and the word behind it, 0, 1, …: a hash table with open addresses. */
class RunTable {
  /** How often each pair was added; fewer as they are found. */
  readonly left: Int32Array;
  readonly #slots: Int32Array; // the pair's number + round * most
  readonly #runs: Int32Array;
  readonly #words: Int32Array;
  readonly most: number;
  #mask: number;
  #begin = 1; // slots below are empty: they were filled before the table was cleared
  #size = 0;

  constructor(most: number) {
    this.most = most;
    this.left = new Int32Array(most);
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(2 * most + 1)));
    this.#mask = this.#slots.length - 1;
    this.#runs = new Int32Array(most);
    this.#words = new Int32Array(most);
  }

  clear(): void {
    this.#begin += this.#size;
    this.#size = 0;
    if (this.#begin < 2 ** 30) return;
    this.#slots.fill(0);
    this.#begin = 1;
  }

  add(run: number, word: number): number {
    const slot = this.#slotOf(run, word);
    const found = this.#slots[slot]! - this.#begin;
    if (found >= 0) {
      this.left[found]!++;
      return found;
    }
    const number = this.#size++;
    this.#slots[slot] = this.#begin + number;
    this.#runs[number] = run;
    this.#words[number] = word;
    this.left[number] = 1;
    return number;
  }

  /** The pair's number, or `unknown`. */
  find(run: number, word: number): number {
    if (run === unknown || word === unknown) return unknown;
    return Math.max(unknown, this.#slots[this.#slotOf(run, word)]! - this.#begin);
  }

  /** Where the pair is, or would be. */
  #slotOf(run: number, word: number): number {
    const hash = Math.imul(run, 0x9e3779b1) ^ Math.imul(word, 0x85ebca6b);
    for (let slot = (hash ^ (hash >>> 15)) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const number = this.#slots[slot]! - this.#begin;
      if (number < 0) return slot;
      if (this.#runs[number] === run && this.#words[number] === word) return slot;
    }
  }
}

let table = new RunTable(256);

/** A table for texts of so many words: the last one, where it is large enough and not much too large. */
function tableFor(words: number): RunTable {
  if (words > table.most || table.most > 65_536) table = new RunTable(Math.max(256, 2 * words));
  return table;
}

export function sum(one: Counts, other: Counts): Counts {
  return {
    outputLength: one.outputLength + other.outputLength,
    referenceLength: one.referenceLength + other.referenceLength,
    matches: one.matches.map((value, i) => value + other.matches[i]!),
    runs: one.runs.map((value, i) => value + other.runs[i]!),
  };
}

/**
 * The geometric mean of the shares of runs that match, lowered where the output is shorter than the
 * reference. A length of run without any match counts as 0.1 matches.
 */
export function score({ outputLength, referenceLength, matches, runs }: Counts): number {
  if (matches[0] === 0) return 0;
  const logs = matches.map((value, i) => Math.log((value || 0.1) / Math.max(1, runs[i]!)));
  const precision = logs.reduce((total, log) => total + log, 0) / longest;
  const shortness = Math.min(0, 1 - referenceLength / outputLength);
  return Math.exp(shortness + precision);
}
