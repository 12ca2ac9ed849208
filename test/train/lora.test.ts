import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type TrainOptions, train } from '../../lib/train.ts';
import { rejects } from '../rejects.ts';
import { eventsOf, examples, options, tinyModel, weightsOf, withFolder } from './tiny.ts';

const test = suite('train with LoRA');

const lora = { rank: 4, alpha: 8, dropout: 0.1 };
const settings: TrainOptions = { ...options, lora };

async function merged(model: ReturnType<typeof tinyModel>): Promise<Buffer> {
  await model.mergeAdapter();
  return weightsOf(model);
}

test('learns, and leaves the adapter with the model', async () => {
  using model = tinyModel();
  const loss = { name: 'ce' } as const;
  const targets = ['q', 'v', 'wi', 'wo'];
  const events = await eventsOf(
    train(model, examples, {
      ...settings,
      ...{ lora: { ...lora, targets }, epochs: 40, learningRate: 3e-2, loss },
    }),
  );
  const losses = events.flatMap((event) => (event.type === 'epoch' ? [event.loss] : []));
  assert.ok(losses.at(-1)! < 0.8 * losses[0]!, `${losses[0]} to ${losses.at(-1)}`);
  assert.equal(model.adapter?.targets, targets);
});

test('ends with the same bits when it was aborted, with activations checkpointed or not', async () => {
  await withFolder(async (out) => {
    using whole = tinyModel();
    await eventsOf(train(whole, examples, settings));
    using model = tinyModel();
    const controller = new AbortController();
    const { signal } = controller;
    const stopped = (async () => {
      for await (const { type, step } of train(model, examples, { ...settings, out, signal })) {
        if (type === 'step' && step === 3) controller.abort();
      }
    })();
    await rejects(stopped, /aborted/);
    using other = tinyModel();
    const more = { ...settings, out, resume: true, checkpointActivations: true };
    await eventsOf(train(other, examples, more));
    assert.ok((await merged(other)).equals(await merged(whole)));
  });
});

test('names what is wrong, and leaves the model as it was', async () => {
  await withFolder(async (out) => {
    using model = tinyModel();
    const before = await weightsOf(model);
    const wrong = (extra: object, message: RegExp) =>
      rejects(eventsOf(train(model, examples, { ...settings, ...extra })), message);
    await wrong({ lora: { rank: 0, alpha: 1 } }, /^lora\.rank is 0: expected a whole number/);
    await wrong({ optimizer: 'badam' }, /^lora is .*: expected none, as the optimizer is badam$/);
    await wrong({ lora: { ...lora, targets: ['x'] } }, /^targets has x, which names no linear/);
    await wrong(
      { checkpointActivations: 1 },
      /^checkpointActivations is 1: expected true or false$/,
    );
    using another = tinyModel();
    await eventsOf(train(another, examples, { ...settings, epochs: 1, out }));
    await wrong({ out }, /holds a checkpoint: set resume/);
    await wrong(
      { out, resume: true, lora: { ...lora, rank: 2 } },
      /made with lora {"rank":4,.*}, now {"rank":2,.*}: expected the same/,
    );
    using base = tinyModel(2);
    await rejects(
      eventsOf(train(base, examples, { ...settings, epochs: 1, out, resume: true })),
      /^cannot restore .*: its adapter learnt above other weights than the model's$/,
    );
    assert.is(base.adapter, undefined);
    assert.ok(before.equals(await weightsOf(model)));
    await model.addAdapter({ ...lora, seed: 0 });
    await wrong({}, /^lora is .*: expected none, as the model has an adapter$/);
  });
});

test.run();
