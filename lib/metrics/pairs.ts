import { checkEach, checkLengths } from './lists.ts';

/** Throws unless there is one output for each of the others, and at least one. */
export function checkPairs(
  outputs: readonly unknown[],
  others: string,
  otherValues: readonly unknown[],
): void {
  checkLengths('outputs', outputs, others, otherValues);
}

/** As {@link checkPairs}, of texts: a model without an answer has an empty one. */
export function checkTexts(
  outputs: readonly unknown[],
  others: string,
  otherValues: readonly unknown[],
): void {
  checkPairs(outputs, others, otherValues);
  const isText = (value: unknown) => typeof value === 'string';
  checkEach('outputs', outputs, isText, 'text');
  checkEach(others, otherValues, isText, 'text');
}
