import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Encoded } from '../../lib/model/texts.ts';
import { batchesOf } from '../../lib/train/order.ts';
import { train } from '../../lib/train.ts';
import { rejects } from '../rejects.ts';
import { eventsOf, examples, options, tinyModel, weightsOf, withFolder } from './tiny.ts';

const test = suite('batchesOf');

const ids = (count: number) => Array.from({ length: count }, () => 7);
const encoded = fc
  .array(
    fc.record({ input: fc.integer({ min: 1, max: 60 }), output: fc.integer({ min: 1, max: 9 }) }),
  )
  .map((lengths) =>
    lengths.map(({ input, output }) => ({ inputIds: ids(input), labels: ids(output) })),
  );
const choices = fc.record({
  seed: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  batchSize: fc.integer({ min: 1, max: 9 }),
  bucketByLength: fc.boolean(),
});

test('has every example once an epoch, in full batches but for the last', () => {
  fc.assert(
    fc.property(encoded, choices, fc.integer({ min: 1, max: 99 }), (items, order, epoch) => {
      const batches = batchesOf(items, epoch, order);
      assert.is(new Set(batches.flat()).size, items.length, 'each is there');
      assert.is(batches.flat().length, items.length, 'and once');
      assert.is(batches.length, Math.ceil(items.length / order.batchSize));
      assert.ok(batches.slice(0, -1).every(({ length }) => length === order.batchSize));
      assert.equal(batchesOf(items, epoch, order), batches);
    }),
  );
});

/** The cells of all batches that hold padding, as a share. */
function padding(batches: readonly (readonly Encoded[])[]): number {
  let [cells, read] = [0, 0];
  for (const batch of batches) {
    const lengths = batch.map(({ inputIds }) => inputIds.length);
    cells += Math.max(...lengths) * batch.length;
    read += lengths.reduce((sum, length) => sum + length, 0);
  }
  return 1 - read / cells;
}

test('buckets have little padding, and neither their order nor their company stays', () => {
  const items = Array.from({ length: 1000 }, (_, i) => ({
    inputIds: ids(10 + ((i * 37) % 191)),
    labels: ids(1),
  }));
  const order = { seed: 42, batchSize: 8 };
  const plain = padding(batchesOf(items, 1, { ...order, bucketByLength: false }));
  const one = batchesOf(items, 1, { ...order, bucketByLength: true });
  assert.ok(plain > 0.35, `${plain}: lengths are spread evenly from 10 to 200`);
  assert.ok(padding(one) < 0.03, `${padding(one)}`);

  const lengths = one.map((batch) => batch[0]!.inputIds.length);
  const rising = lengths.slice(1).filter((length, i) => length > lengths[i]!).length;
  assert.ok(rising > 40 && rising < 85, `${rising} of 124: the batches are in no order`);
  const two = batchesOf(items, 2, { ...order, bucketByLength: true });
  const company = (batches: Encoded[][]) =>
    new Set(
      batches.map((batch) =>
        batch
          .map((item) => items.indexOf(item))
          .sort()
          .join(),
      ),
    );
  const known = company(one);
  assert.is([...company(two)].filter((batch) => known.has(batch)).length, 0);
});

test('goes on in the middle of an epoch of buckets to the same bits', async () => {
  await withFolder(async (out) => {
    const settings = { ...options, batchSize: 2, accumulate: 2, bucketByLength: true };
    using whole = tinyModel();
    await eventsOf(train(whole, examples, settings));

    const controller = new AbortController();
    const { signal } = controller;
    using first = tinyModel();
    const training = train(first, examples, { ...settings, out, signal });
    await rejects(
      (async () => {
        for await (const event of training) {
          if (event.type === 'step' && event.step === 4) controller.abort(new Error('enough'));
        }
      })(),
      /^enough$/,
    );
    using second = tinyModel();
    await rejects(
      eventsOf(train(second, examples, { ...settings, bucketByLength: false, out, resume: true })),
      /holds a checkpoint made with bucketByLength true, now false/,
    );
    await eventsOf(train(second, examples, { ...settings, out, resume: true }));
    assert.ok((await weightsOf(second)).equals(await weightsOf(whole)));

    using other = tinyModel();
    await eventsOf(train(other, examples, { ...settings, bucketByLength: false }));
    assert.not.ok((await weightsOf(other)).equals(await weightsOf(whole)), 'another order');
  });
});

test.run();
