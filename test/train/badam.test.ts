import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Trainer } from '../../lib/model/trainer.ts';
import { type TrainOptions, train } from '../../lib/train.ts';
import { rejects } from '../rejects.ts';
import { eventsOf, examples, options, tinyModel, weightsOf, withFolder } from './tiny.ts';

const test = suite('train with BAdam');

const settings: TrainOptions = {
  ...options,
  optimizer: 'badam',
  switchBlockEvery: 2,
  includeHead: true,
};

test('ends with the same bits when it was aborted within a turn', async () => {
  await withFolder(async (out) => {
    using whole = tinyModel();
    await eventsOf(train(whole, examples, settings));
    for (const stop of [2, 3, 4]) {
      const directory = join(out, String(stop));
      using model = tinyModel();
      const controller = new AbortController();
      const { signal } = controller;
      const first = train(model, examples, { ...settings, out: directory, signal });
      const stopped = (async () => {
        for await (const { type, step } of first) {
          if (type === 'step' && step === stop) controller.abort();
        }
      })();
      await rejects(stopped, /aborted/);
      using other = tinyModel(9);
      const events = await eventsOf(
        train(other, examples, { ...settings, out: directory, resume: true }),
      );
      assert.is(events.find(({ type }) => type === 'step')?.step, stop + 1);
      assert.ok((await weightsOf(other)).equals(await weightsOf(whole)), `stopped at ${stop}`);
    }
  });
});

// 2 layers; the advice of the authors: examples / (batch * blocks), but 50 to 100.
for (const [batchSize, accumulate, count, wanted] of [
  [1, 1, 12, 50],
  [1, 1, 150, 75],
  [2, 1, 300, 75],
  [1, 2, 300, 75],
  [1, 1, 1000, 100],
] as const) {
  test(`${count} examples in batches of ${batchSize} x ${accumulate}: ${wanted} steps a block`, async () => {
    await withFolder(async (out) => {
      using model = tinyModel();
      const { switchBlockEvery: _, includeHead: __, ...rest } = settings;
      const many = Array.from({ length: count }, (_, i) => ({
        ...examples[i % examples.length]!,
        id: String(i),
      }));
      const own = { ...rest, batchSize, accumulate, epochs: 1, out, checkpointEvery: 1 };
      for await (const { type } of train(model, many, own)) if (type === 'checkpoint') break;
      const note = JSON.parse(await Trainer.readNote(join(out, 'checkpoints')));
      assert.equal(note.inputs.blocks, { switchBlockEvery: wanted });
    });
  });
}

test('goes on with the same blocks only', async () => {
  await withFolder(async (out) => {
    using model = tinyModel();
    await eventsOf(train(model, examples, { ...settings, epochs: 1, out }));
    const { includeHead, switchBlockEvery, ...rest } = settings;
    const reordered = { includeHead: includeHead!, switchBlockEvery: switchBlockEvery!, ...rest };
    await eventsOf(train(model, examples, { ...reordered, epochs: 1, out, resume: true }));
    const other = { ...settings, epochs: 1, out, resume: true, switchBlockEvery: 3 };
    await rejects(
      eventsOf(train(model, examples, other)),
      /made with blocks {"switchBlockEvery":2,.*}, now {"switchBlockEvery":3,.*}: expected the same/,
    );
  });
});

test('learns', async () => {
  using model = tinyModel();
  const loss = { name: 'ce' } as const;
  const events = await eventsOf(
    train(model, examples, {
      ...settings,
      includeEmbedding: true,
      epochs: 40,
      learningRate: 3e-2,
      loss,
    }),
  );
  const losses = events.flatMap((event) => (event.type === 'epoch' ? [event.loss] : []));
  assert.ok(losses.at(-1)! < 0.7 * losses[0]!, `${losses[0]} to ${losses.at(-1)}`);
});

test.run();
