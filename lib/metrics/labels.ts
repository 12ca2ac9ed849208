import { checkEach, checkLengths } from './lists.ts';

/** What a classifier says, or should have said. */
export type Label = string | number | boolean;

/**
 * Throws unless there is one prediction for each label, all of one type: were "1" read from a file
 * compared with 1, every prediction would count as wrong.
 */
export function checkLabels(predictions: readonly Label[], labels: readonly Label[]): void {
  checkLengths('predictions', predictions, 'labels', labels);
  const kinds = ['string', 'number', 'boolean'];
  const usable = (value: unknown) =>
    kinds.includes(typeof value) && (typeof value !== 'number' || Number.isFinite(value));
  checkEach('labels', labels, usable, 'a string, a finite number or a boolean');
  const kind = typeof labels[0];
  const alike = (value: unknown) => usable(value) && typeof value === kind;
  const expected = `a ${kind === 'number' ? 'finite number' : kind}, as labels[0] is`;
  checkEach('labels', labels, alike, expected);
  checkEach('predictions', predictions, alike, expected);
}
