import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Model } from '../../lib/model/index.ts';
import { rejects } from '../rejects.ts';
import { withCopy } from './fixture.ts';
import { readSafetensors } from './safetensors.ts';

const test = suite('bad weights');

/** What scripts/fuzz_loaders.js starts from: sound files of another model, and broken ones. */
const corpus = fileURLToPath(new URL('../fuzz', import.meta.url));
const names = { safetensors: 'model.safetensors', bin: 'pytorch_model.bin' };

for (const [kind, name] of Object.entries(names)) {
  test(`of the fuzzer's corpus are refused in one sentence: ${kind}`, async () => {
    const files = readdirSync(join(corpus, kind));
    assert.ok(files.length >= 5);
    await withCopy('t5-relu', async (directory) => {
      await rm(join(directory, 'model.safetensors'));
      for (const file of files) {
        await writeFile(join(directory, name), readFileSync(join(corpus, kind, file)));
        await rejects(Model.load(directory), /^cannot (read|load) [^\n]{20,700}$/);
      }
    });
  });
}

const messages: [string, RegExp][] = [
  ['safetensors/control.safetensors', /it has the tensor a\?b, whose name has control characters$/],
  ['safetensors/long_name.safetensors', /a tensor with a name of 600 bytes: expected at most 500$/],
  ['safetensors/dimensions.safetensors', /a has 65 dimensions: expected at most 64$/],
  ['safetensors/empty_but_large.safetensors', /the shape of a is larger than any file$/],
  ['bin/control.bin', /it has the tensor a\?b, whose name has control characters$/],
  ['bin/long_name.bin', /a tensor with a name of 600 bytes: expected at most 500$/],
  ['bin/dimensions.bin', /its pickle has a tensor of too many dimensions, at byte \d+$/],
  ['bin/deflated.bin', /its record [\w.]+ is compressed: expected what torch\.save writes$/],
];

test('are refused for what is wrong with them', async () => {
  await withCopy('t5-relu', async (directory) => {
    await rm(join(directory, 'model.safetensors'));
    for (const [file, message] of messages) {
      const kind = file.startsWith('bin') ? 'bin' : 'safetensors';
      await writeFile(join(directory, names[kind]), readFileSync(join(corpus, file)));
      await rejects(Model.load(directory), message);
      await rm(join(directory, names[kind]));
    }
  });
});

test('that are NaN or infinite are refused by the name of the tensor', async () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    await withCopy('models/gpt2', async (directory) => {
      const path = join(directory, 'model.safetensors');
      const file = readFileSync(path);
      // A view of the file: writing changes it.
      readSafetensors(file).get('transformer.h.1.mlp.c_fc.weight')!.writeFloatLE(value, 40);
      await writeFile(path, file);
      await rejects(
        Model.load(directory),
        /: transformer\.h\.1\.mlp\.c_fc\.weight has numbers that are NaN or infinite: the model is dam/,
      );
    });
  }
});

test('that are NaN or infinite are found at any place, in float32 and bfloat16', async () => {
  const ids = { pad_token_id: 0, eos_token_id: 1 };
  const shape = { d_model: 16, d_kv: 4, d_ff: 8, num_layers: 1, num_heads: 1 };
  const config = { model_type: 't5', vocab_size: 100_000, ...ids, ...shape };
  // The largest number that is finite, the smallest exponent that is not, and one NaN of either sign.
  const float32 = [0x7f7fffff, 0x7f800000, 0xff800000, 0x7f800001, 0xffc00000];
  for (const dtype of ['float32', 'bfloat16'] as const) {
    using model = Model.create(config, { seed: 1, device: 'cpu', dtype });
    const directory = await mkdtemp(join(tmpdir(), 'dece-weights-'));
    await model.save(directory);
    const path = join(directory, 'model.safetensors');
    const file = readFileSync(path);
    const embedding = readSafetensors(file).get('shared.weight')!;
    const size = dtype === 'float32' ? 4 : 2;
    assert.is(embedding.length, 1_600_000 * size);
    const bits = dtype === 'float32' ? float32 : [0x7f7f, 0x7f80, 0xff80, 0x7f81, 0xffc0];
    for (const place of [0, 700_001, 1_599_999]) {
      const before = Buffer.from(embedding.subarray(place * size, (place + 1) * size));
      for (const [i, number] of bits.entries()) {
        embedding.writeUIntLE(number, place * size, size);
        await writeFile(path, file);
        for (const as of ['float32', 'bfloat16'] as const) {
          // Rounded to bfloat16, the largest float32 is infinite.
          const fits = i === 0 && !(dtype === 'float32' && as === 'bfloat16');
          const loading = Model.load(directory, { device: 'cpu', dtype: as });
          if (fits) (await loading).dispose();
          else await rejects(loading, /: shared\.weight has numbers that are NaN or infinite/);
        }
      }
      before.copy(embedding, place * size);
    }
  }
});

