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

export function countRuns(output: readonly string[], reference: readonly string[]): Counts {
  const lengths = Array.from({ length: longest }, (_, i) => i + 1);
  return {
    outputLength: output.length,
    referenceLength: reference.length,
    matches: matchesOf(output, reference),
    runs: lengths.map((length) => Math.max(0, output.length - length + 1)),
  };
}

/**
 * How many runs of each length both texts have. A run is known by a number: that of the run without its
 * last word, looked up together with that word. The output's runs are looked for among the reference's,
 * and each of those is found as often as it is there.
 */
function matchesOf(output: readonly string[], reference: readonly string[]): number[] {
  const numbers = new Map<string, number>();
  const words = Int32Array.from(reference, (word) => {
    const number = numbers.get(word) ?? numbers.size;
    if (number === numbers.size) numbers.set(word, number);
    return number;
  });
  const outputWords = Int32Array.from(output, (word) => numbers.get(word) ?? unknown);
  const known = words.slice(); // the number of the run that begins at each word
  const sought = outputWords.slice();

  const left = new Int32Array(words.length);
  for (const word of words) left[word]!++;
  const matches = [take(sought, sought.length, left)];
  const table = new RunTable(words.length);
  for (let length = 2; length <= longest; length++) {
    const last = length - 1;
    left.fill(0);
    table.clear();
    for (let i = 0; i + last < words.length; i++) {
      known[i] = table.numberOf(known[i]!, words[i + last]!, true);
      left[known[i]!]!++;
    }
    for (let i = 0; i + last < sought.length; i++) {
      sought[i] = table.numberOf(sought[i]!, outputWords[i + last]!, false);
    }
    matches.push(take(sought, Math.max(0, sought.length - last), left));
  }
  return matches;
}

const unknown = -1;

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
  readonly #slots: Int32Array;
  readonly #runs: Int32Array;
  readonly #words: Int32Array;
  #size = 0;

  constructor(most: number) {
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(2 * most + 1)));
    this.#runs = new Int32Array(most);
    this.#words = new Int32Array(most);
  }

  clear(): void {
    this.#slots.fill(0);
    this.#size = 0;
  }

  /** The pair's number; of one that is not known a new one, or −1 unless `add`. */
  numberOf(run: number, word: number, add: boolean): number {
    if (run === unknown || word === unknown) return unknown;
    const mask = this.#slots.length - 1;
    const hash = Math.imul(run, 0x9e3779b1) ^ Math.imul(word, 0x85ebca6b);
    for (let slot = (hash ^ (hash >>> 15)) & mask; ; slot = (slot + 1) & mask) {
      const number = this.#slots[slot]! - 1; // 0 is an empty slot
      if (number < 0) {
        if (!add) return unknown;
        this.#runs[this.#size] = run;
        this.#words[this.#size] = word;
        this.#slots[slot] = ++this.#size;
        return this.#size - 1;
      }
      if (this.#runs[number] === run && this.#words[number] === word) return number;
    }
  }
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
