import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Model } from '../../lib/model/index.ts';
import { seeded } from '../../lib/random.ts';
import { canImport } from '../python.ts';
import { rejects } from '../rejects.ts';
import { fixturePath, withCopy } from './fixture.ts';
import { readSafetensors } from './safetensors.ts';

const test = suite('pytorch_model.bin');

/** What scripts/pytorch_bin_golden.py wrote; the files are explained there. */
const files = fileURLToPath(new URL('../fixtures/pytorch_bin/', import.meta.url));
const sound = readFileSync(join(files, 't5-relu.bin'));
/** The same as PyTorch before 1.6 wrote it. */
const old = readFileSync(join(files, 't5-relu.old.bin'));
const expected = readFileSync(join(fixturePath('t5-relu'), 'model.safetensors'));

/** A copy of t5-relu with `bin` for its weights. */
async function withBin(
  bin: Uint8Array | undefined,
  use: (directory: string, path: string) => Promise<void>,
) {
  await withCopy('t5-relu', async (directory) => {
    const path = join(directory, 'pytorch_model.bin');
    await rm(join(directory, 'model.safetensors'));
    if (bin !== undefined) await writeFile(path, bin);
    await use(directory, path);
  });
}

function withByte(bytes: Uint8Array, at: number, value: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = value;
  return changed;
}

/** The weights in a directory as our own safetensors file. */
async function weightsOf(directory: string): Promise<Buffer> {
  using model = await Model.load(directory, { dtype: 'float32' });
  await model.save(join(directory, 'saved'));
  return readFile(join(directory, 'saved', 'model.safetensors'));
}

test('holds the weights that the safetensors file holds', async () => {
  await withBin(sound, async (directory) => {
    assert.ok((await weightsOf(directory)).equals(expected));
  });
});

/** Loads a model of fixtures/models from `bin` and holds it to its model.safetensors. */
async function holdsTheSame(name: string, bin: Uint8Array) {
  await withCopy(`models/${name}`, async (directory) => {
    const file = join(directory, 'model.safetensors');
    const wanted = readSafetensors(await readFile(file));
    await rm(file);
    await writeFile(join(directory, 'pytorch_model.bin'), bin);
    wanted.delete('transformer.rotary_pos_emb.inv_freq'); // of ChatGLM; nobody reads it
    const found = readSafetensors(await weightsOf(directory));
    assert.equal(new Map([...found].sort()), new Map([...wanted].sort()));
  });
}

for (const name of ['codegen', 'gpt2', 'llama-llama3', 'roberta-masked-lm']) {
  test(`of ${name} is read, with the buffers that old checkpoints have`, () =>
    holdsTheSame(name, readFileSync(join(files, `${name}.bin`))));
}

test('is passed over where there is a safetensors file', async () => {
  await withBin(Buffer.from('no weights'), async (directory) => {
    const file = 'model.safetensors';
    await cp(join(fixturePath('t5-relu'), file), join(directory, file));
    assert.ok((await weightsOf(directory)).equals(expected));
  });
});

const hostile = readdirSync(files).filter((name) => name.endsWith('.hostile.bin'));
assert.ok(hostile.length >= 5);
for (const name of hostile) {
  test(`does not run what ${name} calls for`, async () => {
    await withBin(readFileSync(join(files, name)), async (directory) => {
      await rejects(
        Model.load(directory),
        /pytorch_model\.bin: its pickle calls for (posix\.system|__builtin__\.(eval|exec)|commands\.Popen), which no state dict needs: nothing was run, at byte \d+$/,
      );
      assert.not.ok(existsSync('was-run'));
    });
  });
}

test('as PyTorch before 1.6 wrote it is read', async () => {
  await withBin(old, async (directory) => {
    assert.ok((await weightsOf(directory)).equals(expected));
  });
});

test('as PyTorch before 1.6 wrote it is refused where it is cut off or says another thing', async () => {
  const cases: [Uint8Array, RegExp][] = [
    ...[0.999, 0.9, 0.5].map((share): [Uint8Array, RegExp] => [
      old.subarray(0, Math.floor(old.length * share)),
      /it is not whole: its storage \d+ reaches beyond its end$/,
    ]),
    [old.subarray(0, 1000), /its pickle ends too early, at byte/],
    [old.subarray(0, 21), /its pickle ends too early, at byte 21$/],
    [old.subarray(0, 20), /it is no file of torch\.save$/],
    [withByte(old, old.indexOf('little_endian') + 15, 0x89), /says that numbers are big-endian/],
  ];
  for (const [bytes, message] of cases) {
    await withBin(bytes, (directory) => rejects(Model.load(directory), message));
  }
});

