import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { sha256Of } from '../../lib/data/files.ts';
import { Model } from '../../lib/model/index.ts';
import { canImport } from '../python.ts';
import { rejects } from '../rejects.ts';
import { expectedOf, fixturePath, isClose, withCopy } from './fixture.ts';
import { part, readSafetensors } from './safetensors.ts';

const test = suite('sharded weights');

/** What scripts/shards_golden.py wrote; the fields are explained there. */
interface Case {
  model: string;
  maxShardBytes: number;
  files: Record<string, string>;
  weightMap?: Record<string, string>;
}
const cases: Case[] = JSON.parse(
  readFileSync(new URL('../fixtures/shards.json', import.meta.url), 'utf8'),
);
const index = 'model.safetensors.index.json';
const isWeights = (name: string) => name.includes('safetensors');

// The parameters of the others have another order than PyTorch's modules give them.
const inOrder = cases.filter(({ model }) => !/llama|glm/.test(model));
for (const { model: name, maxShardBytes, files } of inOrder) {
  test(`of ${name} are save_pretrained's, at most ${maxShardBytes} bytes each`, async () => {
    await withCopy(name, async (directory) => {
      using model = await Model.load(fixturePath(name));
      await model.save(directory, { maxShardBytes });
      const found: Record<string, string> = {};
      for (const file of (await readdir(directory)).filter(isWeights).sort()) {
        found[file] = await sha256Of(join(directory, file));
      }
      assert.equal(found, files);
    });
  });
}

/** The tensors of all safetensors files of a directory. */
async function tensorsOf(directory: string): Promise<Map<string, Buffer>> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.safetensors'));
  const files = await Promise.all(names.map((name) => readFile(join(directory, name))));
  const all = files.flatMap((file) => [...readSafetensors(file)]);
  assert.is(new Set(all.map(([name]) => name)).size, all.length);
  return new Map(all.sort());
}

for (const { model: name, files, weightMap } of cases.filter((it) => it.weightMap)) {
  test(`of ${name} as save_pretrained wrote them are read`, async () => {
    await withCopy(name, async (directory) => {
      const whole = await readFile(join(directory, 'model.safetensors'));
      await rm(join(directory, 'model.safetensors'));
      for (const shard of new Set(Object.values(weightMap!))) {
        const names = Object.keys(weightMap!).filter((key) => weightMap![key] === shard);
        await writeFile(join(directory, shard), part(whole, names));
        // Byte for byte transformers' file.
        assert.is(await sha256Of(join(directory, shard)), files[shard]);
      }
      await writeFile(join(directory, index), JSON.stringify({ weight_map: weightMap }));
      using model = await Model.load(directory);
      await model.save(join(directory, 'saved'));
      const saved = await tensorsOf(join(directory, 'saved'));
      assert.equal(saved, new Map([...readSafetensors(whole)].sort()));
    });
  });
}

const all = [
  't5-relu',
  't5-gated',
  ...readdirSync(fixturePath('models')).map((it) => `models/${it}`),
];
for (const name of all) {
  test(`of ${name} hold what the whole file holds`, async () => {
    await withCopy(name, async (directory) => {
      using model = await Model.load(directory);
      await model.save(directory);
      const whole = await tensorsOf(directory);
      await model.save(directory, { maxShardBytes: 8000 });
      assert.equal(await tensorsOf(directory), whole);
      using again = await Model.load(directory);
      await again.save(directory);
      assert.equal(await tensorsOf(directory), whole);
    });
  });
}

