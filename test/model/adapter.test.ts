import { execFileSync, type StdioOptions } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Batch, Model } from '../../lib/model/index.ts';
import { Trainer } from '../../lib/model/trainer.ts';
import { canImport } from '../python.ts';
import { rejects } from '../rejects.ts';
import { fixturePath, isClose } from './fixture.ts';
import { readSafetensors } from './safetensors.ts';
import { dropouts } from './without_dropout.ts';

const test = suite('LoRA');

/** What scripts/lora_parity.py wrote. */
interface Expected {
  logits: number[];
  losses: number[];
  gradientNorms: number[];
  trained: number[];
}
const adapterPath = (name: string) => fixturePath(`lora/${name}`);
const basePath = (name: string) =>
  fixturePath(name.startsWith('t5') ? name : `models/${name.replace(/-all$/, '')}`);
const json = (path: string) => JSON.parse(readFileSync(path, 'utf8'));

function batchOf(name: string): Batch {
  const expected = json(join(basePath(name), 'expected.json'));
  const { inputIds, attentionMask, decoderInputIds } = expected.right ?? expected;
  const labels = expected.labels ?? expected.training.ce.labels;
  return {
    inputIds,
    attentionMask,
    ...(decoderInputIds && { decoderInputIds }),
    labels,
  };
}

