import { tableFor } from './pair_table.ts';
import { Scratch } from './scratch.ts';
import { type NumberedWords, numberWords, unknown } from './word_numbers.ts';

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
  return countNumbered(numberWords(reference, output));
}

/** {@link countRuns} of what numberWords gives for the reference and the output. */
export function countNumbered(numbered: NumberedWords): Counts {
  const { length: referenceLength, otherLength: outputLength } = numbered;
  const runs: number[] = [];
  for (let n = 1; n <= longest; n++) runs.push(Math.max(0, outputLength - n + 1));
  return { outputLength, referenceLength, matches: matchesOf(numbered), runs };
}

const scratch = { sought: new Scratch(), known: new Scratch() };

/**
 * How many runs of each length both texts have. A run is known by a number: that of the run without its
 * last word, looked up together with that word. The output's runs are looked for among the reference's,
 * and each of those is found as often as it is there.
 */
function matchesOf({ words, length, others, otherLength }: NumberedWords): number[] {
  const table = tableFor(length);
  const { left } = table;
  const sought = scratch.sought.take(otherLength); // the number of the output's run that begins here
  const known = scratch.known.take(length);
  left.fill(0, 0, length);
  for (let i = 0; i < length; i++) {
    known[i] = words[i]!;
    left[words[i]!]!++;
  }
  for (let i = 0; i < otherLength; i++) sought[i] = others[i]!;
  const matches = [take(sought, otherLength, left)];
  for (let last = 1; last < longest; last++) {
    table.clear();
    for (let i = 0; i + last < length; i++) known[i] = table.add(known[i]!, words[i + last]!);
    const runs = Math.max(0, otherLength - last);
    for (let i = 0; i < runs; i++) sought[i] = table.find(sought[i]!, others[i + last]!);
    matches.push(take(sought, runs, left));
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
  let logs = 0;
  for (let i = 0; i < longest; i++) logs += Math.log((matches[i] || 0.1) / Math.max(1, runs[i]!));
  const shortness = Math.min(0, 1 - referenceLength / outputLength);
  return Math.exp(shortness + logs / longest);
}
