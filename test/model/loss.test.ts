import { readFile, writeFile } from 'node:fs/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { referenceLoss } from '../../lib/bench/float64.ts';
import { Model } from '../../lib/model/index.ts';
import { type LossConfig, Trainer } from '../../lib/model/trainer.ts';
import { rejects } from '../rejects.ts';
import { isClose } from './fixture.ts';

const test = suite('the loss of a model');

const config = { model_type: 't5', vocab_size: 60, d_model: 32, d_kv: 8, d_ff: 64, num_layers: 1 };
const inputIds = [
  [3, 9, 27, 1],
  [5, 25, 1],
];
const labels = [
  [8, -100, 4, 1],
  [16, 1],
];
/** As labels, with the padding that a shorter row gets. */
const flat = [8, -100, 4, 1, 16, 1, -100, -100];
const counted = 5;

type Formula = Exclude<LossConfig, { name: 'custom' }>;
const losses: Formula[] = [
  { name: 'ce' },
  { name: 'ce', labelSmoothing: 0.2, mode: 'reference' },
  { name: 'dece' },
  { name: 'dece', alphaBase: 0.8, labelSmoothing: 0.05, mode: 'reference' },
  { name: 'dece', alphaBase: 1, labelSmoothing: 0.3 },
  { name: 'gce', q: 0.5 },
  { name: 'in-trust', alpha: 0.2, beta: 0.7, delta: 0.4 },
];

/** The mean over the rows that a mode counts, from the formulas in float64. */
function expected(logits: Float32Array, loss: Formula, epoch: number): number {
  const classes = config.vocab_size;
  let sum = 0;
  for (const [row, label] of flat.entries()) {
    if (label === -100) continue;
    const z = logits.subarray(row * classes, (row + 1) * classes);
    const filled = { ...defaults[loss.name], ...loss, epoch };
    sum += referenceLoss(z, label, filled).loss;
  }
  const all = loss.mode === 'reference' && loss.name !== 'ce';
  return sum / (all ? flat.length : counted);
}

const defaults = {
  ce: { labelSmoothing: 0 },
  dece: { alphaBase: 0.99, labelSmoothing: 0.1 },
  gce: { q: 0.7 },
  'in-trust': { alpha: 1, beta: 0.8, delta: 0.5 },
};

for (const loss of losses) {
  test(`is what the formula makes of its logits: ${JSON.stringify(loss)}`, async () => {
    using model = Model.create(config, { seed: 3 });
    const { data } = await model.logits({ inputIds, labels });
    for (const epoch of [1, 5]) {
      const found = await model.loss({ inputIds, labels }, { loss, epoch });
      assert.is(found.tokens, counted);
      isClose([found.loss], [expected(data, loss, epoch)], 1e-6);
    }
  });

  test(`is what a step reports, without dropout: ${JSON.stringify(loss)}`, async () => {
    using model = Model.create({ ...config, dropout_rate: 0 }, { seed: 3 });
    using trainer = new Trainer(model, { seed: 1 });
    const before = await model.loss({ inputIds, labels }, { loss, epoch: 3 });
    const options = { loss, epoch: 3, learningRate: 0 };
    const step = await trainer.step({ inputIds, labels }, options);
    isClose([step.loss], [before.loss], 1e-6);
  });

  test(`has the gradient that its differences show: ${JSON.stringify(loss)}`, async () => {
    const epoch = 2;
    const options = { loss, epoch, learningRate: 1e-4 };
    using model = Model.create({ ...config, dropout_rate: 0 }, { seed: 3 });
    // With a large eps and no mean before, AdamW's first step is -learningRate / eps * gradient.
    const eps = 100;
    using trainer = new Trainer(model, { seed: 1, eps, weightDecay: 0 });
    const rate = { ...options, learningRate: eps * 1e-3 };
    const before = await model.loss({ inputIds, labels }, { loss, epoch });
    const { gradientNorm } = await trainer.step({ inputIds, labels }, rate);
    const after = await model.loss({ inputIds, labels }, { loss, epoch });
    const expected = 1e-3 * gradientNorm ** 2;
    isClose([before.loss - after.loss], [expected], 0.05);
  });
}

test('is 0 where no label counts', async () => {
  using model = Model.create(config, { seed: 3 });
  const labels = [[-100], [-100]];
  const found = await model.loss({ inputIds, labels }, { loss: { name: 'dece' } });
  assert.equal(found, { loss: 0, tokens: 0 });
});

