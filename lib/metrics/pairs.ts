/** Throws unless there is one output for each of the others, and at least one. */
export function checkPairs(outputs: readonly string[], others: string, count: number): void {
  if (outputs.length !== count || count === 0) {
    throw new RangeError(
      `${outputs.length} outputs for ${count} ${others}: expected one for each, and at least one`,
    );
  }
}
