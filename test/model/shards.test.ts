import { readFileSync } from 'node:fs';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { sha256Of } from '../../lib/data/files.ts';
import { Model } from '../../lib/model/index.ts';
import { rejects } from '../rejects.ts';
import { expectedOf, fixturePath, isClose, withCopy } from './fixture.ts';

const test = suite('sharded weights');

/** What scripts/shards_golden.py wrote; the fields are explained there. */
const cases: { model: string; maxShardBytes: number; files: Record<string, string> }[] = JSON.parse(
  readFileSync(new URL('../fixtures/shards.json', import.meta.url), 'utf8'),
);
const index = 'model.safetensors.index.json';
const isWeights = (name: string) => name.includes('safetensors');

for (const { model: name, maxShardBytes, files } of cases) {
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
