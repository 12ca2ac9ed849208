import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type BlockOptions, blockPlan, layersOf, namesOf } from '../../lib/model/blocks.ts';
import { type Batch, Model } from '../../lib/model/index.ts';
import { Trainer } from '../../lib/model/trainer.ts';
import { rejects } from '../rejects.ts';
import { fixturePath, isClose } from './fixture.ts';
import { readSafetensors } from './safetensors.ts';

const test = suite('BAdam');

const llama = { device: 'cpu' } as const;
const load = (name: string, options = {}) =>
  Model.load(fixturePath(`models/${name}`), { ...llama, ...options });

/** What scripts/badam_parity.py wrote. */
interface Case {
  options: BlockOptions;
  blocks: string[][];
  losses: number[];
  gradientNorms: number[];
  logits: number[];
}
const parity: { learningRate: number; weightDecay: number; cases: Record<string, Case> } =
  JSON.parse(readFileSync(fixturePath('badam.json'), 'utf8'));
const { right, labels } = JSON.parse(
  readFileSync(join(fixturePath('models/llama'), 'expected.json'), 'utf8'),
) as { right: { inputIds: number[][]; attentionMask: number[][] }; labels: number[][] };
const batch: Batch = { inputIds: right.inputIds, attentionMask: right.attentionMask, labels };
const step = { loss: { name: 'ce' }, epoch: 1, learningRate: parity.learningRate } as const;

const temporary = () => mkdtemp(join(tmpdir(), 'dece-'));