test('as PyTorch before 1.6 wrote it makes no memory of a small file', async () => {
  const text = (length: number) =>
    Buffer.concat([Buffer.of(0x58, length, 0, 0, 0), Buffer.alloc(length, 'a')]);
  const emptyDict = Buffer.from('\x80\x02}.', 'latin1');
  /** No tensors, and one key over and over. */
  const withKeys = (length: number, count: number) => {
    const start = old.indexOf('\x80\x02}', 21, 'latin1');
    const state = old.indexOf('\x80\x02', start + 2, 'latin1');
    const key = [Buffer.from('\x80\x02](', 'latin1'), text(length), Buffer.from('q\0')];
    const keys = [...key, Buffer.from('h\0'.repeat(count)), Buffer.from('e.')];
    return Buffer.concat([old.subarray(0, state), emptyDict, ...keys]);
  };
  const refused = (bin: Uint8Array, message: RegExp) =>
    withBin(bin, (directory) => rejects(Model.load(directory), message));
  await refused(withKeys(1, 1), /no tensor lies in its storage a$/);
  await refused(withKeys(101, 1), /has a storage with a key of another kind, at byte/);
  await refused(withKeys(1, 100_000), /has more than 100000 tensors, at byte/);
});

test('says what it is that it is not', async () => {
  const cases: [Uint8Array, RegExp][] = [
    [Buffer.alloc(0), /pytorch_model\.bin: it is empty$/],
    [Buffer.from('<html>'), /pytorch_model\.bin: it is no file of torch\.save$/],
    [Buffer.from('PK\x03\x04 and no more'), /: it is not whole or no zip file of torch\.save \(/],
  ];
  for (const [bytes, message] of cases) {
    await withBin(bytes, (directory) => rejects(Model.load(directory), message));
  }
});

test('cut off anywhere is refused', async () => {
  await withBin(undefined, async (directory, path) => {
    for (const share of [0.999, 0.9, 0.5, 0.01]) {
      await writeFile(path, sound.subarray(0, Math.floor(sound.length * share)));
      await rejects(Model.load(directory), /^cannot read .*pytorch_model\.bin: it is not whole or/);
    }
  });
});

test('with any bytes changed gives a model or one sentence', async () => {
  const random = seeded(7);
  // The pickle lies at the start, the zip's directory at the end.
  const edges = [
    { file: sound, start: 0 },
    { file: sound, start: sound.indexOf('PK\x01\x02') },
    { file: old, start: 0 },
    { file: old, start: old.indexOf('X\x07\0\0\0storage') },
  ];
  await withBin(undefined, async (directory, path) => {
    for (let round = 0; round < 160; round++) {
      const { file, start } = edges[round % 4]!;
      const broken = Buffer.from(file);
      for (let i = 0; i <= (round >> 2) % 4; i++) {
        const at = start + random.below(Math.min(4000, file.length - start));
        broken[at] = random.below(256);
      }
      await writeFile(path, broken);
      const message = await Model.load(directory).then(
        (model) => model.dispose(),
        (error: Error) => error.message,
      );
      assert.match(message ?? 'cannot read', /^cannot (load|read)[^\n]*$/);
    }
  });
});

/** Runs Python with `d`, the state dict of t5-relu, and `save(d)`, which writes it. */
const python = (directory: string, code: string) =>
  execFileSync(
    'python3',
    [
      '-c',
      `import sys, torch
path = sys.argv[2]
save = lambda d, **options: torch.save(d, path, **options)
d = torch.load(sys.argv[1], weights_only=True)
${code}`,
      join(files, 't5-relu.bin'),
      join(directory, 'pytorch_model.bin'),
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );

const hasTorch = canImport('torch');

/** Gives the file that `save` wrote another data.pkl; `tensor` is one of a single number as a pickle. */
const pickled = (code: string) => `
import struct, zipfile
save(d)
old = zipfile.ZipFile(path)
records = [(i.filename, old.read(i)) for i in old.infolist()]
size = len(dict((name.split('/', 1)[1], data) for name, data in records)['data/0']) // 4
text = lambda s: b'X' + struct.pack('<I', len(s)) + s
function = b'ctorch._utils\\n_rebuild_tensor_v2\\n'
def arguments(key=b'0'):
    storage = b'(' + text(b'storage') + b'ctorch\\nFloatStorage\\n' + text(key) + text(b'cpu')
    storage += b'J' + struct.pack('<i', size) + b'tQ'
    return b'(' + storage + b'K\\x00K\\x01\\x85K\\x01\\x85\\x89ccollections\\nOrderedDict\\n)Rt'
tensor = lambda key=b'0': function + arguments(key) + b'R'
${code}
with zipfile.ZipFile(path, 'w') as new:
    for name, data in records: new.writestr(name, pickle if name.endswith('/data.pkl') else data)`;

const kinds = {
  'parameters, not tensors': 'save({k: torch.nn.Parameter(v) for k, v in d.items()})',
  float64: 'save({k: v.double() for k, v in d.items()})',
  'views of one storage, some transposed': `
flat = torch.cat([v.flatten() for v in d.values()])
views, at = {}, 0
for k, v in d.items():
    views[k] = flat[at:at + v.numel()].view(v.shape)
    at += v.numel()
views['shared.weight'] = d['shared.weight'].t().contiguous().t()
save(views)`,
  'pickle protocol 4': 'save(d, pickle_protocol=4)',
  'what PyTorch before 1.6 wrote': 'save(d, _use_new_zipfile_serialization=False)',
  'parameters, as PyTorch before 1.6 wrote them':
    'save({k: torch.nn.Parameter(v) for k, v in d.items()}, _use_new_zipfile_serialization=False)',
  'two shards': `
import json, os
names, folder = sorted(d), os.path.dirname(path)
parts = {'pytorch_model-00001-of-00002.bin': names[::2], 'pytorch_model-00002-of-00002.bin': names[1::2]}
for file, part in parts.items():
    torch.save({k: d[k] for k in part}, os.path.join(folder, file))
index = {'metadata': {}, 'weight_map': {k: file for file, part in parts.items() for k in part}}
json.dump(index, open(path + '.index.json', 'w'))`,
};

const refused: [string, RegExp][] = [
  [`save({**d, 'step': 3})`, /its pickle has step, which is no tensor: expected a state dict/],
  [`save([d])`, /its pickle holds no state dict but something else/],
  [
    `save({**d, 'shared.weight': torch.zeros(1, 1).expand(10000, 10000)})`,
    /: shared\.weight has more elements than its storage, which has 1$/,
  ],
  [
    `save({**d, 'shared.weight': torch.zeros(2, 3)})`,
    /shared\.weight has shape \[2, 3\]|differs from/,
  ],
  [
    `
save(d)
import zipfile
old = zipfile.ZipFile(path)
records = [(i.filename, old.read(i)) for i in old.infolist()]
with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as new:
    for name, data in records: new.writestr(name, data)`,
    /is compressed: expected what torch\.save writes$/,
  ],
];

refused.push(
  [
    `save({**d, 'shared.weight': torch._neg_view(d['shared.weight'])})`,
    /its pickle calls torch\._utils\._rebuild_tensor_v2 with arguments of another kind, at byte/,
  ],
  [
    pickled(`pickle = b'\\x80\\x02}' + text(b'a') + tensor(b'\\x1b[1m\\n') + b's.'`),
    /: it lacks its record data\/\?\[1m\?$/,
  ],
  [
    pickled(
      `pickle = b'\\x80\\x02' + function + b'q\\x000' + arguments() + b'q\\x010}' + b'h\\x00h\\x01R0' * 100001 + b'.'`,
    ),
    /: its pickle has more than 100000 tensors, at byte \d+$/,
  ],
);

const models = readdirSync(fixturePath('models'));

if (hasTorch) {
  test('of every architecture is read as torch.save writes it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'dece-'));
    try {
      const code = `import os, sys, torch, safetensors.torch as st
for name in sys.argv[3:]:
    torch.save(st.load_file(f'{sys.argv[1]}/{name}/model.safetensors'), f'{sys.argv[2]}/{name}.bin')`;
      execFileSync('python3', ['-c', code, fixturePath('models'), folder, ...models]);
      for (const name of models) {
        await holdsTheSame(name, await readFile(join(folder, `${name}.bin`)));
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  for (const [kind, code] of Object.entries(kinds)) {
    test(`may hold ${kind}`, async () => {
      await withBin(undefined, async (directory) => {
        python(directory, code);
        assert.ok((await weightsOf(directory)).equals(expected));
      });
    });
  }

  for (const dtype of ['half', 'bfloat16']) {
    test(`in ${dtype} is widened exactly`, async () => {
      await withBin(undefined, async (directory) => {
        python(directory, `save({k: v.${dtype}() for k, v in d.items()})`);
        const narrow = await weightsOf(directory);
        python(directory, `save({k: v.${dtype}().float() for k, v in d.items()})`);
        assert.ok(narrow.equals(await weightsOf(directory)));
        assert.not.ok(narrow.equals(expected));
      });
    });
  }

  test('that holds anything else is refused', async () => {
    for (const [code, message] of refused) {
      await withBin(undefined, async (directory) => {
        python(directory, code);
        await rejects(Model.load(directory), message);
      });
    }
  });

  test('whose small pickle names one tensor millions of times does not fill the memory', async () => {
    await withBin(undefined, async (directory) => {
      const names = `text(b'a' * 500) + b'q\\x000' + tensor() + b'q\\x010'`;
      python(
        directory,
        pickled(`pickle = b'\\x80\\x02' + ${names} + b'}(' + b'h\\x00h\\x01' * 2000000 + b'u.'`),
      );
      const before = process.resourceUsage().maxRSS;
      await rejects(Model.load(directory), /its pickle has a{200}\.\.\. twice, at byte \d+$/);
      const grown = process.resourceUsage().maxRSS - before;
      assert.ok(grown < 400_000, `${grown} kB`); // of them 64 for what the pickle says
    });
  });
} else {
  test.skip('what torch.save makes is read: python3 has no torch here', () => {});
}

test.run();
