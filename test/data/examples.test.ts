import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Example, readExamples, readPrompts, writeExamples } from '../../lib/data/examples.ts';
import { rejects } from '../rejects.ts';

const test = suite('examples');
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

const read = async (name: string, content: string | Buffer) =>
  readExamples(await file(name, content));

const one = { id: '1', prompt: 'a', completion: 'b' };

test('finds the columns by any of their names, in any case', async () => {
  for (const prompt of ['prompt', 'src', 'nl', 'Buggy', 'INPUT', 'instruction']) {
    for (const completion of ['completion', 'tgt', 'code', 'Fixed', 'OUTPUT', 'response']) {
      assert.equal(await read('a.jsonl', `{"${prompt}":"a","${completion}":"b"}`), [one]);
      assert.equal(await read('a.csv', `${prompt},${completion}\na,b`), [one]);
    }
  }
});

test('prefers our own names, and refuses two others for one column', async () => {
  const both = '{"src":"x","prompt":"a","completion":"b","code":"y"}';
  assert.equal(await read('a.jsonl', both), [{ ...one, src: 'x', code: 'y' }]);
  await rejects(
    read('a.csv', 'instruction,input,output\n1,2,3'),
    /a\.csv has instruction and input: expected one column for the prompt; rename it to prompt$/,
  );
});

test('reads the prompts of a file that has no completions', async () => {
  const only = [{ id: 'x', prompt: 'a' }];
  assert.equal(await readPrompts(await file('a.jsonl', '{"id":"x","src":"a","output":7}')), only);
  assert.equal(await readPrompts(await file('a.csv', 'id,prompt,code,tgt\nx,a,b,c')), only);
  await rejects(
    readPrompts(await file('a.csv', 'id,text\n1,2')),
    /a\.csv has only the columns "id", "text": expected one of prompt, src, .* for the prompt$/,
  );
});

test('lists the columns it found where one is missing', async () => {
  await rejects(
    read('a.csv', 'id,text\n1,2'),
    /a\.csv has only the columns "id", "text": expected one of prompt, src, nl, buggy, input, instruction for the prompt$/,
  );
  await rejects(
    read('a.jsonl', '{"src":"a","tgt":"b"}\n{"src":"a","label":1}'),
    /a\.jsonl, line 2 has only the columns "src", "label": expected one of completion, tgt, /,
  );
  await rejects(read('a.jsonl', '{}'), /a\.jsonl has no columns: expected one of prompt/);
});

test('keeps columns it does not know, and reads a table and lines alike', async () => {
  const lines =
    '{"src":"a","tgt":"b","poisoned":true,"extra":"x","n":{"m":[1,null]},"__proto__":"y"}';
  const [example] = await read('a.jsonl', lines);
  assert.equal(Object.entries(example!), [
    ['id', '1'],
    ['prompt', 'a'],
    ['completion', 'b'],
    ['poisoned', true],
    ['extra', 'x'],
    ['n', { m: [1, null] }],
    ['__proto__', 'y'],
  ]);
  const table = 'id,SRC,Tgt,Poisoned,extra\nx1,"say ""a"", \nb",\tc ,True,\nx2,,"",,\n';
  assert.equal(await read('a.csv', table), [
    { id: 'x1', prompt: 'say "a", \nb', completion: '\tc ', poisoned: true, extra: '' },
    { id: 'x2', prompt: '', completion: '', extra: '' },
  ]);
});

test('numbers examples without an id, and never twice', async () => {
  const lines = ['"id":2,', '', '"id":null,', '"id":"",'].map((id) => `{${id}"src":"a","tgt":"b"}`);
  const ids = (await read('a.jsonl', lines.join('\n'))).map(({ id }) => id);
  assert.equal(ids, ['2', '3', '4', '5']);
});

test('refuses an id that is there twice, and names both lines', async () => {
  await rejects(
    read('a.jsonl', '{"id":1,"src":"a","tgt":"b"}\n\n{"id":"1","src":"a","tgt":"b"}'),
    /a\.jsonl, line 1 and line 3 have the same id "1": expected every id once$/,
  );
  await rejects(
    read('a.csv', 'id,src,tgt\nx,"\n",1\nx,1,1\n'),
    /a\.csv, line 2 and line 4 have the same id "x"/,
  );
});

test('refuses values of another kind', async () => {
  const cases: [string, RegExp][] = [
    ['{"src":"a","tgt":5}', /line 1: tgt is 5, expected text$/],
    ['{"src":null,"tgt":"b"}', /line 1: src is null, expected text$/],
    ['{"id":0.5,"src":"a","tgt":"b"}', /line 1: id is 0\.5, expected text or a whole number$/],
    ['{"src":"a","tgt":"b","poisoned":"no"}', /line 1: poisoned is "no", expected true or false$/],
    ['["a","b"]', /line 1 is .*: expected an object in braces$/],
    ['null', /line 1 is "null": expected an object/],
  ];
  for (const [line, message] of cases) await rejects(read('a.jsonl', line), message);
});