/** The weights of a model by their names. */
async function weightsOf(model: Model): Promise<Map<string, Buffer>> {
  const folder = await temporary();
  try {
    await model.save(folder);
    return readSafetensors(await readFile(join(folder, 'model.safetensors')));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The names of the weights that differ. */
const changes = (before: Map<string, Buffer>, after: Map<string, Buffer>) =>
  [...before.keys()].filter((name) => !before.get(name)!.equals(after.get(name)!));

for (const [name, { options, ...answer }] of Object.entries(parity.cases)) {
  test(`makes in twelve steps what PyTorch makes: ${name}`, async () => {
    const { weightDecay } = parity;
    using model = await load('llama');
    using trainer = new Trainer(model, { optimizer: 'badam', weightDecay, seed: 0, ...options });
    for (const [i, wanted] of answer.losses.entries()) {
      const { loss, gradientNorm } = await trainer.step(batch, step);
      isClose([loss], [wanted], 1e-5);
      isClose([gradientNorm], [answer.gradientNorms[i]!], 1e-4);
    }
    const { data, shape } = await model.logits(batch);
    const read = right.attentionMask.flat();
    const unpadded = (values: ArrayLike<number>) =>
      Array.from(values).filter((_, i) => read[Math.floor(i / shape[2]!)] === 1);
    isClose(unpadded(data), unpadded(answer.logits), 5e-5);
  });
}

/** A LLaMA with so many layers of width 16, for the order of blocks. */
const deep = (layers: number) =>
  Model.create(
    {
      model_type: 'llama',
      vocab_size: 40,
      hidden_size: 16,
      intermediate_size: 24,
      num_hidden_layers: layers,
      num_attention_heads: 4,
    },
    { ...llama, seed: 1 },
  );

/** The layer that each of so many steps changed. */
async function layersChanged(model: Model, trainer: Trainer, steps: number): Promise<number[]> {
  const layers = [];
  let before = await weightsOf(model);
  for (let i = 0; i < steps; i++) {
    await trainer.step(batch, step);
    const after = await weightsOf(model);
    const changed = new Set(changes(before, after).map((name) => /layers\.(\d+)/.exec(name)?.[1]));
    assert.is(changed.size, 1, [...changed].join());
    layers.push(Number([...changed][0]));
    before = after;
  }
  return layers;
}

for (const [options, wanted] of [
  [{ switchMode: 'descending', switchBlockEvery: 4 }, [2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0, 2]],
  [{ switchMode: 'ascending', switchBlockEvery: 2 }, [0, 1, 1, 2, 2, 0]],
  [{ switchMode: 'ascending', switchBlockEvery: 2, startBlock: 2 }, [2, 0, 0, 1]],
  [{ switchMode: 'descending', switchBlockEvery: 1, startBlock: 0 }, [0, 2, 1, 0]],
  [{ switchMode: 'fixed', switchBlockEvery: 2 }, [0, 0, 0]],
] as const) {
  test(`goes through three blocks as ${JSON.stringify(options)} says`, async () => {
    using model = deep(3);
    using trainer = new Trainer(model, { optimizer: 'badam', seed: 0, ...options });
    assert.equal(await layersChanged(model, trainer, wanted.length), wanted);
  });
}

test('shuffles the blocks anew for each pass, by the seed alone', async () => {
  const orderOf = async (seed: number) => {
    using model = deep(4);
    using trainer = new Trainer(model, { optimizer: 'badam', switchBlockEvery: 1, seed });
    return await layersChanged(model, trainer, 12);
  };
  const [first, again, other] = [await orderOf(5), await orderOf(5), await orderOf(6)];
  const passes = [0, 4, 8].map((start) => first.slice(start, start + 4));
  for (const pass of passes) assert.equal([...pass].sort(), [0, 1, 2, 3]);
  assert.is(new Set(passes.map(String)).size > 1, true);
  assert.equal(again, first);
  assert.not.equal(other, first);
});

for (const dtype of ['float32', 'bfloat16'] as const) {
  test(`goes on from a checkpoint with the same bits, in ${dtype}`, async () => {
    const folder = await temporary();
    try {
      using model = await load('llama', { dtype });
      const options = { optimizer: 'badam', switchBlockEvery: 3, seed: 2 } as const;
      using trainer = new Trainer(model, options);
      for (let i = 0; i < 4; i++) await trainer.step(batch, step);
      await trainer.save(folder);
      for (let i = 0; i < 5; i++) await trainer.step(batch, step);
      using other = await load('llama', { dtype });
      using restored = await Trainer.restore(other, folder);
      for (let i = 0; i < 5; i++) await restored.step(batch, step);
      assert.equal(changes(await weightsOf(model), await weightsOf(other)), []);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
}

test('a checkpoint whose plan or numbers of steps mean nothing is refused', async () => {
  const folder = await temporary();
  try {
    using model = await load('llama');
    using trainer = new Trainer(model, { optimizer: 'badam', switchBlockEvery: 3, seed: 2 });
    for (let i = 0; i < 4; i++) await trainer.step(batch, step);
    await trainer.save(folder);
    const path = join(folder, 'trainer.safetensors');
    const sound = await readFile(path);
    const largest = 2n ** 63n - 1n;
    const damages = [
      ...[-1n, -(2n ** 63n), 1n].map((value) => ['plan', 0, value] as const), // switchBlockEvery
      ...[-1n, 4n].map((value) => ['plan', 1, value] as const), // the order
      ...[-1n, largest].map((value) => ['steps', 0, value] as const), // done
      ...[-1n, 0n, largest].map((value) => ['steps', 1, value] as const), // the turn
      ...[-1n, 5n].map((value) => ['steps', 2, value] as const), // of this turn
    ];
    for (const [name, place, value] of damages) {
      const file = Buffer.from(sound);
      readSafetensors(file)
        .get(name)!
        .writeBigInt64LE(value, 8 * place);
      await writeFile(path, file);
      await rejects(
        Trainer.restore(model, folder),
        /^cannot restore .*: its plan of blocks is dam/,
      );
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('the bias of the head alone learns from some rows at a time what it learns from all', async () => {
  const run = async (logitsBytes?: number) => {
    using model = await load('codegen');
    const options = { optimizer: 'badam', blockPrefixes: ['lm_head.bias'], seed: 0 } as const;
    using trainer = new Trainer(model, options);
    const { gradientNorm } = await trainer.step(batch, { ...step, logitsBytes });
    return { gradientNorm, weights: await weightsOf(model) };
  };
  const [whole, parts] = [await run(), await run(8)];
  isClose([parts.gradientNorm], [whole.gradientNorm], 1e-5);
  using untouched = await load('codegen');
  assert.equal(changes(await weightsOf(untouched), parts.weights), ['lm_head.bias']);
});

test('a trainer of all weights beside it still changes them all', async () => {
  using model = await load('llama');
  using one = new Trainer(model, { optimizer: 'badam', seed: 0 });
  using all = new Trainer(model, { seed: 0 });
  await one.step(batch, step);
  const before = await weightsOf(model);
  await all.step(batch, step);
  assert.is(changes(before, await weightsOf(model)).length, before.size);
});

for (const [name, first, count] of [
  ['llama', 'model.layers.0.', 2],
  ['gpt2', 'transformer.h.0.', 2],
  ['codegen', 'transformer.h.0.', 2],
  ['glm', 'model.layers.0.', 2],
  ['roberta-masked-lm', 'roberta.encoder.layer.0.', 2],
  ['roberta-seq2seq', 'encoder.encoder.layer.0.', 4],
  ['../t5-gated', 'encoder.block.0.', 3],
] as const) {
  test(`finds the layers of ${name}, its embedding and the rest`, async () => {
    using model = await load(name);
    const names = namesOf(model.handle);
    const layers = layersOf(names);
    assert.equal([layers[0], layers.length], [first, count]);
    const options = { includeEmbedding: true, includeHead: true };
    const { blocks } = blockPlan(names, options, 0);
    assert.equal(
      blocks.flat().sort((a, b) => a - b),
      [...names.keys()],
    );
    assert.is(blocks.length, count + 2);
    const embedding = blocks[0]!.map((i) => names[i]!);
    assert.ok(
      embedding.every((one) => /embed|wte|wpe|shared/.test(one)),
      embedding.join(),
    );
    assert.not.ok(blocks.at(-1)!.some((i) => /embed|wte|wpe|shared/.test(names[i]!)));
  });
}

test('layers.1. is not the begin of layers.10.', () => {
  const names = ['layers.1.a', 'layers.10.a', 'head.weight'];
  const { blocks } = blockPlan(names, { blockPrefixes: ['layers.1', 'head'] }, 0);
  assert.equal(blocks, [[0], [2]]);
});

test('names the option that is wrong', async () => {
  using model = await load('llama');
  const wrong = (options: object, message: RegExp) =>
    assert.throws(() => new Trainer(model, { optimizer: 'badam', seed: 0, ...options }), message);
  wrong({ switchBlockEvery: 0 }, /^switchBlockEvery is 0: expected a whole number, at least 1$/);
  wrong(
    { switchMode: 'up' },
    /^switchMode is "up": expected one of random, ascending, descending, fixed$/,
  );
  wrong({ startBlock: 1 }, /^startBlock is 1: expected none, as the order is random$/);
  wrong({ switchMode: 'fixed', startBlock: 2 }, /^startBlock is 2: expected 0\.\.1$/);
  wrong(
    { blockPrefixes: [] },
    /^blockPrefixes is "\[\]": expected what names of parameters begin with, such as model\.layers\.0\.$/,
  );
  wrong(
    { blockPrefixes: ['transformer.h.0.'] },
    /^blockPrefixes\[0\] is "transformer\.h\.0\.": expected what names of parameters begin with, such as model\.layers\.0\.$/,
  );
  wrong({ activeModules: ['classifier'] }, /^activeModules\[0\] is "classifier": expected what/);
  wrong({ includeHead: 1 }, /^includeHead is 1: expected true or false$/);
  wrong(
    { optimizer: 'adamw', includeHead: true },
    /^includeHead is true: expected none, as it is for the optimizer 'badam' alone$/,
  );
});

test.run();
