import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Batch, Model } from '../../lib/model/index.ts';
import {
  checkpointName,
  type LossConfig,
  type StepOptions,
  Trainer,
} from '../../lib/model/trainer.ts';
import { rejects } from '../rejects.ts';
import { expectedOf, fixturePath, fixtures, isClose, withCopy } from './fixture.ts';

const test = suite('Trainer');

const config = {
  model_type: 't5',
  vocab_size: 60,
  d_model: 32,
  d_kv: 8,
  d_ff: 64,
  num_layers: 2,
  num_heads: 4,
};
/** Rows of two lengths; the second label of each is ignored. */
const batch: Batch = {
  inputIds: [
    [3, 9, 27, 21, 1],
    [5, 25, 1],
    [7, 49, 1],
  ],
  labels: [
    [8, -100, 4, 1],
    [16, -100, 1],
    [20, -100, 1],
  ],
};
const options: StepOptions = { loss: { name: 'dece' }, epoch: 2, learningRate: 1e-2 };

async function withFolder(use: (folder: string) => Promise<void>) {
  const folder = await mkdtemp(join(tmpdir(), 'dece-'));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** All weights, as bits. */
async function weightsOf(model: Model): Promise<Buffer> {
  let weights = Buffer.of();
  await withFolder(async (folder) => {
    await model.save(folder);
    weights = await readFile(join(folder, 'model.safetensors'));
  });
  return weights;
}

/** Calls `use` with a fixture that draws no dropout. */
async function withoutDropout(name: string, use: (model: Model) => Promise<void>) {
  await withCopy(name, async (directory) => {
    const path = join(directory, 'config.json');
    const settings = JSON.parse(await readFile(path, 'utf8'));
    await writeFile(path, JSON.stringify({ ...settings, dropout_rate: 0 }));
    using model = await Model.load(directory, { device: 'cpu' });
    await use(model);
  });
}

/** What scripts/t5_parity.py and scripts/trainer_parity.py wrote. */
interface Training {
  losses: number[];
  gradientNorms: number[];
  logits: number[];
}
interface DeceTraining extends Training {
  labels: number[][];
  learningRate: number;
  weightDecay: number;
  betas: [number, number];
  eps: number;
  alphaBase: number;
  labelSmoothing: number;
}

for (const name of fixtures) {
  const { inputIds, attentionMask, decoderInputIds, ...expected } = expectedOf(name);
  const { training } = expected as unknown as { training: Record<'ce' | 'dece', DeceTraining> };

  for (const kind of ['ce', 'dece'] as const) {
    test(`makes of ${name} in three steps with ${kind} what PyTorch makes of it`, async () => {
      const { labels, learningRate, weightDecay, betas, eps, ...answer } = training[kind];
      const { alphaBase, labelSmoothing } = answer;
      const loss: LossConfig =
        kind === 'ce' ? { name: 'ce' } : { name: 'dece', alphaBase, labelSmoothing };
      await withoutDropout(name, async (model) => {
        using trainer = new Trainer(model, { weightDecay, betas, eps, seed: 0 });
        const steps = [];
        for (const epoch of [1, 2, 3]) {
          const batch = { inputIds, attentionMask, labels };
          steps.push(await trainer.step(batch, { loss, epoch, learningRate }));
        }
        compare(steps, answer);
        const after = await model.logits({ inputIds, attentionMask, decoderInputIds });
        isClose(after.data, answer.logits, 2e-6);
      });
    });
  }
}

function compare(
  steps: { loss: number; gradientNorm: number; tokens: number }[],
  { losses, gradientNorms }: Training,
) {
  for (const [i, { loss, gradientNorm, tokens }] of steps.entries()) {
    isClose([loss], [losses[i]!], 2e-6);
    isClose([gradientNorm], [gradientNorms[i]!], 2e-6);
    assert.is(tokens, 12);
  }
}

interface Case extends Training {
  options: {
    clip?: number;
    weightDecay?: number;
    decay?: string;
    betas?: [number, number];
    eps?: number;
    labelSmoothing?: number;
  };
}
const parity: { learningRate: number; cases: Record<string, Case> } = JSON.parse(
  readFileSync(fixturePath('trainer.json'), 'utf8'),
);

for (const [name, { options, ...answer }] of Object.entries(parity.cases)) {
  test(`agrees with PyTorch on ${name}`, async () => {
    const { inputIds, attentionMask, decoderInputIds, ...expected } = expectedOf('t5-relu');
    const { labels } = (expected as unknown as { training: { ce: DeceTraining } }).training.ce;
    const { clip, labelSmoothing = 0, decay, ...adamw } = options;
    const noNorms = (name: string) => !name.includes('layer_norm');
    await withoutDropout('t5-relu', async (model) => {
      using trainer = new Trainer(model, { ...adamw, seed: 0, ...(decay && { decay: noNorms }) });
      const steps = [];
      for (const epoch of [1, 2, 3]) {
        const { learningRate } = parity;
        const batch = { inputIds, attentionMask, labels };
        const loss = { name: 'ce' as const, labelSmoothing };
        steps.push(await trainer.step(batch, { loss, epoch, learningRate, clip }));
      }
      compare(steps, answer);
      const after = await model.logits({ inputIds, attentionMask, decoderInputIds });
      isClose(after.data, answer.logits, 5e-6);
    });
  });
}

test('takes several batches for one, whatever their padding and their share of tokens', async () => {
  const { inputIds, labels } = batch as { inputIds: number[][]; labels: number[][] };
  const parts = [
    { inputIds: inputIds.slice(0, 1), labels: labels.slice(0, 1) },
    { inputIds: inputIds.slice(1), labels: labels.slice(1) },
  ];
  const loss = { name: 'dece', mode: 'paper' } as const;
  using whole = Model.create({ ...config, dropout_rate: 0 }, { seed: 1 });
  using split = Model.create({ ...config, dropout_rate: 0 }, { seed: 1 });
  using trainer = new Trainer(whole, { seed: 1 });
  using splitTrainer = new Trainer(split, { seed: 1 });
  for (let step = 0; step < 3; step++) {
    const one = await trainer.step(batch, { ...options, loss });
    const two = await splitTrainer.step(parts, { ...options, loss });
    assert.is(two.tokens, one.tokens);
    isClose([two.loss, two.gradientNorm], [one.loss, one.gradientNorm], 2e-6);
  }
  isClose((await split.logits(batch)).data, (await whole.logits(batch)).data, 1e-5);
});

test('changes nothing that clipping does not reach', async () => {
  const after = async (clip: number | undefined) => {
    using model = Model.create(config, { seed: 1 });
    using trainer = new Trainer(model, { seed: 1 });
    for (let step = 0; step < 3; step++) await trainer.step(batch, { ...options, clip });
    return await weightsOf(model);
  };
  const free = await after(undefined);
  assert.ok(free.equals(await after(1e6)));
  assert.not.ok(free.equals(await after(1e-2)));
});

for (const dtype of ['float32', 'bfloat16'] as const) {
  test(`goes on from a checkpoint with the same bits in ${dtype}`, async () => {
    await withFolder(async (folder) => {
      using model = Model.create(config, { seed: 1, dtype });
      using trainer = new Trainer(model, { seed: 7, weightDecay: 0.1, betas: [0.8, 0.99] });
      for (let step = 0; step < 2; step++) await trainer.step(batch, options);
      await trainer.save(folder, 'after two steps: ☃');
      for (let step = 0; step < 3; step++) await trainer.step(batch, options);

      using other = Model.create(config, { seed: 2, dtype });
      using restored = await Trainer.restore(other, folder);
      assert.is(await Trainer.readNote(folder), 'after two steps: ☃');
      for (let step = 0; step < 3; step++) await restored.step(batch, options);
      assert.ok((await weightsOf(model)).equals(await weightsOf(other)));

      // And the optimizers are in the same state.
      const [one, two] = [join(folder, 'one'), join(folder, 'two')];
      await trainer.save(one);
      await restored.save(two);
      const files = [one, two].map((place) => readFileSync(join(place, checkpointName)));
      assert.ok(files[0]!.equals(files[1]!));
    });
  });
}

test('leaves the model alone when a checkpoint does not fit', async () => {
  await withFolder(async (folder) => {
    using model = Model.create(config, { seed: 1 });
    using trainer = new Trainer(model, { seed: 1 });
    await trainer.save(folder);
    const file = join(folder, checkpointName);

    for (const [change, message] of [
      [
        { d_ff: 32 },
        /^cannot restore .*: weight\.encoder\S* is float \[64, 32\]: expected float \[32, 32\]$/i,
      ],
      [{ num_layers: 3 }, /^cannot restore .*: it lacks weight\.encoder\.block\.2\./],
      [{ num_decoder_layers: 1 }, /^cannot restore .*: it holds \d+ weights: expected \d+$/],
    ] as const) {
      using other = Model.create({ ...config, ...change }, { seed: 2 });
      const before = await weightsOf(other);
      await rejects(Trainer.restore(other, folder), message);
      assert.ok(before.equals(await weightsOf(other)));
    }

    await writeFile(file, (await readFile(file)).subarray(0, -1));
    await rejects(Trainer.restore(model, folder), /^cannot read .*: the file is truncated$/);
    await rejects(Trainer.restore(model, join(folder, 'x')), /^cannot open .*: No such file/);
  });
});

test('is as it was when a step is aborted', async () => {
  using model = Model.create(config, { seed: 1 });
  using trainer = new Trainer(model, { seed: 1 });
  using other = Model.create(config, { seed: 1 });
  using undisturbed = new Trainer(other, { seed: 1 });
  await trainer.step(batch, options);
  await undisturbed.step(batch, options);

  const many = new Array(400).fill(batch);
  const reason = new Error('enough');
  let aborted = 0;
  for (const delayMs of [0, 1, 5, 20]) {
    const controller = new AbortController();
    const { signal } = controller;
    const started = performance.now();
    const outcome = trainer.step(many, { ...options, signal }).then(
      () => undefined,
      (error: unknown) => error,
    );
    await (delayMs === 0 ? setImmediate() : setTimeout(delayMs));
    controller.abort(reason);
    if ((await outcome) === reason) aborted++;
    assert.ok(performance.now() - started < 2000);
  }
  assert.is(aborted, 4);

  await rejects(trainer.step(batch, { ...options, signal: AbortSignal.abort(reason) }), /^enough$/);
  await trainer.step(batch, options);
  await undisturbed.step(batch, options);
  assert.ok((await weightsOf(model)).equals(await weightsOf(other)));
});

test('refuses a step whose loss is not finite, and says which', async () => {
  using model = Model.create({ ...config, dropout_rate: 0 }, { seed: 1 });
  using trainer = new Trainer(model, { seed: 1 });
  const loss = { name: 'ce' } as const;
  await trainer.step(batch, { loss, epoch: 1, learningRate: 1e30 });
  const before = await weightsOf(model);
  await rejects(
    trainer.step(batch, { loss, epoch: 1, learningRate: 1e-3 }),
    /^step 2: the loss is \S+ and the norm of its gradient (nan|inf): expected finite numbers; a lower/,
  );
  assert.ok(before.equals(await weightsOf(model)));
});

test('trains bfloat16 by steps too small for bfloat16 itself', async () => {
  const losses = async (dtype: 'float32' | 'bfloat16') => {
    using model = Model.create({ ...config, dropout_rate: 0 }, { seed: 1, dtype });
    using trainer = new Trainer(model, { seed: 1 });
    const found = [];
    for (let step = 0; step < 20; step++) {
      const { loss } = await trainer.step(batch, {
        loss: { name: 'ce' },
        epoch: 1,
        learningRate: 2e-4,
      });
      found.push(loss);
    }
    return found;
  };
  const [exact, rounded] = [await losses('float32'), await losses('bfloat16')];
  assert.ok(exact[19]! < 0.7 * exact[0]!, `${exact[0]} to ${exact[19]}`);
  isClose(rounded, exact, 0.03);
});

for (const dtype of ['float32', 'bfloat16'] as const) {
  test(`goes on from what another trainer made of the weights in ${dtype}`, async () => {
    await withFolder(async (folder) => {
      using model = Model.create({ ...config, dropout_rate: 0 }, { seed: 1, dtype });
      using trainer = new Trainer(model, { seed: 1, weightDecay: 0 });
      using other = new Trainer(model, { seed: 2 });
      const at = (learningRate: number) => ({
        loss: { name: 'ce' } as const,
        epoch: 1,
        learningRate,
      });
      await trainer.step(batch, at(1e-3));
      await other.step(batch, at(1e-3));
      const learnt = await weightsOf(model);
      await trainer.step(batch, at(0));
      assert.ok(learnt.equals(await weightsOf(model)), 'a step at rate 0');
      await other.step(batch, at(1e-3));
      const more = await weightsOf(model);
      await trainer.save(folder);
      using restored = Model.create({ ...config, dropout_rate: 0 }, { seed: 3, dtype });
      using _trainer = await Trainer.restore(restored, folder);
      assert.ok(more.equals(await weightsOf(restored)), 'a checkpoint');
    });
  });
}

test('takes a dropout rate that is next to nothing for that', async () => {
  using model = Model.create({ ...config, dropout_rate: 1e-17 }, { seed: 1 });
  using trainer = new Trainer(model, { seed: 1 });
  const options = { loss: { name: 'ce' } as const, epoch: 1 };
  const { loss } = await model.loss(batch, options);
  const step = await trainer.step(batch, { ...options, learningRate: 0 });
  isClose([step.loss], [loss], 1e-6);
});

test('names what is wrong with its arguments', async () => {
  using model = Model.create(config, { seed: 1 });
  const make = (extra: object) => () => new Trainer(model, { seed: 1, ...extra });
  assert.throws(make({ beta: 1 }), /^Trainer has an unknown option "beta": expected optimizer, /);
  assert.throws(make({ betas: [0.9, 1] }), /^betas is 0\.9,1: expected two numbers in \[0, 1\)$/);
  assert.throws(make({ weightDecay: -1 }), /^weightDecay is -1: expected a number, at least 0$/);
  assert.throws(make({ seed: 0.5 }), /^seed is 0\.5: expected a whole number, at least 0$/);
  assert.throws(make({ optimizer: 'sgd' }), /^optimizer is "sgd": expected adamw or badam$/);

  assert.throws(make({ decay: 'bias' }), /^decay is "bias": expected a function of names$/);
  const list = 'expected a list of begins of names$';
  for (const key of ['blockPrefixes', 'activeModules']) {
    const one = make({ optimizer: 'badam', [key]: 'encoder.block.0.' });
    assert.throws(one, new RegExp(`^${key} is "encoder\\.block\\.0\\.": ${list}`));
  }

  using trainer = new Trainer(model, { seed: 1 });
  await rejects(
    trainer.step(null as never, options as StepOptions),
    /^batch is null: expected one/,
  );
  const step = (one: object, extra: object = {}) =>
    trainer.step({ ...batch, ...one }, { ...options, ...extra } as StepOptions);
  await rejects(step({}, { loss: 'ce' }), /^loss is "ce": expected one by its name, as { name:/);
  await rejects(
    step({ labels: [[8, 60], [1], [1]] }),
    /^labels\[0\]\[1\] is 60: expected 0\.\.59, or -100$/,
  );
  await rejects(step({ labels: [[8, 2]] }), /^labels has 1 rows: expected 3, as inputIds has$/);
  await rejects(
    step({ decoderInputIds: [[0], [0], [0]] }),
    /^labels and decoderInputIds differ in shape: expected a label for each id/,
  );
  await rejects(step({ labels: undefined }), /^labels is undefined: expected the ids/);
  await rejects(
    step({ labels: [[-100], [-100], [-100]] }),
    /^labels are all -100: expected at least one to count$/,
  );
  await rejects(
    step({}, { epoch: undefined }),
    /^epoch is undefined: expected a number, at least 0$/,
  );
  await rejects(step({}, { learningRate: Number.NaN }), /^learningRate is NaN: expected/);
  await rejects(step({}, { clip: 0 }), /^clip is 0: expected a number above 0$/);
  await rejects(step({}, { rate: 1 }), /^step has an unknown option "rate"/);
  await rejects(step({}, { epoch: -1 }), /^epoch is -1: expected a number, at least 0$/);
  await rejects(
    step({}, { loss: { name: 'mse' } }),
    /^loss\.name is "mse": expected one of dece, ce/,
  );
  await rejects(
    step({}, { loss: { name: 'gce', epoch: 1 } }),
    /^loss gce has an unknown option "epoch": expected q, mode$/,
  );
  await rejects(trainer.step([], options), /^batch is : expected at least one$/);

  trainer.dispose();
  trainer.dispose();
  await rejects(trainer.step(batch, options), /^the trainer has been disposed: make another one$/);
});

test('outlives the model that it was made of', async () => {
  const model = Model.create(config, { seed: 1 });
  using trainer = new Trainer(model, { seed: 1 });
  model.dispose();
  const { loss } = await trainer.step(batch, options);
  assert.ok(loss > 0);
});

test.run();
