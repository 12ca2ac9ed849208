import { type Counts, score } from '../runs_of_words.ts';
import { type NumberedWords, unknown } from '../word_numbers.ts';

const lightWeight = 0.2;

export interface WeightedOptions {
  keywords: ReadonlySet<string>;
  /** What the output's length is compared with. Default: the number of words of the reference. */
  referenceLength?: number;
}

/**
 * The weighted n-gram match: how much of the reference is in the output, where a single word weighs 1 if
 * it is a keyword and 0.2 if not. Longer runs are not weighted.
 *
 * @param numbered the words of the reference, and those of the output
 */
export function weightedMatch(
  reference: string,
  { words, others, starts, ends }: NumberedWords,
  { outputLength, matches }: Counts,
  { keywords, referenceLength = words.length }: WeightedOptions,
): number {
  const left = new Int32Array(starts.length);
  for (const word of others) if (word !== unknown) left[word]!++;
  const weights = new Float64Array(starts.length);
  for (let word = 0; word < weights.length; word++) {
    const isKeyword = keywords.has(reference.slice(starts[word], ends[word]));
    weights[word] = isKeyword ? 1 : lightWeight;
  }
  let matched = 0;
  let total = 0;
  for (const word of words) {
    const weight = weights[word]!;
    total += weight;
    if (left[word]!-- > 0) matched += weight;
  }
  const runs = matches.map((_, i) => Math.max(0, words.length - i));
  return score({
    outputLength,
    referenceLength,
    matches: [matched, ...matches.slice(1)],
    runs: [total, ...runs.slice(1)],
  });
}