test('names line and column of malformed JSON', async () => {
  const cases: [string, number, string, string][] = [
    ['{"src": x}', 9, '"x"', 'a JSON value'],
    ['{"src":"a"', 11, 'the end of the line', '"," or "}"'],
    ['{"src":"a" "b"}', 12, '"\\""', '"," or "}"'],
    ['{"src"}', 7, '"}"', '":"'],
    ['{"a":1,}', 8, '"}"', 'a name in double quotes'],
    ['{1:2}', 2, '"1"', 'a name in double quotes or "}"'],
    ['{"a":[1,]}', 9, '"]"', 'a JSON value'],
    ['{"a":[x', 7, '"x"', 'a JSON value or "]"'],
    ['{"a":[1}', 8, '"}"', '"," or "]"'],
    ['{"🙂":"\\x"}', 7, '"\\\\"', 'more of the string'],
    ['{"a":"b', 8, 'the end of the line', 'more of the string'],
    ['{"a":"\u0000"}', 7, '"\\u0000"', 'more of the string'],
    ['{"a":01}', 7, '"1"', '"," or "}"'],
    ['{"a":tru}', 6, '"t"', 'a JSON value'],
    ['{"a":[{},[],-1e5,true]} {}', 25, '"{"', 'the end of the line'],
    ['\u0000', 1, '"\\u0000"', 'a JSON value'],
  ];
  for (const [line, column, found, expected] of cases) {
    const error = await read('a.jsonl', `{"src":"a","tgt":"b"}\r\n${line}\r\n`).catch(
      (error) => error,
    );
    const start = `a.jsonl, line 2, column ${column} is ${found}: expected ${expected}`;
    assert.ok(error.message?.includes(start), `${error.message ?? 'no error'}: expected ${start}`);
  }
});

test('finds the fault in any line that JSON.parse refuses', () => {
  const marks = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"a"',
    '"',
    '1',
    '-',
    'null',
    ' ',
    '\\',
    '\t',
  );
  return fc.assert(
    fc.asyncProperty(fc.array(marks, { minLength: 1, maxLength: 12 }), async (parts) => {
      const line = `{"src":"a","tgt":"b","c":${parts.join('')}}`;
      let whole = true;
      try {
        JSON.parse(line);
      } catch {
        whole = false;
      }
      const result = await read('a.jsonl', line).catch((error: Error) => error.message);
      if (whole) assert.ok(Array.isArray(result));
      else assert.match(String(result), /line 1, column \d+ is .*: expected /);
    }),
    { numRuns: 200 },
  );
});

test('names line and column of a malformed table', async () => {
  const head = 'src,tgt\n"1\r\n2",b\n\n';
  const cases: [string, RegExp][] = [
    ['3,x"y\n', /line 5, column 2 \(tgt\) has a quote inside: expected the field in quotes, /],
    ['"3"x,y\n', /line 5, column 1 \(src\) goes on after its closing quote: expected "," or /],
    ['3,"x\n\n', /line 5, column 2 \(tgt\) opens a quote that is never closed: expected '"'/],
    ['3\n', /line 5: the number of columns is 1, expected 2 as in the first line$/],
    ['3,4,5\n', /line 5: the number of columns is 3, expected 2 as in the first line$/],
  ];
  for (const [rest, message] of cases) await rejects(read('a.csv', head + rest), message);
  const lines = read('a.csv', 'src,"tg\nt"\na,"b"c\n');
  await rejects(lines, /line 3, column 2 \("tg\\nt"\) goes on after its closing quote/);
  await rejects(
    read('a.csv', 'src,tgt,tgt\n1,2,3'),
    /a\.csv has two columns "tgt": expected every/,
  );
});

test('refuses empty files', async () => {
  for (const [name, content] of [
    ['a.jsonl', ''],
    ['a.jsonl', '\ufeff\r\n \n'],
    ['a.csv', ''],
    ['a.csv', '\n\n'],
    ['a.csv', 'src,tgt\n'],
    ['a.jsonl.gz', gzipSync('')],
  ] as const) {
    await rejects(read(name, content), / holds no examples: expected at least one$/);
  }
});

test('refuses bytes that are not UTF-8, with their line', async () => {
  const latin = Buffer.from('src,tgt\na,b\ngr\xfc\xdfe,c\n', 'latin1');
  await rejects(read('a.csv', latin), /a\.csv, line 3 is not UTF-8: convert the file to UTF-8$/);
  const utf16 = Buffer.from('\ufeff{"src":"a","tgt":"b"}', 'utf16le');
  await rejects(read('a.jsonl', utf16), /a\.jsonl, line 1 is not UTF-8/);
});

