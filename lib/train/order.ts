import type { Batch } from '../model/index.ts';
import type { Encoded } from '../model/texts.ts';
import { type Random, seeded, shuffle } from '../random.ts';
import type { Settings } from './options.ts';

type Order = Pick<Settings, 'seed' | 'batchSize' | 'bucketByLength'>;

/**
 * The examples of an epoch in batches: the same ones for a seed and an epoch, whatever was done before.
 *
 * With `bucketByLength`, runs of fifty batches of the shuffled examples are sorted by length and cut, and
 * the batches shuffled: a batch has little padding, and neither order nor company of an example is the same
 * in two epochs. The last batch, which may have fewer examples than the others, stays the last.
 */
export function batchesOf(examples: readonly Encoded[], epoch: number, order: Order): Encoded[][] {
  const { seed, batchSize, bucketByLength } = order;
  // Seeds of neighbouring epochs lie far apart, so that those of neighbouring seeds do not meet them.
  const random = seeded((seed + Math.imul(epoch, 0x9e3779b1)) >>> 0);
  const shuffled = shuffle(examples, random);
  return bucketByLength ? bucketed(shuffled, batchSize, random) : inPieces(shuffled, batchSize);
}

/** As transformers' `group_by_length` has it. */
const batchesInBucket = 50;

function bucketed(examples: readonly Encoded[], batchSize: number, random: Random): Encoded[][] {
  const whole = examples.length - (examples.length % batchSize);
  const buckets = inPieces(examples.slice(0, whole), batchesInBucket * batchSize);
  const sorted = buckets.flatMap((bucket) => bucket.toSorted((a, b) => lengthOf(b) - lengthOf(a)));
  const batches = shuffle(inPieces(sorted, batchSize), random);
  return whole === examples.length ? batches : [...batches, examples.slice(whole)];
}

const lengthOf = ({ inputIds, labels }: Encoded) => inputIds.length + labels.length;

export function inPieces<Item>(items: readonly Item[], size: number): Item[][] {
  const pieces: Item[][] = [];
  for (let start = 0; start < items.length; start += size) {
    pieces.push(items.slice(start, start + size));
  }
  return pieces;
}

/** What a step is given. */
export const batchOf = (rows: readonly Encoded[]): Batch => ({
  inputIds: rows.map(({ inputIds }) => inputIds),
  labels: rows.map(({ labels }) => labels),
});
