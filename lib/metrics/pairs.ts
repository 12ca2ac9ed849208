import { checkLengths } from './lists.ts';

/** Throws unless there is one output for each of the others, and at least one. */
export function checkPairs(
  outputs: readonly unknown[],
  others: string,
  otherValues: readonly unknown[],
): void {
  checkLengths('outputs', outputs, others, otherValues);
}
