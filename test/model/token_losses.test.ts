import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Model } from '../../lib/model/index.ts';
import { tokenLosses } from '../../lib/model/token_losses.ts';

const test = suite('losses of tokens');

const t5 = { model_type: 't5', vocab_size: 64, d_model: 8, d_kv: 4, num_heads: 2, d_ff: 8 };
const sizes = { num_layers: 1, num_decoder_layers: 1 };

/** How many rows are done after each batch, of so many rows with inputs of a length. */
async function doneOf(count: number, length: number): Promise<number[]> {
  const model = Model.create({ ...t5, ...sizes }, { seed: 1 });
  const rows = Array.from({ length: count }, () => ({
    inputIds: Array.from({ length }, (_, i) => 3 + (i % 60)),
    labels: [5, 6, 1],
  }));
  const done: number[] = [];
  await tokenLosses(model, rows, { onProgress: (now) => done.push(now) });
  model.dispose();
  return done;
}

test('long inputs share no batch, which attention would need gigabytes for', async () => {
  assert.equal(await doneOf(40, 100), [32, 40]);
  assert.equal(await doneOf(5, 2000), [2, 4, 5]);
  assert.equal(await doneOf(2, 3000), [1, 2]);
});

test.run();
