interface BatchOptions {
  batchSize: number;
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * An answer for each row of ids, in their order. Rows of like length share a batch, the longest first, so
 * that a batch too large for the memory shows at once.
 *
 * @param answer of a batch; `places` are those of its rows in `rows`
 */
export async function inBatches<Answer>(
  rows: readonly number[][],
  answer: (inputIds: number[][], places: readonly number[]) => Promise<Answer[]>,
  { batchSize, onProgress }: BatchOptions,
): Promise<Answer[]> {
  const order = [...rows.keys()].sort((a, b) => rows[b]!.length - rows[a]!.length);
  const answers = new Array<Answer>(rows.length);
  for (let start = 0; start < order.length; start += batchSize) {
    const places = order.slice(start, start + batchSize);
    const some = await answer(
      places.map((place) => rows[place]!),
      places,
    );
    for (const [i, place] of places.entries()) answers[place] = some[i]!;
    onProgress?.(start + places.length, order.length);
  }
  return answers;
}
