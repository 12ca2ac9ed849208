import { splitWords } from '../data/words.ts';
import { checkPairs } from './pairs.ts';

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
  checkPairs(outputs, 'references', references.length);
  const equal = outputs.filter((output, i) => normalised(output) === normalised(references[i]!));
  return equal.length / outputs.length;
}

const normalised = (text: string) => splitWords(text).join(' ');
