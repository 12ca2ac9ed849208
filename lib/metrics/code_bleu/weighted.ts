import { type Counts, score } from '../runs_of_words.ts';

const lightWeight = 0.2;

export interface WeightedOptions {
  keywords: ReadonlySet<string>;
  /** What the output's length is compared with. Default: the number of words of the reference. */
  referenceLength?: number;
}

/**
 * The weighted n-gram match: how much of the reference is in the output, where a single word weighs 1 if
 * it is a keyword and 0.2 if not. Longer runs are not weighted.
 */
export function weightedMatch(
  output: readonly string[],
  reference: readonly string[],
  { outputLength, matches }: Counts,
  { keywords, referenceLength = reference.length }: WeightedOptions,
): number {
  const left = new Map<string, number>();
  for (const word of output) left.set(word, (left.get(word) ?? 0) + 1);
  let matched = 0;
  let total = 0;
  for (const word of reference) {
    const weight = keywords.has(word) ? 1 : lightWeight;
    const count = left.get(word) ?? 0;
    left.set(word, count - 1);
    total += weight;
    if (count > 0) matched += weight;
  }
  const runs = matches.map((_, i) => Math.max(0, reference.length - i));
  return score({
    outputLength,
    referenceLength,
    matches: [matched, ...matches.slice(1)],
    runs: [total, ...runs.slice(1)],
  });
}
