import { checkLabels, type Label } from './labels.ts';

/**
 * The share of predictions, 0..1, that equal their label.
 *
 * @throws RangeError on lists of different length, or none, and on labels that are not all of one type
 *
 * @example
 * accuracy(['satd', 'clean'], ['satd', 'satd']); // 0.5
 */
export function accuracy<L extends Label>(predictions: readonly L[], labels: readonly L[]): number {
  checkLabels(predictions, labels);
  return predictions.filter((prediction, i) => prediction === labels[i]).length / labels.length;
}
