import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Model, Trainer } from '../../lib/index.ts';
import { rejects } from '../rejects.ts';
import { withCopy } from './fixture.ts';

const test = suite('weights in a mapped file');

const script = fileURLToPath(new URL('mmap_script.ts', import.meta.url));
const isLinux = existsSync('/proc/self/maps');
const inputIds = [[3, 4, 5, 6, 7, 8]];
const batch = { inputIds, labels: inputIds };
const hashOf = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
const isMapped = (path: string) =>
  readFileSync('/proc/self/maps', 'utf8').includes(realpathSync(path));

// 8 million weights, 33 MB: pages enough that what else a process does is lost among them.
const config = {
  model_type: 'llama',
  ...{ vocab_size: 16_000, pad_token_id: 0, eos_token_id: 1, bos_token_id: 2 },
  ...{ hidden_size: 256, intermediate_size: 256, num_hidden_layers: 1, num_attention_heads: 4 },
};
const weightBytes = 33_000_000;

async function withModel(use: (directory: string, file: string) => Promise<void>) {
  const directory = await mkdtemp(join(tmpdir(), 'dece-mmap-'));
  try {
    using model = Model.create(config, { seed: 1, device: 'cpu' });
    await model.save(directory);
    await use(directory, join(directory, 'model.safetensors'));
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** A LLaMA of zeros in bfloat16, written out: holes take long to read. */
async function writeZeros(directory: string, words: number, hidden: number) {
  const layer = 'model.layers.0.';
  const square = ['q_proj', 'k_proj', 'v_proj', 'o_proj'].map((name) => `self_attn.${name}`);
  const shapes: Record<string, number[]> = {
    'model.embed_tokens.weight': [words, hidden],
    'model.norm.weight': [hidden],
    [`${layer}input_layernorm.weight`]: [hidden],
    [`${layer}post_attention_layernorm.weight`]: [hidden],
  };
  for (const name of [...square, 'mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj']) {
    shapes[`${layer}${name}.weight`] = [hidden, hidden];
  }
  let end = 0;
  const entries = Object.entries(shapes).map(([name, shape]) => {
    const begin = end;
    end += 2 * shape.reduce((product, extent) => product * extent, 1);
    return [name, { dtype: 'BF16', shape, data_offsets: [begin, end] }] as const;
  });
  const text = JSON.stringify(Object.fromEntries(entries));
  const header = Buffer.from(text.padEnd(8 * Math.ceil(text.length / 8)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const file = join(directory, 'model.safetensors');
  await writeFile(file, Buffer.concat([length, header]));
  const zeros = Buffer.alloc(1 << 24);
  for (let rest = end; rest > 0; rest -= zeros.length) {
    await appendFile(file, zeros.subarray(0, Math.min(rest, zeros.length)));
  }
  const sizes = { vocab_size: words, hidden_size: hidden, intermediate_size: hidden };
  const more = { num_hidden_layers: 1, tie_word_embeddings: true, dtype: 'bfloat16' };
  await writeFile(join(directory, 'config.json'), JSON.stringify({ ...config, ...sizes, ...more }));
}

/** Losses of three steps of AdamW, and the logits after them. */
async function trained(directory: string, mmap: boolean) {
  using model = await Model.load(directory, { device: 'cpu', mmap });
  using trainer = new Trainer(model, { seed: 1 });
  const found: number[] = [];
  for (let step = 0; step < 3; step++) {
    const options = { loss: { name: 'dece' } as const, epoch: 1, learningRate: 1e-3 };
    found.push((await trainer.step(batch, options)).loss);
  }
  return [...found, ...(await model.logits(batch)).data];
}

for (const name of [
  't5-relu',
  'models/gpt2',
  'models/codegen',
  'models/llama',
  'models/roberta-masked-lm',
]) {
  test(`train to the same bits as copied ones, and the file stays: ${name}`, async () => {
    await withCopy(name, async (directory) => {
      const file = join(directory, 'model.safetensors');
      const before = hashOf(file);
      assert.equal(await trained(directory, true), await trained(directory, false));
      assert.is(hashOf(file), before);
    });
  });
}

test('outlive the file: one that is replaced or removed does not change them', async () => {
  await withCopy('models/llama', async (directory) => {
    using model = await Model.load(directory, { device: 'cpu' });
    const before = (await model.logits({ inputIds })).data;
    using other = Model.create(model.config, { seed: 99, device: 'cpu' });
    await other.save(directory);
    assert.equal((await model.logits({ inputIds })).data, before);
    await model.save(directory);
    await rm(join(directory, 'generation_config.json'), { force: true });
    using again = await Model.load(directory, { device: 'cpu' });
    await rm(join(directory, 'model.safetensors'));
    assert.equal((await again.logits({ inputIds })).data, before);
  });
});

test('are said to be true or false', async () => {
  const options = { mmap: 'yes' } as never;
  await rejects(Model.load('.', options), /^mmap is "yes": expected true or false$/);
});

if (isLinux) {
  test('are let go with the model', async () => {
    await withModel(async (directory, file) => {
      const model = await Model.load(directory, { device: 'cpu' });
      assert.ok(isMapped(file));
      model.dispose();
      assert.not(isMapped(file));
      using _copied = await Model.load(directory, { device: 'cpu', mmap: false });
      assert.not(isMapped(file));
    });
  });

  test('stay there only where no conversion is asked for', async () => {
    await withModel(async (directory, file) => {
      using model = await Model.load(directory, { device: 'cpu', dtype: 'bfloat16' });
      assert.is(model.dtype, 'bfloat16');
      assert.not(isMapped(file));
    });
  });

  test('take no memory of their own until they are trained', async () => {
    await withModel(async (directory) => {
      const bytes = (mmap: boolean) => {
        const args = ['--import', 'tsx', script, 'memory', directory, String(mmap)];
        return Number(spawnSync(process.execPath, args, { encoding: 'utf8' }).stdout);
      };
      const mapped = bytes(true);
      const copied = bytes(false);
      assert.ok(copied > weightBytes, `${copied} bytes copied`);
      assert.ok(mapped < 0.3 * weightBytes, `${mapped} bytes mapped`);
    });
  });

  const free = ['MemAvailable', 'SwapFree']
    .map((key) => new RegExp(`${key}:\\s*(\\d+)`).exec(readFileSync('/proc/meminfo', 'utf8'))![1])
    .reduce((sum, kilobytes) => sum + 1024 * Number(kilobytes), 0);
  const hidden = 1024;
  // AdamW keeps 16 bytes beside each bfloat16 weight.
  const words = Math.ceil((1.2 * free) / 16 / hidden);
  const testOfRoom = 2 * words * hidden < 6e9 ? test : test.skip;

  testOfRoom('load where training has no room, which then says what it takes', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'dece-mmap-'));
    try {
      await writeZeros(directory, words, hidden);
      using model = await Model.load(directory, { device: 'cpu' });
      using trainer = new Trainer(model, { seed: 1 });
      const options = { loss: { name: 'ce' } as const, epoch: 1, learningRate: 1e-3 };
      await rejects(
        trainer.step(batch, options),
        /^not enough memory: gradients and the moments of AdamW take [\d.]+ GB and [\d.]+ GB are free: optimizer badam or/,
      );
      // 16 bytes beside each weight, and 2 as it leaves the file.
      const bytes = await trainer.step(batch, options).catch(({ message }) => message);
      const gigabytes = Number(/take ([\d.]+) GB/.exec(bytes)![1]);
      assert.ok(Math.abs(gigabytes - 18e-9 * model.parameterCount) < 0.06, `${gigabytes} GB`);
      using blocks = new Trainer(model, {
        seed: 1,
        optimizer: 'badam',
        includeEmbedding: true,
        switchMode: 'fixed',
      });
      await rejects(
        blocks.step(batch, options),
        /are free: smaller blocks or an adapter \(lora\) would take less$/,
      );
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test('leave a signal that a process sends what it was', async () => {
    await withModel(async (directory) => {
      const args = ['--import', 'tsx', script, 'signal', directory, 'true'];
      const { signal, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
      assert.is(stdout, 'sent\n');
      assert.is(stderr, '');
      assert.is(signal, 'SIGBUS');
    });
  });

  test('of a file that somebody cuts short end the process after a sentence that names it', async () => {
    await withModel(async (directory, file) => {
      const args = ['--import', 'tsx', script, 'cut', directory, 'true'];
      // Many threads read what is no longer there.
      const options = { encoding: 'utf8', env: { ...process.env, OMP_NUM_THREADS: '16' } } as const;
      const { signal, stdout, stderr } = spawnSync(process.execPath, args, options);
      assert.is(stdout, 'cut\n');
      assert.is(signal, 'SIGBUS');
      assert.is(
        stderr,
        `dece: ${file} became shorter, or its disk failed, while it was read as memory: the process ends; Model.load with mmap: false copies weights\n`,
      );
      using model = Model.create(config, { seed: 1, device: 'cpu' });
      await model.save(directory);
      const copied = [...args.slice(0, -1), 'false'];
      assert.is(spawnSync(process.execPath, copied, { encoding: 'utf8' }).stdout, 'cut\nread\n');
    });
  });
}

test.run();
