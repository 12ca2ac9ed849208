import { type Counts, score } from '../runs_of_words.ts';
import { Scratch } from '../scratch.ts';
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
  numbered: NumberedWords,
  { outputLength, matches }: Counts,
  { keywords, referenceLength = numbered.length }: WeightedOptions,
): number {
  const { words, length, others, otherLength, size, starts, ends } = numbered;
  const left = scratch.left.zeros(size);
  for (let i = 0; i < otherLength; i++) if (others[i] !== unknown) left[others[i]!]!++;
  const isKeyword = scratch.isKeyword.take(size);
  for (let word = 0; word < size; word++) {
    const start = starts[word]!;
    const isWord = isLetter(reference.charCodeAt(start));
    isKeyword[word] = Number(isWord && keywords.has(reference.slice(start, ends[word])));
  }
  let matched = 0;
  let total = 0;
  for (let i = 0; i < length; i++) {
    const word = words[i]!;
    const weight = isKeyword[word] === 1 ? 1 : lightWeight;
    total += weight;
    if (left[word]!-- > 0) matched += weight;
  }
  const runs = matches.map((_, i) => (i === 0 ? total : Math.max(0, length - i)));
  return score({ outputLength, referenceLength, matches: matches.with(0, matched), runs });
}

const scratch = { left: new Scratch(), isKeyword: new Scratch() };

/** Whether a keyword may begin so: with a letter of ASCII or `_`. */
const isLetter = (code: number) => (code | 0x20) >= 0x5f && (code | 0x20) <= 0x7f;