const withPython = canImport('transformers') ? test : test.skip;
withPython('are read by transformers', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dece-'));
  try {
    const names = all.filter((name) => !/chatglm|seq2seq/.test(name)); // not of transformers
    for (const name of names) {
      using model = await Model.load(fixturePath(name));
      await model.save(join(folder, name), { maxShardBytes: 8000 });
    }
    const code = `
import json, sys, torch, transformers
from pathlib import Path
for name in sys.argv[3:]:
    kind = getattr(transformers, json.loads((Path(sys.argv[1]) / name / 'config.json').read_text())['architectures'][0])
    (ours, found), (theirs, _) = [kind.from_pretrained(Path(root) / name, output_loading_info=True) for root in sys.argv[1:3]]
    assert not any(found.values()), (name, found)
    theirs = theirs.state_dict()
    assert all(torch.equal(value, theirs[key]) for key, value in ours.state_dict().items()), name
print(len(sys.argv[3:]))`;
    const found = execFileSync('python3', ['-c', code, folder, fixturePath(''), ...names], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    assert.is(Number(found), names.length);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('load as the whole file does, and what a later save does not need goes', async () => {
  const { inputIds, attentionMask, decoderInputIds, logits } = expectedOf('t5-gated');
  await withCopy('t5-gated', async (directory) => {
    using whole = await Model.load(directory);
    for (const maxShardBytes of [3000, 50_000, undefined]) {
      await whole.save(directory, maxShardBytes === undefined ? {} : { maxShardBytes });
      using model = await Model.load(directory);
      isClose(
        (await model.logits({ inputIds, attentionMask, decoderInputIds })).data,
        logits,
        2e-6,
      );
    }
    assert.equal((await readdir(directory)).filter(isWeights), ['model.safetensors']);
  });
});

/** A copy of a model in three shards, and its index. */
async function withShards(
  use: (
    directory: string,
    map: Record<string, string>,
    write: () => Promise<void>,
  ) => Promise<void>,
) {
  await withCopy('t5-gated', async (directory) => {
    using model = await Model.load(directory);
    await model.save(directory, { maxShardBytes: 50_000 });
    const text = JSON.parse(await readFile(join(directory, index), 'utf8'));
    const write = () => writeFile(join(directory, index), JSON.stringify(text));
    await use(directory, text.weight_map, write);
  });
}

const first = 'model-00001-of-00002.safetensors';
const second = 'model-00002-of-00002.safetensors';

test('are refused where the index and the files disagree', async () => {
  const changes: [RegExp, (map: Record<string, string>) => void][] = [
    [
      /00001-of-00002\.safetensors: it has shared\.weight, which the index puts elsewhere or nowhere$/,
      (map) => {
        map['shared.weight'] = second;
      },
    ],
    [
      /00001-of-00002\.safetensors: it has shared\.weight, which the index puts elsewhere or nowhere$/,
      (map) => {
        delete map['shared.weight'];
      },
    ],
    [
      /00002-of-00002\.safetensors: it lacks extra, which the index puts there$/,
      (map) => {
        map.extra = second;
      },
    ],
    [
      /json puts extra into other\.safetensors, which is not there: put it beside the index$/,
      (map) => {
        map.extra = 'other.safetensors';
      },
    ],
  ];
  for (const [message, change] of changes) {
    await withShards(async (directory, map, write) => {
      change(map);
      await write();
      await rejects(Model.load(directory), message);
    });
  }
});

test('of two saves are never mixed, wherever the second is cut off', async () => {
  await withCopy('t5-gated', async (directory) => {
    using model = await Model.load(directory);
    using other = Model.create(model.config, { seed: 5, device: 'cpu' });
    for (const maxShardBytes of [50_000, undefined]) {
      await model.save(directory, maxShardBytes === undefined ? {} : { maxShardBytes });
      // The second shard cannot take its place, where a folder lies.
      const kept = join(directory, 'kept');
      const is = await rename(join(directory, second), kept).then(
        () => true,
        () => false,
      );
      await mkdir(join(directory, second, 'inside'), { recursive: true });
      await rejects(
        other.save(directory, { maxShardBytes: 50_000 }),
        /00002-of-00002\.safetensors/,
      );
      await rm(join(directory, second), { recursive: true });
      if (is) await rename(kept, join(directory, second));
      await rejects(Model.load(directory), /has no model\.safetensors, nor /);
      await other.save(directory, { maxShardBytes: 50_000 });
      using saved = await Model.load(directory);
      const batch = { inputIds: [[3, 4]], decoderInputIds: [[0, 5]] };
      assert.equal((await saved.logits(batch)).data, (await other.logits(batch)).data);
    }
  });
});

test('never lie outside the directory, and are files of the same kind', async () => {
  const names = ['../model.safetensors', 'a/b.safetensors', '/etc/passwd', 'a\\b.safetensors'];
  for (const name of [...names, '..', '', 'pytorch_model.bin', 3, null, 'a\0.safetensors']) {
    await withShards(async (directory, map, write) => {
      (map as Record<string, unknown>)['shared.weight'] = name;
      await write();
      await rejects(
        Model.load(directory),
        /index\.json puts shared\.weight into .*: expected the name of a \.safetensors file beside it$/,
      );
    });
  }
});

test('hold each tensor once', async () => {
  await withShards(async (directory) => {
    await rename(join(directory, second), join(directory, 'old'));
    await writeFile(join(directory, second), await readFile(join(directory, first)));
    await rejects(Model.load(directory), /00002-of-00002\.safetensors: it lacks /);
  });
});

test('are refused where one is cut off, a folder or missing', async () => {
  await withShards(async (directory) => {
    const bytes = await readFile(join(directory, second));
    await writeFile(join(directory, second), bytes.subarray(0, -1));
    await rejects(Model.load(directory), /00002\.safetensors: .*the file is truncated$/);
    await rm(join(directory, second));
    await rejects(
      Model.load(directory),
      /into model-00002-of-00002\.safetensors, which is not there/,
    );
  });
});

test('need an index that is one', async () => {
  const texts: [string, RegExp][] = [
    ['[]', /index\.json is "\[\]": expected an object in braces$/],
    ['{}', /index\.json has no weight_map: expected \{ "weight_map"/],
    ['{"weight_map":{}}', /index\.json has no weight_map/],
    ['{"weight_map":["a.safetensors"]}', /index\.json has no weight_map/],
    ['{"weight_map":', /index\.json, line 1, column \d+ is not JSON/],
  ];
  for (const [text, message] of texts) {
    await withShards(async (directory) => {
      await writeFile(join(directory, index), text);
      await rejects(Model.load(directory), message);
    });
  }
});

test('are at least a byte', async () => {
  using model = await Model.load(fixturePath('t5-relu'));
  for (const maxShardBytes of [0, -1, Number.NaN]) {
    await rejects(model.save('unused', { maxShardBytes }), /^maxShardBytes is .*at least 1$/);
  }
});

test.run();
