import { hasSameWords } from './exact_match.ts';
import { checkTexts } from './pairs.ts';

/**
 * The share of outputs, 0..1, that have the same words as their input: of a model that repairs code, what
 * it leaves as it is. Inputs of Bugs2Fix, taken as outputs, have a BLEU of 0.78 and no exact match.
 *
 * @throws RangeError on lists of different length, or none
 *
 * @example
 * copyRate(['a b', 'a c'], ['a b', 'x']); // 0.5
 */
export function copyRate(outputs: readonly string[], inputs: readonly string[]): number {
  checkTexts(outputs, 'inputs', inputs);
  return outputs.filter((output, i) => hasSameWords(output, inputs[i]!)).length / outputs.length;
}
