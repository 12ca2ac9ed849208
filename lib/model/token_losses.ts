import { crossEntropyLoss } from '../loss.ts';
import type { Model } from './index.ts';
import { defaultLogitsBytes } from './loss.ts';
import { type Encoded, ignoredLabel } from './texts.ts';

export interface TokenLossOptions {
  signal?: AbortSignal | undefined;
  /** Called after each batch. */
  onProgress?: ((done: number) => void) | undefined;
}

/** Rows that are worked on together, unless their logits or what attention keeps take too much. */
const mostRows = 32;
/** Attention has numbers for every pair of tokens of a row: those of 32 rows of 512, for each head. */
const mostPairs = mostRows * 512 ** 2;

/**
 * The cross-entropy of every token that rows have to learn, in nats, without dropout: for each row as many as
 * its labels count, in their order, one for a classifier. Rows of like length share a batch.
 *
 * @param rows as `encodeExamples` gives them
 * @throws the signal's reason, after a batch
 */
export async function tokenLosses(
  model: Model,
  rows: readonly Encoded[],
  { signal, onProgress }: TokenLossOptions = {},
): Promise<Float32Array[]> {
  const found = new Array<Float32Array>(rows.length);
  let done = 0;
  for (const batch of batches(model, rows)) {
    signal?.throwIfAborted();
    const losses = await batchLosses(
      model,
      batch.map((i) => rows[i]!),
    );
    for (const [at, i] of batch.entries()) found[i] = losses[at]!;
    done += batch.length;
    onProgress?.(done);
  }
  return found;
}

/** The places of rows, the longest first, so that a batch too large for the memory shows at once. */
function* batches({ resolved }: Model, rows: readonly Encoded[]): Generator<number[]> {
  const length = (i: number) => rows[i]!.inputIds.length + rows[i]!.labels.length;
  const order = [...rows.keys()].sort((a, b) => length(b) - length(a) || a - b);
  for (let start = 0; start < order.length; ) {
    const next = order.slice(start, start + mostRows).map((i) => rows[i]!);
    const widest = Math.max(1, ...next.map(({ labels }) => labels.length));
    const longest = Math.max(widest, ...next.map(({ inputIds }) => inputIds.length));
    const ofLogits = defaultLogitsBytes / (4 * widest * resolved.vocab_size);
    const fit = Math.floor(Math.min(ofLogits, mostPairs / longest ** 2));
    const size = Math.max(1, Math.min(mostRows, fit));
    yield order.slice(start, start + size);
    start += size;
  }
}

async function batchLosses(model: Model, rows: readonly Encoded[]): Promise<Float32Array[]> {
  const { labels } = model.resolved;
  const inputIds = rows.map((row) => row.inputIds);
  // Only a decoder needs labels to know what it reads.
  const batch = labels === 'decoder ids' ? { labels: rows.map((row) => row.labels) } : {};
  const { data, shape } = await model.logits({ inputIds, ...batch });
  const classes = shape.at(-1)!;
  const length = labels === 'rows' ? 1 : shape[1]!;
  return rows.map((row, i) => {
    const first = row.labels.findIndex((label) => label !== ignoredLabel);
    const counted = Int32Array.from(row.labels.slice(first));
    // A decoder alone tells at each place what comes next.
    const start = i * length + first - Number(labels === 'next ids');
    const logits = data.subarray(start * classes, (start + counted.length) * classes);
    return crossEntropyLoss(logits, counted, { gradient: false, reduction: 'none' }).losses;
  });
}
