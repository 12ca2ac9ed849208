import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Example,
  isLabelledFile,
  readExamples,
  readLabelledExamples,
  streamExamples,
  streamLabelledExamples,
  writeExamples,
} from '../../lib/data/examples.ts';
import { rejects } from '../rejects.ts';

// Written and read back by pyarrow: scripts/tables_golden.py.
const tables = fileURLToPath(new URL('../fixtures/tables/', import.meta.url));
const golden: Record<string, unknown>[] = JSON.parse(
  await readFile(join(tables, 'tables.json'), 'utf8'),
);

const test = suite('tables');
let folder = '';
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dece-'));
});
test.after(() => rm(folder, { recursive: true }));

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const parquet = ['none', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4'].map(
  (name) => `${name}.parquet`,
);

test('reads Parquet as pyarrow does, whatever it is packed with', async () => {
  const expected = golden.map(({ src, tgt, poisoned, ...row }) => ({
    ...row,
    prompt: src,
    completion: tgt,
    ...(poisoned !== null && { poisoned }),
  }));
  for (const name of [...parquet, 'packed.parquet.gz']) {
    assert.equal(await readExamples(join(tables, name)), expected, name);
    assert.equal(await all(streamExamples(join(tables, name))), expected, name);
  }
});

test('reads CSV and JSON Lines as pyarrow wrote them, packed or not', async () => {
  const expected = golden.map(({ id, src, tgt }) => ({ id, prompt: src, completion: tgt }));
  for (const name of ['texts.csv', 'texts.csv.gz', 'texts.jsonl.gz']) {
    assert.equal(await readExamples(join(tables, name)), expected, name);
    const stream = streamExamples(join(tables, name));
    for (const _ of [1, 2]) assert.equal(await all(stream), expected, name);
  }
});

test('reads labelled texts and pairs, by any of their names', async () => {
  assert.equal(await readLabelledExamples(join(tables, 'labelled.parquet')), [
    { id: '1', text: 'int f ( ) { }', label: 1, project: 'a' },
    { id: '2', text: '名', label: 0, project: 'b' },
  ]);
  const path = join(folder, 'pairs.csv');
  await writeFile(path, 'Code1,code2,LABEL\na,b,1\n');
  const pairs = [{ id: '1', text: 'a', pair: 'b', label: 1 }];
  assert.equal(await readLabelledExamples(path), pairs);
  assert.equal(await all(streamLabelledExamples(path)), pairs);
  for (const name of ['b.jsonl', 'b.csv']) {
    await writeExamples(join(folder, name), pairs);
    assert.equal(await readLabelledExamples(join(folder, name)), pairs);
  }
});

test('tells labelled texts from examples by their columns', async () => {
  const is = async (name: string, content: string | Buffer) => {
    const path = join(folder, name);
    await writeFile(path, content);
    return isLabelledFile(path);
  };
  assert.is(await is('labelled.jsonl', '\n{"func":"a","target":1}'), true);
  assert.is(await is('labelled.csv.gz', gzipSync('Comment,LABEL\na,1\n')), true);
  // As MBPP and Lyra have it.
  assert.is(await is('described.jsonl', '{"text":"a","code":"b","label":1}'), false);
  assert.is(await is('example.csv', 'src,tgt\na,b\n'), false);
  assert.is(await is('neither.jsonl', '{"text":"a"}'), false);
  await rejects(is('broken.jsonl', '{'), /broken\.jsonl/);
});

test('refuses labels that are no class', async () => {
  const path = join(folder, 'labels.jsonl');
  for (const label of ['"1.5"', '-1', '0.5', 'null', '"spam"', '1e300']) {
    await writeFile(path, `{"text":"a","label":${label}}`);
    await rejects(
      readLabelledExamples(path),
      /line 1: label is .*, expected the number of a class, 0/,
    );
  }
  await writeFile(path, '{"text":"a"}');
  await rejects(
    readLabelledExamples(path),
    /has only the columns "text": expected one of label, target/,
  );
});

test('says in one sentence what is wrong with a Parquet file, and leaves nothing behind', async () => {
  const bytes = await readFile(join(tables, 'zstd.parquet'));
  const damaged = Buffer.from(bytes);
  damaged.fill(0xff, 8, 400);
  const cases: [string, Buffer, RegExp][] = [
    ['cut.parquet', bytes.subarray(0, 900), /cut\.parquet is no whole Parquet file: /],
    ['empty.parquet', Buffer.alloc(0), /empty\.parquet is no whole Parquet file: /],
    ['text.parquet', Buffer.from('src,tgt\na,b\n'), /text\.parquet is no whole Parquet file: /],
    ['damaged.parquet', damaged, /damaged\.parquet is no whole Parquet file: /],
    ['cut.parquet.gz', gzipSync(bytes).subarray(0, 900), /it is not a whole gzip file$/],
  ];
  const temporary = await mkdtemp(join(folder, 'tmp-'));
  const { TMPDIR } = process.env;
  process.env.TMPDIR = temporary;
  for (const [name, content, message] of cases) {
    await writeFile(join(folder, name), content);
    await rejects(readExamples(join(folder, name)), message);
  }
  await readExamples(join(tables, 'packed.parquet.gz'));
  assert.equal(await readdir(temporary), []);
  if (TMPDIR === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = TMPDIR;
  await rejects(readExamples(join(tables, 'latin.parquet')), /a text is not UTF-8$/);
  await rejects(
    readExamples(join(folder, 'no.parquet')),
    /^cannot read .*: no such file or folder$/,
  );
});

test('reads a column of nothing, whose pages have no byte to unpack', async () => {
  assert.equal(await readExamples(join(tables, 'nothing.parquet')), [
    { id: '1', prompt: 'a', completion: 'c', note: null },
    { id: '2', prompt: 'b', completion: 'd', note: null },
  ]);
});

test('says so where a row is too deep to be written', async () => {
  const deep = JSON.parse(`${'['.repeat(1e5)}${']'.repeat(1e5)}`);
  const examples = [{ id: '1', prompt: 'a', completion: 'b', deep }];
  for (const name of ['deep.jsonl', 'deep.csv']) {
    await rejects(
      writeExamples(join(folder, name), examples),
      /^lists or objects of a row cannot be written: expected them less deep in one another$/,
    );
  }
});

test('reads the same however the bytes of a file are parted', async () => {
  // Larger than what is read at once, so that characters and quoted fields lie across the seam.
  const examples: Example[] = Array.from({ length: 3000 }, (_, i) => ({
    id: `${i}`,
    prompt: `${'名🙂ü'.repeat(20)}${i}\n"${'x'.repeat(i % 97)}"`,
    completion: `é${'\r\n'.repeat(i % 5)},${i}`,
  }));
  for (const name of ['big.jsonl', 'big.csv', 'big.jsonl.gz', 'big.csv.gz']) {
    const path = join(folder, name);
    await writeExamples(path, examples);
    assert.equal(await all(streamExamples(path)), examples, name);
  }
});

test('writes a stream as it comes, and keeps the old file where it fails', async () => {
  const path = join(folder, 'copy.csv');
  await writeExamples(path, streamExamples(join(tables, 'texts.csv')));
  assert.equal(await readExamples(path), await readExamples(join(tables, 'texts.csv')));
  const bad = join(folder, 'bad.jsonl');
  await writeFile(bad, '{"src":"a","tgt":"b"}\n{"src":1}');
  await rejects(
    writeExamples(path, streamExamples(bad)),
    /^.*bad\.jsonl, line 2 has only the columns/,
  );
  assert.is((await readExamples(path)).length, golden.length);
});

test.run();
