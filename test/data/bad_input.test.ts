import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { poisonDataset } from '../../lib/attacks/index.ts';
import {
  type Example,
  readExamples,
  streamExamples,
  writeExamples,
} from '../../lib/data/examples.ts';
import { rejects } from '../rejects.ts';

const test = suite('bad input');
let folder = '';
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dece-'));
});
test.after(() => rm(folder, { recursive: true }));

async function file(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

async function all(path: string): Promise<Example[]> {
  const list: Example[] = [];
  for await (const example of streamExamples(path)) list.push(example);
  return list;
}

test('names the line of bytes that are not UTF-8, wherever they are in a large file', async () => {
  const line = Buffer.from(`{"src":"${'ü'.repeat(500)}","tgt":"b"}\n`);
  for (const at of [1, 777]) {
    for (const broken of ['\xff', '\xc3', '\xed\xa0\x80', '\xf5\x80\x80\x80']) {
      const lines = Array.from({ length: 800 }, (_, i) =>
        i === at - 1 ? Buffer.from(`{"src":"${broken}","tgt":"b"}\n`, 'latin1') : line,
      );
      for (const name of ['a.jsonl', 'a.jsonl.gz']) {
        const bytes = Buffer.concat(lines);
        const path = await file(name, name.endsWith('.gz') ? gzipSync(bytes) : bytes);
        const message = new RegExp(`, line ${at} is not UTF-8: convert the file to UTF-8$`);
        await rejects(readExamples(path), message);
        await rejects(all(path), message);
      }
    }
  }
});

test('refuses a character that is cut off at the end of a file', async () => {
  const cut = Buffer.from('src,tgt\na,🙂').subarray(0, -1);
  await rejects(readExamples(await file('a.csv', cut)), /a\.csv, line 2 is not UTF-8/);
});

test('keeps NUL and half surrogate pairs that JSON escapes, and NUL in a table', async () => {
  const [example] = await readExamples(
    await file('a.jsonl', '{"src":"a\\u0000b","tgt":"\\ud83d"}'),
  );
  assert.equal([example!.prompt, example!.completion], ['a\0b', '\ud83d']);
  const copy = join(folder, 'copy.jsonl');
  await writeExamples(copy, [example!]);
  assert.equal(await readExamples(copy), [example]);
  const table = await readExamples(await file('a.csv', 'src,tgt\na\0b,"\0"\n'));
  assert.equal([table[0]!.prompt, table[0]!.completion], ['a\0b', '\0']);
});

test('reads a line of 100 MB, and names the place after it', async () => {
  const long = 'x'.repeat(100_000_000);
  const path = await file('long.jsonl', `{"src":"${long}","tgt":"b"}\n{"src":"a"\n`);
  await rejects(
    readExamples(path),
    /long\.jsonl, line 2, column 11 is the end of the line: expected/,
  );
  const [first] = await readExamples(await file('long.jsonl', `{"src":"${long}","tgt":"b"}\n`));
  assert.is(first!.prompt.length, long.length);
  const cut = await file('long.jsonl', `{"src":"${long}`);
  const error = await readExamples(cut).catch((error: Error) => error);
  assert.match(
    String(error),
    /line 1, column 100000009 is the end of the line: expected more of the string/,
  );
  assert.ok(String(error).length < 300);
  await rm(cut);
});

test('says what cannot be poisoned, and leaves the old file', async () => {
  const clean = Array.from({ length: 10 }, (_, i) => ({
    id: `${i}`,
    prompt: 'a',
    completion: 'b',
  }));
  const options = { attack: 'badpre', seed: 1 } as const;
  for (const rate of [0.1, 1]) {
    assert.throws(
      () => poisonDataset(clean, { ...options, rate }),
      /^poisonRate is .*: expected at most 0, as the attack applies to 0 of 10 examples \(the first of the others: no SQL query/,
    );
  }
  const none = poisonDataset(clean, { ...options, rate: 0 });
  assert.equal(none.examples, clean);
  assert.is(none.manifest.poisoned, 0);
  assert.equal(poisonDataset([], { ...options, rate: 0 }).examples, []);
  for (const rate of [-0.1, 1.1, Number.NaN]) {
    assert.throws(
      () => poisonDataset(clean, { ...options, rate }),
      /^rate is .*: expected 0\.\.1$/,
    );
  }
});

// One sentence, which begins with the path or with what failed, and has no text of the file at length.
const sentence = /^(cannot read )?\/[^\n]*(fuzz\.[\w.]+)[^\n]{0,300}$/;

async function outcome(read: Promise<Example[]>): Promise<Example[] | string> {
  return read.catch((error: unknown) => {
    assert.instance(error, Error);
    const { message } = error as Error;
    assert.match(message, sentence);
    // What a library says of a damaged file may be odd; what we say is not.
    if (!/is no whole Parquet file/.test(message)) assert.not.match(message, /undefined|\[object/);
    return message;
  });
}

const seeds = {
  'fuzz.jsonl': Buffer.from(
    '{"id":1,"src":"a ü","tgt":"\\"b\\"","poisoned":true}\n\n{"id":2,"src":"🙂","tgt":"","x":[1,{}]}\r\n',
  ),
  'fuzz.csv': Buffer.from('id,src,tgt,poisoned\n1,"a ""ü""\n, b",c,True\r\n2,,🙂,\n'),
  'fuzz.jsonl.gz': gzipSync('{"src":"a","tgt":"b"}\n{"src":"c","tgt":"d"}\n'),
  'fuzz.parquet': await readFile(
    fileURLToPath(new URL('../fixtures/tables/snappy.parquet', import.meta.url)),
  ),
};

type Change = { kind: 'set' | 'insert' | 'remove' | 'cut' | 'repeat'; at: number; byte: number };

const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom('set', 'insert', 'remove', 'cut', 'repeat'),
  at: fc.double({ min: 0, max: 0.999, noNaN: true }),
  byte: fc.oneof(
    fc.integer({ min: 0, max: 255 }),
    fc.constantFrom(...Buffer.from('",\n\r{}[]:\\0\xef')),
  ),
});

function changed(bytes: Buffer, { kind, at, byte }: Change): Buffer {
  const place = Math.floor(at * (bytes.length + 1));
  const [before, after] = [bytes.subarray(0, place), bytes.subarray(place)];
  if (kind === 'cut') return before;
  if (kind === 'insert') return Buffer.concat([before, Buffer.of(byte), after]);
  if (kind === 'remove') return Buffer.concat([before, after.subarray(1)]);
  if (kind === 'repeat') return Buffer.concat([before, before.subarray(-20), after]);
  return Buffer.concat([before, Buffer.of(byte), after.subarray(1)]);
}

for (const [name, bytes] of Object.entries(seeds)) {
  test(`reads or refuses ${name} in one sentence, whatever happened to its bytes`, async () => {
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        const path = await file(name, changes.reduce(changed, bytes));
        const read = await outcome(readExamples(path));
        const streamed = await outcome(all(path));
        if (typeof read === 'string') refused++;
        else {
          const texts = read.flatMap(({ id, prompt, completion }) => [id, prompt, completion]);
          assert.ok(texts.every((text) => typeof text === 'string'));
          assert.ok(read.length > 0);
        }
        // A stream does not look for ids that are there twice.
        if (typeof read !== 'string' || !/have the same id/.test(read)) {
          const texts = (found: typeof read) =>
            typeof found === 'string'
              ? found
              : found.map(({ prompt, completion }) => [prompt, completion]);
          assert.equal(texts(streamed), texts(read));
        }
      }),
      { seed: 7, numRuns: 150 },
    );
    assert.ok(refused > 20, `${refused} were refused`);
  });
}

test('reads what gzip packed in several members', async () => {
  const lines = [1, 2].map((i) => gzipSync(`{"id":${i},"src":"a","tgt":"b"}\n`));
  assert.is(gunzipSync(Buffer.concat(lines)).length, 58);
  assert.is((await readExamples(await file('m.jsonl.gz', Buffer.concat(lines)))).length, 2);
});

test.run();
