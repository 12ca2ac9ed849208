import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Batch, Model } from '../../lib/model/index.ts';
import { Trainer, type TrainerOptions } from '../../lib/model/trainer.ts';
import { rejects } from '../rejects.ts';
import { fixturePath } from './fixture.ts';

const test = suite('checkpointActivations');

const options = { loss: { name: 'ce' }, epoch: 1, learningRate: 1e-2 } as const;

async function weightsOf(model: Model): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'dece-'));
  try {
    await model.save(folder);
    return await readFile(join(folder, 'model.safetensors'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

const batch: Batch = {
  inputIds: [
    [5, 9, 27, 21, 12, 5],
    [5, 25, 6],
    [7, 30, 8, 11],
  ],
};
const labelsOf = (name: string) => {
  if (name.endsWith('classification')) return [[1], [0], [2]];
  if (/t5|seq2seq/.test(name))
    return [
      [8, 4, 1],
      [16, 1],
      [20, 1],
    ];
  return batch.inputIds as number[][];
};

const blocks = { optimizer: 'badam', switchBlockEvery: 2, switchMode: 'descending' } as const;
for (const [name, own] of [
  ['t5-relu', {}],
  ['t5-gated', {}],
  ['t5-gated', blocks],
  ['models/gpt2', {}],
  ['models/codegen', {}],
  ['models/llama', {}],
  ['models/llama', blocks],
  ['models/llama', 'lora'],
  ['models/t5-gated', 'lora'],
  ['models/roberta-masked-lm', {}],
  ['models/roberta-classification', {}],
  ['models/roberta-seq2seq', {}],
  ['models/roberta-seq2seq', blocks],
] as const) {
  const how = typeof own === 'string' ? own : 'optimizer' in own ? own.optimizer : 'adamw';
  for (const dtype of ['float32', 'bfloat16'] as const) {
    test(`${name}, ${how}, ${dtype}: learns the same bits, with dropout`, async () => {
      const learn = async (checkpointActivations: boolean) => {
        using model = await Model.load(fixturePath(name.replace('models/t5', 't5')), {
          device: 'cpu',
          dtype,
        });
        const lora = { rank: 2, alpha: 4, dropout: 0.2, seed: 1 };
        if (own === 'lora') await model.addAdapter(lora);
        const trainer = { seed: 3, ...(own === 'lora' ? {} : own) } as TrainerOptions;
        using one = new Trainer(model, trainer);
        const results = [];
        for (let i = 0; i < 4; i++) {
          const rows = { ...batch, labels: labelsOf(name) };
          results.push(await one.step(rows, { ...options, checkpointActivations }));
        }
        if (own === 'lora') await model.mergeAdapter();
        return { results, weights: await weightsOf(model) };
      };
      const [kept, again] = [await learn(false), await learn(true)];
      assert.equal(again.results, kept.results);
      assert.ok(again.weights.equals(kept.weights));
    });
  }
}

test('names what is wrong', async () => {
  using model = await Model.load(fixturePath('models/llama'), { device: 'cpu' });
  using trainer = new Trainer(model, { seed: 0 });
  const wrong = { ...options, checkpointActivations: 1 as unknown as boolean };
  await rejects(
    trainer.step({ ...batch, labels: batch.inputIds }, wrong),
    /^checkpointActivations is 1: expected true or false$/,
  );
});

test.run();