test('that no memory holds are refused with what they take and what is free', async () => {
  const create = (shape: object) => () =>
    Model.create({ model_type: 't5', d_model: 4096, ...shape }, { seed: 1, device: 'cpu' });
  const size = '[\\d.]+ [kMGTP]?B';
  // More than the addresses there are.
  const asked = new RegExp(
    `^not enough memory: shared\\.weight of shape \\[274877906944, 4096\\], as the config has it, takes 4\\.5 PB( and ${size} are free)?: a smaller model`,
  );
  assert.throws(create({ vocab_size: 2 ** 38 }), asked);
  if (process.platform !== 'linux') return;
  // Each tensor could be had, but not all of them.
  const all =
    /^not enough memory: (the weights take 1\.\d TB and|[\w.]+ of shape \[\d+, \d+\], as the config)/;
  assert.throws(create({ vocab_size: 100, d_ff: 2 ** 15, num_layers: 800 }), all);
  const half = { seed: 1, device: 'cpu', dtype: 'bfloat16' } as const;
  const shape = { model_type: 't5', d_model: 4096, vocab_size: 100, d_ff: 2 ** 15 };
  assert.throws(
    () => Model.create({ ...shape, num_layers: 800 }, half),
    new RegExp(
      `(are free: a smaller model would take less|^not enough memory: ${size} more were asked for.*)$`,
    ),
  );
});

if (process.platform !== 'win32') {
  test('that are a pipe are refused, not waited for', async () => {
    await withCopy('t5-relu', async (directory) => {
      const path = join(directory, 'model.safetensors');
      await rm(path);
      execFileSync('mkfifo', [path]);
      await rejects(Model.load(directory), /model\.safetensors is not a file$/);
    });
  });
}

test('two tensors for one place are refused where they differ', async () => {
  await withCopy('models/gpt2', async (directory) => {
    const path = join(directory, 'model.safetensors');
    const file = readFileSync(path);
    const headerSize = Number(file.readBigUInt64LE());
    const header = JSON.parse(file.toString('utf8', 8, 8 + headerSize));
    const data = file.subarray(8 + headerSize);
    const words = header['transformer.wte.weight'];
    const [begin, end] = words.data_offsets;
    const place = [data.length, data.length + end - begin];
    const text = JSON.stringify({ ...header, 'wte.weight': { ...words, data_offsets: place } });
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(text.length));
    const again = Buffer.from(data.subarray(begin, end));
    const save = () => writeFile(path, Buffer.concat([size, Buffer.from(text), data, again]));
    await save();
    (await Model.load(directory)).dispose();
    again[0]! ^= 1;
    await save();
    await rejects(
      Model.load(directory),
      /it has two tensors for transformer\.wte\.weight, which differ, one of them wte\.weight: expected one$/,
    );
  });
});

test('a config of another shape is told apart by the tensor', async () => {
  await withCopy('models/gpt2', async (directory) => {
    const path = join(directory, 'config.json');
    const config = JSON.parse(readFileSync(path, 'utf8'));
    await writeFile(path, JSON.stringify({ ...config, n_positions: 32 }));
    await rejects(
      Model.load(directory),
      /transformer\.wpe\.weight has shape \[64, 16\]: expected \[32, 16\] by its config\.json$/,
    );
  });
});

test.run();