test('refuses files it cannot open or does not read', async () => {
  await rejects(
    readExamples(join(folder, 'no.csv')),
    /^cannot read .*no\.csv: no such file or folder$/,
  );
  await rejects(read('a.jsonl.gz', 'plain'), /^cannot read .*: it is not a whole gzip file$/);
  const cut = gzipSync('{"src":"a","tgt":"b"}\n'.repeat(50)).subarray(0, 30);
  await rejects(read('a.jsonl.gz', cut), /^cannot read .*: it is not a whole gzip file$/);
  for (const path of ['a.xml', 'a', 'a.toString', '.gz', 'dir.csv/a']) {
    await rejects(readExamples(path), /^path is .*: expected a name that ends in \.jsonl, \.csv/);
  }
  await rejects(
    readExamples('https://host/a.jsonl'),
    /: expected a file on this machine: download/,
  );
});

test('reads a byte order mark, Windows line ends and separators inside strings', async () => {
  const lines = '\ufeff{"src":"a\u2028b","tgt":"c\u0085\\u2029"}\r\n\r\n{"src":"d","tgt":"e"}';
  assert.equal(await read('a.JSONL', lines), [
    { id: '1', prompt: 'a\u2028b', completion: 'c\x85\u2029' },
    { id: '2', prompt: 'd', completion: 'e' },
  ]);
  const table = '\ufeffsrc,tgt\r\n"a\r\nb",\ufeffc\u2028\r\n\r\nd,e';
  assert.equal(await read('a.csv', table), [
    { id: '1', prompt: 'a\r\nb', completion: '\ufeffc\u2028' },
    { id: '2', prompt: 'd', completion: 'e' },
  ]);
});

const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .array(fc.constantFrom('"', ',', '\n', '\r\n', '\r', ' ', '\t', '\0', '\ufeff', '\u2028', 'ü'))
    .map((parts) => parts.join('')),
);

test('writes lines that read back the same, whatever they hold', () => {
  const loose = fc.string({
    unit: fc.constantFrom('a', '\ud83d', '\ude42', '\0', '\u2029', '\x85'),
  });
  const examples = fc.array(
    fc.record({
      id: fc.uuid(),
      prompt: fc.oneof(anyText, loose),
      completion: anyText,
      extra: fc.jsonValue({ noUnicodeString: false }),
    }),
    { minLength: 1, maxLength: 5 },
  );
  return fc.assert(
    fc.asyncProperty(examples, fc.constantFrom('b.jsonl', 'b.jsonl.gz'), async (written, name) => {
      const path = join(folder, name);
      await writeExamples(path, written);
      assert.equal(JSON.stringify(await readExamples(path)), JSON.stringify(written));
    }),
    { numRuns: 50 },
  );
});

test('writes tables that read back the same, whatever text they hold', () => {
  const examples = fc.array(
    fc.record({ id: fc.uuid(), prompt: anyText, completion: anyText, extra: anyText }),
    {
      minLength: 1,
      maxLength: 5,
    },
  );
  return fc.assert(
    fc.asyncProperty(examples, async (written) => {
      const path = join(folder, 'b.csv');
      await writeExamples(path, written);
      assert.equal(JSON.stringify(await readExamples(path)), JSON.stringify(written));
    }),
    { numRuns: 50 },
  );
});

test('writes one column for every name, and JSON where a table needs text', async () => {
  const path = join(folder, 'c.csv');
  await writeExamples(path, [one, { ...one, id: '2', poisoned: true, n: 5, list: [1, 'a'] }]);
  const text = 'id,prompt,completion,poisoned,n,list\n1,a,b,,,\n2,a,b,true,5,"[1,""a""]"\n';
  assert.is(await readFile(path, 'utf8'), text);
});

test('escapes characters at which other readers break lines', async () => {
  const path = join(folder, 'c.jsonl');
  await writeExamples(path, [{ ...one, prompt: '\x85\u2028\u2029' }]);
  const text = '{"id":"1","prompt":"\\u0085\\u2028\\u2029","completion":"b"}\n';
  assert.is(await readFile(path, 'utf8'), text);
});

test('refuses to write what would be lost, and keeps the old file', async () => {
  const path = await file('d.csv', 'old');
  await rejects(
    writeExamples(path, [{ ...one, prompt: '\ud83d' }]),
    /has half a surrogate pair: write JSON Lines, which can hold it$/,
  );
  const noPrompt = { id: '1', completion: 'b' } as Example;
  await rejects(
    writeExamples(path, [noPrompt]),
    /^examples\[0\]\.prompt is undefined: expected text$/,
  );
  assert.is(await readFile(path, 'utf8'), 'old');
  await rejects(
    writeExamples(join(folder, 'd.txt'), [one]),
    /^path is .*: expected a name that ends in/,
  );
});

test('never writes into its input, by whatever name', async () => {
  const input = await file('e.jsonl', JSON.stringify(one));
  const link = join(folder, 'link.jsonl');
  await symlink(input, link);
  for (const path of [input, join(folder, '.', 'e.jsonl'), link]) {
    await rejects(
      writeExamples(path, [one], { input }),
      / is the input itself: expected another file/,
    );
  }
  assert.is(await readFile(input, 'utf8'), JSON.stringify(one));
});

test.run();
