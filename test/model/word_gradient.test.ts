import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Model } from '../../lib/model/index.ts';
import { nativeLoss } from '../../lib/model/loss.ts';
import { addon } from '../../lib/model/native.ts';
import { Trainer } from '../../lib/model/trainer.ts';
import { rejects } from '../rejects.ts';
import { difference, fixturePath } from './fixture.ts';

/** What scripts/word_gradient_golden.py computed with PyTorch. */
interface Golden {
  inputIds: number[][];
  labels: number[][];
  ids: number[];
  loss: number;
  gradient: number[];
}
const golden = JSON.parse(readFileSync(fixturePath('word_gradient.json'), 'utf8')) as Golden;
const loss = { name: 'ce' } as const;

const test = suite('wordGradient');

test("is PyTorch's gradient of the one-hot input", async () => {
  using model = await Model.load(fixturePath('t5-gated'), { device: 'cpu' });
  const { inputIds, labels, ids, gradient } = golden;
  const found = await model.wordGradient({ inputIds, labels }, ids, { loss });
  assert.equal(found.shape, [2, 40]);
  assert.ok(difference(found.data, gradient) < 1e-5, `${difference(found.data, gradient)}`);
  assert.ok(Math.abs((await model.loss({ inputIds, labels }, { loss })).loss - golden.loss) < 1e-5);
});

test('refuses models with a shared head, and ids that are not there', async () => {
  using tied = await Model.load(fixturePath('t5-relu'), { device: 'cpu' });
  const batch = { inputIds: [[3, 1]], labels: [[4, 1]] };
  await rejects(
    tied.wordGradient(batch, [3], { loss }),
    /^the model is "t5": expected a t5 with tie_word_embeddings false, whose embedding only reads$/,
  );
  using model = await Model.load(fixturePath('t5-gated'), { device: 'cpu' });
  await rejects(model.wordGradient(batch, [], { loss }), /^ids is 0: expected at least one id$/);
  await rejects(
    model.wordGradient(batch, [40], { loss }),
    /^ids\[0\]\[0\] is 40: expected 0\.\.39$/,
  );
});

test('says where the embedding has no gradient, or is not there', async () => {
  const batch = { inputIds: [[3, 1]], labels: [[4, 1]] };
  const frozen =
    /^shared\.weight has no gradient, as training of an adapter or of blocks leaves it: load the model again$/;
  for (const blocks of [false, true]) {
    using model = await Model.load(fixturePath('t5-gated'), { device: 'cpu' });
    if (!blocks) await model.addAdapter({ rank: 2, alpha: 4, seed: 1 });
    assert.is((await model.wordGradient(batch, [3], { loss })).data.length, 40);
    using trainer = new Trainer(model, { seed: 1, optimizer: blocks ? 'badam' : 'adamw' });
    await trainer.step(batch, { loss, epoch: 1, learningRate: 1e-3 });
    await rejects(model.wordGradient(batch, [3], { loss }), frozen);
  }
  using other = await Model.load(fixturePath('models/gpt2'), { device: 'cpu' });
  const ids = { data: Int32Array.of(3), shape: [1, 1] as [number, number] };
  const row = { data: Int32Array.of(3, 4), shape: [1, 2] as [number, number] };
  const native = { inputIds: row, labels: row };
  const formula = nativeLoss(loss, 1);
  await rejects(
    addon().wordGradient(other.handle, native, formula, ids, undefined),
    /^the model has no shared\.weight: expected a T5$/,
  );
});

test.run();
