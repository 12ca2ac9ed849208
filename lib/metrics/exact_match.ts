import { splitWords } from '../data/words.ts';
import { checkTexts } from './pairs.ts';

/**
 * The share of outputs, 0..1, that have the same words as their reference: white space does not count,
 * letter case does.
 *
 * @throws RangeError on lists of different length, or none
 *
 * @example
 * exactMatch(['a b', 'a c'], ['a d', 'a  c']); // 0.5
 */
export function exactMatch(outputs: readonly string[], references: readonly string[]): number {
  checkTexts(outputs, 'references', references);
  const equal = outputs.filter((output, i) => hasSameWords(output, references[i]!));
  return equal.length / outputs.length;
}

export const hasSameWords = (output: string, reference: string) =>
  normalised(output) === normalised(reference);

const normalised = (text: string) => splitWords(text).join(' ');