async function withFolder(use: (folder: string) => Promise<void>) {
  const folder = await mkdtemp(join(tmpdir(), 'dece-'));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A checkpoint that draws no dropout. */
async function load(name: string, dtype: 'float32' | 'bfloat16' = 'float32'): Promise<Model> {
  const folder = await mkdtemp(join(tmpdir(), 'dece-'));
  try {
    await cp(basePath(name), folder, { recursive: true });
    const path = join(folder, 'config.json');
    const config = json(path);
    for (const key of dropouts) if (key in config) config[key] = 0;
    await writeFile(path, JSON.stringify(config));
    return await Model.load(folder, { device: 'cpu', dtype });
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Logits at positions that are read. */
async function logitsOf(model: Model, { labels: _, ...batch }: Batch): Promise<number[]> {
  const { data, shape } = await model.logits(batch);
  return unpadded(data, shape, batch);
}

function unpadded(values: ArrayLike<number>, shape: number[], batch: Batch): number[] {
  const mask = batch.decoderInputIds ? undefined : (batch.attentionMask as number[][]).flat();
  const width = shape.at(-1)!;
  return Array.from(values).filter((_, i) => mask === undefined || mask[Math.floor(i / width)]);
}

const names = [
  ...['t5-gated', 'gpt2', 'codegen', 'llama', 'llama-all', 'glm', 'roberta-masked-lm'],
] as const;
for (const name of names) {
  const expected = json(join(adapterPath(name), 'expected.json')) as Expected;
  const batch = batchOf(name);
  const close = async (model: Model, wanted: number[], tolerance: number) => {
    const { labels: _, ...inputs } = batch;
    const { data, shape } = await model.logits(inputs);
    isClose(unpadded(data, shape, batch), unpadded(wanted, shape, batch), tolerance);
  };

  test(`${name}: computes, learns and merges as PEFT does`, async () => {
    using model = await load(name);
    await model.loadAdapter(adapterPath(name));
    await close(model, expected.logits, 5e-6);
    using trainer = new Trainer(model, { seed: 0 });
    const options = { loss: { name: 'ce' }, epoch: 1, learningRate: 1e-2 } as const;
    for (const [i, wanted] of expected.losses.entries()) {
      const { loss, gradientNorm } = await trainer.step(batch, options);
      isClose([loss], [wanted], 5e-6);
      isClose([gradientNorm], [expected.gradientNorms[i]!], 5e-5);
    }
    await close(model, expected.trained, 5e-5);
    await model.mergeAdapter();
    await close(model, expected.trained, 5e-5);
    await rejects(
      trainer.step(batch, options),
      /^the model has got or lost an adapter since the trainer was made: make another trainer$/,
    );
  });

  test(`${name}: is saved as PEFT saves it`, async () => {
    await withFolder(async (folder) => {
      using model = await load(name);
      await model.loadAdapter(adapterPath(name));
      await model.saveAdapter(folder);
      const file = 'adapter_model.safetensors';
      const tensors = async (directory: string) =>
        [...readSafetensors(await readFile(join(directory, file)))].sort();
      assert.equal(await tensors(folder), await tensors(adapterPath(name)));
      const theirs = json(join(adapterPath(name), 'adapter_config.json'));
      const { task_type: _, ...ours } = json(join(folder, 'adapter_config.json'));
      for (const key of Object.keys(ours)) assert.equal(ours[key], theirs[key], key);
    });
  });
}

test('chooses the layers that PEFT chooses', async () => {
  for (const name of ['t5-gated', 'gpt2', 'codegen', 'llama', 'roberta-masked-lm']) {
    using model = await load(name);
    await model.addAdapter({ rank: 4, alpha: 8, seed: 1 });
    const wanted = readSafetensors(
      readFileSync(join(adapterPath(name), 'adapter_model.safetensors')),
    );
    const found = model.handle.trained.map((one) => `base_model.model.${one.name}`);
    assert.equal(found.sort(), [...wanted.keys()].sort(), name);
  }
  using chatglm = await load('chatglm');
  await chatglm.addAdapter({ rank: 2, alpha: 2, seed: 1 });
  assert.equal(
    [...new Set(chatglm.handle.trained.map((one) => one.name.split('.').slice(-4, -1).join('.')))],
    ['self_attention.query_key_value.lora_A', 'self_attention.query_key_value.lora_B'],
  );
});

test('adds nothing at first, by a seed, and leaves the base as it is', async () => {
  await withFolder(async (folder) => {
    const batch = batchOf('llama');
    const adapter = async (seed: number, where: string) => {
      using model = await load('llama');
      const before = await logitsOf(model, batch);
      await model.addAdapter({ rank: 3, alpha: 6, dropout: 0.5, seed });
      assert.equal(await logitsOf(model, batch), before);
      using trainer = new Trainer(model, { seed: 1 });
      await trainer.step(batch, { loss: { name: 'ce' }, epoch: 1, learningRate: 1e-2 });
      assert.not.equal(await logitsOf(model, batch), before);
      await model.saveAdapter(join(folder, where));
      return readFile(join(folder, where, 'adapter_model.safetensors'));
    };
    const [one, same, other] = [
      await adapter(5, 'a'),
      await adapter(5, 'b'),
      await adapter(6, 'c'),
    ];
    assert.ok(one.equals(same));
    assert.not.ok(one.equals(other));
    // What it had learnt beside another copy of the base is the same.
    using first = await load('llama');
    await first.loadAdapter(join(folder, 'a'));
    const logits = await logitsOf(first, batch);
    await first.mergeAdapter();
    await first.save(join(folder, 'merged'));
    using merged = await Model.load(join(folder, 'merged'), { device: 'cpu' });
    isClose(await logitsOf(merged, batch), logits, 1e-5);
  });
});

test('A begins uniform within 1 / sqrt(inputs)', async () => {
  await withFolder(async (folder) => {
    using model = await load('llama');
    await model.addAdapter({ rank: 64, alpha: 6, targets: ['down_proj'], seed: 3 });
    await model.saveAdapter(folder);
    const tensors = readSafetensors(await readFile(join(folder, 'adapter_model.safetensors')));
    const bytes = [...tensors].find(([name]) => name.includes('lora_A'))![1];
    const values = new Float32Array(Uint8Array.from(bytes).buffer);
    assert.is(values.length, 64 * 24);
    const bound = 1 / Math.sqrt(24);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const square = values.reduce((sum, value) => sum + value * value, 0) / values.length;
    assert.ok(values.every((value) => Math.abs(value) <= bound));
    assert.ok(Math.abs(mean) < 0.1 * bound, `mean ${mean}`);
    assert.ok(Math.abs(Math.sqrt(3 * square) / bound - 1) < 0.05, `square ${square}`);
  });
});

test('a model of bfloat16 learns a float32 adapter, and writes with it what it writes merged', async () => {
  for (const name of ['llama', 't5-gated']) {
    using model = await load(name, 'bfloat16');
    await model.addAdapter({ rank: 4, alpha: 8, seed: 1 });
    const batch = batchOf(name);
    using trainer = new Trainer(model, { seed: 1 });
    const losses = [];
    for (let i = 0; i < 8; i++) {
      const options = { loss: { name: 'ce' }, epoch: 1, learningRate: 1e-2 } as const;
      losses.push((await trainer.step(batch, options)).loss);
    }
    assert.ok(losses.at(-1)! < 0.8 * losses[0]!, `${name} ${losses}`);
    const { inputIds, attentionMask } = batch;
    const write = () =>
      model.generateIds({ inputIds, attentionMask: attentionMask! }, { maxNewTokens: 4 });
    const before = await write();
    await model.mergeAdapter();
    assert.equal(await write(), before);
  }
});

const batch = batchOf('llama');
const options = { loss: { name: 'ce' }, epoch: 1, learningRate: 1e-2 } as const;
const lora = { rank: 2, alpha: 4, dropout: 0.3, seed: 1 };

/** A trainer of an adapter that has taken a step and left a checkpoint. */
async function saved(model: Model, folder: string): Promise<Trainer> {
  await model.addAdapter(lora);
  const trainer = new Trainer(model, { seed: 2 });
  await trainer.step(batch, options);
  await trainer.save(folder);
  return trainer;
}

test('goes on from a checkpoint with the same bits', async () => {
  await withFolder(async (folder) => {
    using model = await load('llama');
    using trainer = await saved(model, folder);
    await trainer.step(batch, options);
    using other = await load('llama');
    await rejects(Trainer.restore(other, folder), /^cannot restore .*: it lacks weight\.model\./);
    await other.addAdapter({ ...lora, seed: 9 });
    using restored = await Trainer.restore(other, folder);
    await restored.step(batch, options);
    assert.equal(await logitsOf(other, batch), await logitsOf(model, batch));
  });
});

test('a trainer changes the adapter that it was made for and no other', async () => {
  await withFolder(async (folder) => {
    using model = await load('llama');
    await model.addAdapter(lora);
    using trainer = new Trainer(model, { seed: 2 });
    for (let i = 0; i < 3; i++) await trainer.step(batch, options);
    await model.mergeAdapter();
    const merged = await logitsOf(model, batch);
    await model.addAdapter(lora);
    const message = /^the model has got or lost an adapter since the trainer was made/;
    await rejects(trainer.step(batch, { ...options, learningRate: 0 }), message);
    await rejects(trainer.save(folder), message);
    assert.equal(await logitsOf(model, batch), merged);
  });
});

test('goes on from a checkpoint above the same weights alone, with the same alpha and dropout', async () => {
  await withFolder(async (folder) => {
    using model = await load('llama');
    (await saved(model, folder)).dispose();

    using changed = await load('llama');
    using other = new Trainer(changed, { seed: 2 });
    await other.step(batch, { ...options, learningRate: 1e-6 });
    const refuses = async (one: Model, more: object, message: RegExp) => {
      await one.addAdapter({ ...lora, ...more });
      const before = await logitsOf(one, batch);
      await rejects(Trainer.restore(one, folder), message);
      assert.equal(await logitsOf(one, batch), before);
      await one.dropAdapter();
    };
    await refuses(changed, {}, /^cannot restore .*: its adapter learnt above other weights than/);
    using same = await load('llama');
    const settings =
      /^cannot restore .*: its adapter has another alpha or dropout than the model's$/;
    await refuses(same, { alpha: 5 }, settings);
    await refuses(same, { dropout: 0 }, settings);
    await same.addAdapter(lora);
    using restored = await Trainer.restore(same, folder);
    await restored.step(batch, options);
  });
});

const pythonOf = `
import json, sys, torch, peft, transformers
model = transformers.RobertaForSequenceClassification.from_pretrained(sys.argv[1])
model = peft.PeftModel.from_pretrained(model, sys.argv[2]).eval()
print(json.dumps(model(torch.tensor(json.loads(sys.argv[3]))).logits.flatten().tolist()))`;

test('of a classifier is read by PEFT, which is told of no head beside it', async () => {
  await withFolder(async (folder) => {
    using model = await load('roberta-classification');
    await model.addAdapter({ rank: 2, alpha: 4, seed: 1 });
    using trainer = new Trainer(model, { seed: 1 });
    const [inputIds, labels] = [[[0, 5, 6, 2]], [[1]]];
    const options = { loss: { name: 'ce' }, epoch: 1, learningRate: 1e-2 } as const;
    for (let i = 0; i < 3; i++) await trainer.step({ inputIds, labels }, options);
    await model.saveAdapter(folder);
    // With SEQ_CLS PEFT looks for the classifier in the adapter's file.
    assert.is(json(join(folder, 'adapter_config.json')).task_type, null);
    if (!canImport('peft')) return;
    const inputs = [basePath('roberta-classification'), folder, JSON.stringify(inputIds)];
    const stdio: StdioOptions = ['ignore', 'pipe', 'ignore'];
    const theirs = JSON.parse(
      execFileSync('python3', ['-c', pythonOf, ...inputs], { stdio }).toString(),
    );
    isClose((await model.logits({ inputIds })).data, theirs, 5e-6);
  });
});

test('that was merged stays so under a trainer that was made before it', async () => {
  for (const dtype of ['float32', 'bfloat16'] as const) {
    using model = await load('llama', dtype);
    const batch = batchOf('llama');
    const options = { loss: { name: 'ce' } as const, epoch: 1, learningRate: 0 };
    using trainer = new Trainer(model, { seed: 1 });
    await trainer.step(batch, options);
    const before = await logitsOf(model, batch);
    await model.loadAdapter(adapterPath('llama'));
    await model.mergeAdapter();
    const merged = await logitsOf(model, batch);
    assert.not.equal(merged, before);
    await trainer.step(batch, options);
    assert.equal(await logitsOf(model, batch), merged);
  }
});

test('is waited for before a trainer is made', async () => {
  using model = await load('llama');
  const changes = [
    () => model.addAdapter({ seed: 1 }),
    () => model.dropAdapter(),
    () => model.addAdapter({ seed: 1 }),
    () => model.mergeAdapter(),
  ];
  for (const change of changes) {
    const done = change();
    assert.throws(
      () => new Trainer(model, { seed: 1 }),
      /^the model's adapter is being changed: await that before you train$/,
    );
    await done;
    new Trainer(model, { seed: 1 }).dispose();
  }
});

if (existsSync('/proc/self/status')) {
  test('is there wholly or not at all where memory ends amid its layers', async () => {
    const script = `
      import { execFileSync } from 'node:child_process';
      import { readFileSync } from 'node:fs';
      import { Model, Trainer } from ${JSON.stringify(new URL('../../lib/index.ts', import.meta.url))};
      const shape = { hidden_size: 64, intermediate_size: 64, num_hidden_layers: 4 };
      const config = { model_type: 'llama', vocab_size: 100, num_attention_heads: 4, ...shape };
      const model = Model.create(config, { seed: 1, device: 'cpu' });
      await model.logits({ inputIds: [[3, 4]] });
      const limit = (most) =>
        execFileSync('prlimit', ['--pid', String(process.pid), '--as=' + most + ':unlimited']);
      const status = readFileSync('/proc/self/status', 'utf8');
      // The first layer's fits, 256 MB, the second's does not.
      limit(1024 * Number(/VmSize:\\s*(\\d+)/.exec(status)[1]) + 500_000_000);
      const failed = await model.addAdapter({ rank: 500_000, seed: 1 }).catch((error) => error);
      limit('unlimited');
      new Trainer(model, { seed: 1 });
      console.log(failed.message.slice(0, 17), model.trained[0].name);
      await model.addAdapter({ rank: 4, seed: 1 });
      console.log(model.trained.length);`;
    const args = ['--import', 'tsx', '--input-type=module', '-e', script];
    assert.is(
      execFileSync(process.execPath, args, { encoding: 'utf8' }),
      'not enough memory model.embed_tokens.weight\n16\n',
    );
  });
}

test('is dropped without a trace', async () => {
  await withFolder(async (folder) => {
    using model = await load('llama');
    const weights = async () => {
      await model.save(folder);
      return readFile(join(folder, 'model.safetensors'));
    };
    const before = await weights();
    await model.addAdapter({ rank: 2, alpha: 4, seed: 1 });
    using trainer = new Trainer(model, { seed: 2 });
    await trainer.step(batchOf('llama'), { loss: { name: 'ce' }, epoch: 1, learningRate: 1e-2 });
    await model.dropAdapter();
    assert.is(model.adapter, undefined);
    assert.ok(before.equals(await weights()));
    await rejects(model.dropAdapter(), /^the model has no adapter: addAdapter or loadAdapter/);
  });
});

test('names what is wrong', async () => {
  await withFolder(async (folder) => {
    using model = await load('llama');
    const wrong = (options: object, message: RegExp) =>
      rejects(model.addAdapter({ rank: 2, alpha: 2, seed: 0, ...options }), message);
    await wrong({ rank: 0 }, /^lora\.rank is 0: expected a whole number, at least 1$/);
    await wrong({ alpha: -1 }, /^lora\.alpha is -1: expected a number above 0$/);
    await wrong({ dropout: 1 }, /^lora\.dropout is 1: expected in \[0, 1\)$/);
    await wrong({ targets: [] }, /^lora\.targets is : expected names of linear layers$/);
    await wrong({ bias: 1 }, /^lora has an unknown option "bias": expected rank, alpha, targets/);
    await wrong(
      { targets: ['q_proj', 'c_attn'] },
      /^targets has c_attn, which names no linear layer: expected some of down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj$/,
    );
    await rejects(model.mergeAdapter(), /^the model has no adapter: addAdapter or loadAdapter/);
    await rejects(model.saveAdapter(folder), /^the model has no adapter/);
    await rejects(
      model.loadAdapter(adapterPath('gpt2')),
      /^targets has c_attn, which names no linear layer/,
    );
    const config = json(join(adapterPath('llama'), 'adapter_config.json'));
    const withConfig = async (extra: object, message: RegExp) => {
      await cp(adapterPath('llama'), folder, { recursive: true });
      await writeFile(join(folder, 'adapter_config.json'), JSON.stringify({ ...config, ...extra }));
      await rejects(model.loadAdapter(folder), message);
    };
    await withConfig({ use_dora: true }, /adapter_config\.json: use_dora is true: expected none/);
    await withConfig({ peft_type: 'IA3' }, /peft_type is .*IA3.*: expected LORA$/);
    await withConfig({ bias: 'all' }, /bias is "all": expected none$/);
    await withConfig({ rank_pattern: { q_proj: 2 } }, /rank_pattern is .*: expected none/);
    await withConfig({ r: 5 }, /lora_A\.weight has shape \[4, 16\]: expected \[5, 16\]$/);
    await withConfig({ target_modules: ['q_proj'] }, /it holds 8 tensors: expected 4 by its/);
    await withConfig({ target_modules: ['k_proj'] }, /it lacks base_model\.model\..*k_proj/);
    await cp(adapterPath('llama'), folder, { recursive: true });
    const weights = join(folder, 'adapter_model.safetensors');
    const bytes = await readFile(weights);
    bytes.fill(0xff, bytes.length - 4); // NaN
    await writeFile(weights, bytes);
    await rejects(model.loadAdapter(folder), /lora_B\.weight has numbers that are NaN or infinite/);
    await model.addAdapter({ rank: 2, alpha: 2, seed: 0 });
    await wrong({}, /^the model has an adapter already$/);
    await rejects(model.save(folder), /^the model has an adapter: saveAdapter writes it, merge/);
  });
});

test.run();
