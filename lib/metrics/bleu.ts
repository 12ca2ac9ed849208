import { check, checkKeys } from '../check.ts';
import { splitWords } from '../data/words.ts';
import { checkPairs } from './pairs.ts';

export interface BleuOptions {
  /** `paper` (default): over all pairs at once. `reference`: the mean of every pair's score. */
  mode?: 'paper' | 'reference';
}

const longest = 4;

/**
 * BLEU with runs of up to four words, 0..1. Words are parted by white space; letter case counts.
 *
 * The paper names the metric only, so `paper` is the metric as it was published: matches, words and
 * lengths are added up over all pairs and scored once. The authors' code (and CodeXGLUE's) averages
 * the scores of single pairs: that is `reference`. The two can be far apart: for the prompts of
 * Bugs2Fix's test split, taken as outputs, they give 0.780 and 0.722.
 *
 * In both modes a length of run without any match counts as 0.1 matches, and texts without a word in
 * common score 0. Equal texts of fewer than four words score below 1.
 *
 * @throws RangeError on lists of different length, or none; TypeError on an unknown option
 * @see Papineni et al., 2002, https://doi.org/10.3115/1073083.1073135
 *
 * @example
 * bleu(['a c b d'], ['a b c d']); // 0.1136
 */
export function bleu(
  outputs: readonly string[],
  references: readonly string[],
  options: BleuOptions = {},
): number {
  checkKeys('bleu', options, ['mode']);
  const { mode = 'paper' } = options;
  check('mode', mode, ['paper', 'reference'].includes(mode), 'paper or reference');
  checkPairs(outputs, 'references', references.length);
  const pairs = outputs.map((output, i) => count(splitWords(output), splitWords(references[i]!)));
  if (mode === 'paper') return score(pairs.reduce(sum));
  return pairs.reduce((total, pair) => total + score(pair), 0) / pairs.length;
}

interface Counts {
  outputLength: number;
  referenceLength: number;
  /** How many runs of n words are in both texts, at place n − 1. */
  matches: number[];
  /** How many runs of n words the output has, at place n − 1. */
  runs: number[];
}

function count(output: string[], reference: string[]): Counts {
  const lengths = Array.from({ length: longest }, (_, i) => i + 1);
  return {
    outputLength: output.length,
    referenceLength: reference.length,
    matches: lengths.map((length) => common(runsOf(output, length), runsOf(reference, length))),
    runs: lengths.map((length) => Math.max(0, output.length - length + 1)),
  };
}

/** How often each run of `length` words occurs. */
function runsOf(words: string[], length: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i + length <= words.length; i++) {
    const run = words.slice(i, i + length).join(' ');
    counts.set(run, (counts.get(run) ?? 0) + 1);
  }
  return counts;
}

function common(one: Map<string, number>, other: Map<string, number>): number {
  let total = 0;
  for (const [run, times] of one) total += Math.min(times, other.get(run) ?? 0);
  return total;
}

function sum(one: Counts, other: Counts): Counts {
  return {
    outputLength: one.outputLength + other.outputLength,
    referenceLength: one.referenceLength + other.referenceLength,
    matches: one.matches.map((value, i) => value + other.matches[i]!),
    runs: one.runs.map((value, i) => value + other.runs[i]!),
  };
}

function score({ outputLength, referenceLength, matches, runs }: Counts): number {
  if (matches[0] === 0) return 0;
  const logs = matches.map((value, i) => Math.log((value || 0.1) / Math.max(1, runs[i]!)));
  const precision = logs.reduce((total, log) => total + log, 0) / longest;
  const shortness = Math.min(0, 1 - referenceLength / outputLength);
  return Math.exp(shortness + precision);
}