test('names what is wrong with its arguments', async () => {
  using model = Model.create(config, { seed: 3 });
  const loss = { name: 'ce' } as const;
  await rejects(model.loss({ inputIds }, { loss }), /^labels is undefined: expected the ids/);
  await rejects(
    model.loss({ inputIds, labels }, { loss: { name: 'dece', alphaBase: 2 } }),
    /^alphaBase is 2: expected in \(0, 1\]$/,
  );
  await rejects(
    model.loss({ inputIds, labels }, { loss, batch: 1 } as never),
    /^loss has an unknown option "batch"/,
  );
});

for (const tie of [true, false]) {
  for (const dtype of ['float32', 'bfloat16'] as const) {
    test(`trains alike with the logits of some rows at a time: ${dtype}${tie ? ', tied' : ''}`, async () => {
      const shape = { ...config, tie_word_embeddings: tie, dropout_rate: 0.1 };
      const run = async (logitsBytes?: number) => {
        using model = Model.create(shape, { seed: 3, dtype });
        using trainer = new Trainer(model, { seed: 3 });
        const found: number[] = [];
        for (const loss of losses) {
          const options = { loss, epoch: 2, learningRate: 1e-3, logitsBytes };
          const step = await trainer.step({ inputIds, labels }, options);
          found.push(step.loss, step.gradientNorm);
        }
        const { data } = await model.logits({ inputIds, labels });
        return { found, data };
      };
      const whole = await run();
      // One row, three of eight, and a limit that no batch of this size reaches.
      for (const logitsBytes of [1, 3 * 4 * config.vocab_size, 1e6]) {
        const { found, data } = await run(logitsBytes);
        isClose(found, whole.found, dtype === 'float32' ? 3e-6 : 0.02);
        isClose(data, whole.data, dtype === 'float32' ? 2e-5 : 0.03);
        if (logitsBytes === 1e6) assert.equal(data, whole.data);
      }
    });
  }
}

const memory = suite('a step');
const clear = '/proc/self/clear_refs';
const peak = async () =>
  1024 * Number(/^VmHWM:\s*(\d+) kB$/m.exec(await readFile('/proc/self/status', 'utf8'))![1]);
const resident = async () =>
  1024 * Number(/^VmRSS:\s*(\d+) kB$/m.exec(await readFile('/proc/self/status', 'utf8'))![1]);
const canMeasure = await writeFile(clear, '5').then(
  () => true,
  () => false,
);

if (canMeasure) {
  for (const dtype of ['float32', 'bfloat16'] as const) {
    memory(
      `needs memory for the logits once, whose place the gradient takes: ${dtype}`,
      async () => {
        const share = await shareOfLogits(dtype);
        assert.ok(share > 0.9, `${share} times the logits: the measurement is off`);
        assert.ok(share < 1.5, `${share} times the logits`);
      },
    );
    memory(`needs memory for some of the logits only, where it is told so: ${dtype}`, async () => {
      const share = await shareOfLogits(dtype, 2 ** 24); // of 131 or 66 MB
      assert.ok(share < (dtype === 'float32' ? 0.4 : 0.8), `${share} times the logits`);
    });
  }
} else {
  memory.skip('needs memory for the logits once: this system does not tell the peak', () => {});
}

/** The most memory that a step needs besides what was there before, over that of the logits. */
async function shareOfLogits(dtype: 'float32' | 'bfloat16', logitsBytes?: number): Promise<number> {
  const vocabulary = 32128;
  const shape = { ...config, vocab_size: vocabulary, d_model: 8, d_ff: 8 };
  using model = Model.create(shape, { seed: 1, dtype });
  using trainer = new Trainer(model, { seed: 1 });
  const rows = 16;
  const length = 64;
  const row = (i: number) => Array.from({ length }, (_, j) => 2 + 31 * i + j);
  const batch = {
    inputIds: Array.from({ length: rows }, (_, i) => row(i)),
    labels: Array.from({ length: rows }, (_, i) => row(i)),
  };
  const options = { loss: { name: 'dece' }, epoch: 1, learningRate: 1e-3, logitsBytes } as const;
  await trainer.step({ inputIds: [[1]], labels: [[1]] }, options);
  await writeFile(clear, '5');
  const before = await resident();
  await trainer.step(batch, options);
  const bytes = rows * length * vocabulary * (dtype === 'float32' ? 4 : 2);
  return ((await peak()) - before) / bytes;
}

test.run();
memory.run();
