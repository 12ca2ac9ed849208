import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { getDataset } from '../../lib/data/catalogue/get.ts';
import type { Dataset } from '../../lib/data/catalogue/index.ts';
import { type DownloadOptions, download } from '../../lib/data/download.ts';
import { readExamples, readLabelledExamples } from '../../lib/data/examples.ts';
import { rejects } from '../rejects.ts';

const test = suite('download');
let folder = '';
let path = '';
let server: Server;
let url = '';
let asked: (string | undefined)[] = []; // the ranges
let lines: string[] = [];
let answer: (request: IncomingMessage, response: ServerResponse) => void;

test.before(async () => {
  server = createServer((request, response) => {
    asked.push(request.headers.range);
    answer(request, response);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/data/train.csv`;
});
test.before.each(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dece-'));
  path = join(folder, 'train.csv');
  asked = [];
  lines = [];
});
test.after.each(() => rm(folder, { recursive: true }));
test.after(() => {
  server.closeAllConnections();
  server.close();
});

const content = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) % 251));
const sha256 = createHash('sha256').update(content).digest('hex');
const source = () => ({ url, hash: sha256, bytes: content.length });
const options = (more: Partial<DownloadOptions> = {}): DownloadOptions => ({
  env: {},
  log: (line) => lines.push(line),
  waitMs: 1,
  stallMs: 300,
  ...more,
});

/** As a good server does, also from a byte on. */
const well: typeof answer = ({ headers }, response) => {
  const start = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
  const rest = content.subarray(start);
  const range = { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` };
  const length = { 'content-length': rest.length };
  response.writeHead(start > 0 ? 206 : 200, { ...length, ...(start > 0 && range) }).end(rest);
};

/** The first answers, then good ones. */
function first(...answers: (typeof answer)[]): void {
  answer = (request, response) => (answers.shift() ?? well)(request, response);
}

/** Sends so many bytes of what it promises, and hangs up. */
const cutAfter =
  (bytes: number): typeof answer =>
  ({ headers }, response) => {
    const start = Number(/\d+/.exec(headers.range ?? '0')![0]);
    const total = content.length;
    response.writeHead(start > 0 ? 206 : 200, {
      'content-length': total - start,
      'content-range': `bytes ${start}-${total - 1}/${total}`,
    });
    // A while later, so that what was sent has arrived.
    response.write(content.subarray(start, start + bytes));
    setTimeout(() => response.destroy(), 100);
  };

const status =
  (code: number): typeof answer =>
  (_, response) =>
    response.writeHead(code).end('sorry');

test('brings the file, and says before how much and from where', async () => {
  first();
  await download(path, source(), options());
  assert.ok((await readFile(path)).equals(content));
  assert.equal(lines, [`downloading 300 kB from ${url}`]);
  assert.equal(await readdir(folder), ['train.csv']);
});

test('goes on where the connection was cut, time and again', async () => {
  first(cutAfter(100_000), cutAfter(50_000), cutAfter(1));
  await download(path, source(), options());
  assert.ok((await readFile(path)).equals(content));
  assert.is(asked[0], undefined);
  assert.equal(asked.slice(1), ['bytes=100000-', 'bytes=150000-', 'bytes=150001-']);
  assert.match(lines[1]!, /: the connection was cut; asking again$/);
  assert.match(lines[2]!, /^downloading 300 kB from .*, from byte 100000 on$/);
});

test('goes on where an earlier call was stopped', async () => {
  first(cutAfter(120_000));
  const controller = new AbortController();
  const log = (line: string) => line.endsWith('asking again') && controller.abort();
  const stopped = download(
    path,
    source(),
    options({ signal: controller.signal, log, waitMs: 5000 }),
  );
  assert.is(await stopped.catch((error) => error), controller.signal.reason);
  assert.equal(await readdir(folder), ['train.csv.part']);
  await download(path, source(), options());
  assert.equal(asked, [undefined, 'bytes=120000-']);
  assert.ok((await readFile(path)).equals(content));
});

test('does not wait for a server that stalls', async () => {
  const stalls: typeof answer = (_, response) => {
    response.writeHead(200, { 'content-length': content.length });
    response.write(content.subarray(0, 1000));
  };
  const silent: typeof answer = () => {};
  first(stalls, silent);
  await download(path, source(), options());
  assert.ok((await readFile(path)).equals(content));
  assert.match(
    lines.join('\n'),
    /sends nothing any more; asking again\n.*does not answer; asking/s,
  );
});

test('gives up after five failures in a row, and keeps what has arrived', async () => {
  first(cutAfter(1000), ...Array(9).fill(status(503)));
  await rejects(
    download(path, source(), options()),
    /^cannot download http:.*: the server answers 503, 5 times in a row; what has arrived is kept/,
  );
  assert.is(asked.length, 5);
  assert.equal(await readdir(folder), ['train.csv.part']);
});

test('asks once only for what is not there', async () => {
  for (const code of [401, 403, 404, 410]) {
    asked = [];
    first(status(code));
    await rejects(download(path, source(), options()), new RegExp(`: the server answers ${code}$`));
    assert.is(asked.length, 1);
  }
  const closed = createServer();
  await new Promise<void>((done) => closed.listen(0, '127.0.0.1', done));
  const { port } = closed.address() as AddressInfo;
  await new Promise((done) => closed.close(done));
  const nobody = { ...source(), url: `http://127.0.0.1:${port}/train.csv` };
  await rejects(
    download(path, nobody, options()),
    /: the connection was refused, 5 times in a row$/,
  );
  assert.equal(await readdir(folder), []);
});

test('refuses another file: by its length before it comes, by its hash after', async () => {
  const other = Buffer.from(content).fill(7, 1000, 1001);
  const longer: typeof answer = (_, response) =>
    response.writeHead(200, { 'content-length': content.length + 1 }).end(Buffer.alloc(1));
  first(longer);
  await rejects(
    download(path, source(), options()),
    /the server has 300001 bytes, expected 300000$/,
  );
  const endless: typeof answer = (_, response) => {
    response.writeHead(200);
    const more = () => response.write(content, () => !response.destroyed && more());
    more();
  };
  first(endless);
  await rejects(download(path, source(), options()), /more than 300000 bytes came$/);
  await rm(`${path}.part`, { force: true });
  first((_, response) => response.writeHead(200).end(other));
  await rejects(
    download(path, source(), options()),
    /: it has the sha256 [\da-f]{64}, expected [\da-f]{64}$/,
  );
  assert.equal(await readdir(folder), []);
});

test('begins again where the rest belongs to another file', async () => {
  await writeFile(`${path}.part`, Buffer.alloc(1000));
  first();
  await download(path, source(), options());
  assert.equal(asked, ['bytes=1000-', undefined]);
  assert.ok((await readFile(path)).equals(content));
  assert.match(lines[1]!, /it has the sha256 .*; from the beginning$/);
});

test('takes the whole file from a server that knows no ranges, or answers with another one', async () => {
  await writeFile(`${path}.part`, content.subarray(0, 1000));
  first((_, response) =>
    response.writeHead(200, { 'content-length': content.length }).end(content),
  );
  await download(path, source(), options());
  assert.ok((await readFile(path)).equals(content));

  await rm(path);
  await writeFile(`${path}.part`, content.subarray(0, 1000));
  const wrongRange: typeof answer = (_, response) =>
    response.writeHead(206, { 'content-range': 'bytes 0-9/300000' }).end(content.subarray(0, 10));
  first(wrongRange);
  await download(path, source(), options());
  assert.ok((await readFile(path)).equals(content));
  assert.equal(asked.slice(1), ['bytes=1000-', undefined]);
});

test('knows a file by the name that git gives its content', async () => {
  // printf 'abc' | git hash-object --stdin
  const hash = 'f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f';
  first((_, response) => response.writeHead(200).end('abc'));
  await download(path, { url, hash }, options());
  assert.is(await readFile(path, 'utf8'), 'abc');
  const before = asked.length;
  await download(path, { url, hash }, options());
  assert.is(asked.length, before, 'it is there');
  await rm(path);
  first((_, response) => response.writeHead(200).end('abd'));
  await rejects(
    download(path, { url, hash }, options()),
    /git blob [\da-f]{40}, expected f2ba8f84/,
  );
});

test('downloads nothing offline', async () => {
  first();
  for (const HF_HUB_OFFLINE of ['1', 'true']) {
    const offline = options({ env: { HF_HUB_OFFLINE } });
    await rejects(download(path, source(), offline), /^cannot download .*: HF_HUB_OFFLINE is set$/);
  }
  assert.equal(asked, []);
});

const published = (files: Record<string, string>): Dataset['splits'][string]['files'] =>
  Object.entries(files).map(([name, text]) => ({
    url: new URL(name, url).href,
    hash: createHash('sha256').update(text).digest('hex'),
    bytes: Buffer.byteLength(text),
  }));

test('makes rows of tables, lines and objects, once', async () => {
  const files: Record<string, string> = {
    'table.csv': 'nl,code,rest\n"Do: say ""a""\nnow",b,c\nDo: x,y,z\n',
    'labels.csv': 'code,label\nint f ( ),1\n',
    'a.buggy': 'one \ntwo \n',
    'a.fixed': 'eins \nzwei \n',
    'o.jsonl': '{"task_id":"t/1","prompt":"p","canonical_solution":"s","test":["\u2028"]}\n',
  };
  answer = ({ url = '' }, response) => response.end(files[url.split('/').at(-1)!]);
  const columns = { nl: 'src', code: 'tgt' };
  const some = (...names: string[]) =>
    published(Object.fromEntries(names.map((name) => [name, files[name]!])))!;
  const dataset: Dataset = {
    title: '',
    task: 'generation',
    fields: [],
    licence: '',
    origin: '',
    splits: {
      table: {
        rows: 2,
        recipe: { kind: 'csv', columns, without: 'Do: ' },
        files: some('table.csv'),
      },
      labels: {
        rows: 1,
        recipe: { kind: 'csv', columns: { code: 'text', label: 'label' } },
        files: some('labels.csv'),
      },
      lines: {
        rows: 2,
        recipe: { kind: 'lines', columns: ['src', 'tgt'] },
        files: some('a.buggy', 'a.fixed'),
      },
      objects: { rows: 1, recipe: { kind: 'jsonl' }, files: some('o.jsonl') },
      elsewhere: { rows: 5 },
    },
  };
  const mine = options({ env: { DECE_CACHE: folder } });
  const places = await getDataset('mine', mine, dataset);
  const at = (split: string) => places.find((place) => place.split === split)!.path!;
  assert.equal(await readExamples(at('table')), [
    { id: 'table-1', prompt: 'say "a"\nnow', completion: 'b' },
    { id: 'table-2', prompt: 'x', completion: 'y' },
  ]);
  assert.equal(await readLabelledExamples(at('labels')), [
    { id: 'labels-1', text: 'int f ( )', label: 1 },
  ]);
  assert.equal(await readExamples(at('lines')), [
    { id: 'lines-1', prompt: 'one', completion: 'eins' },
    { id: 'lines-2', prompt: 'two', completion: 'zwei' },
  ]);
  assert.equal(await readExamples(at('objects')), [
    { id: 't/1', prompt: 'p', completion: 's', test: ['\u2028'] },
  ]);
  assert.equal((await readdir(join(folder, 'data', 'mine'))).toSorted(), [
    'labels.jsonl',
    'lines.jsonl',
    'objects.jsonl',
    'table.jsonl',
  ]);
  assert.is(asked.length, 5);
  const again = await getDataset('mine', mine, dataset);
  assert.equal(
    again.map(({ from }) => from),
    ['cache', 'cache', 'cache', 'cache', 'nowhere'],
  );
  assert.is(asked.length, 5);

  const short = { ...dataset, splits: { table: { ...dataset.splits.table!, rows: 3 } } };
  await rejects(getDataset('other', mine, short), /table\.csv hold 2 rows, expected 3$/);
  const none = { ...dataset, splits: { train: { rows: 1 } } };
  await rejects(
    getDataset('third', mine, none),
    /^third cannot be downloaded by dece: get it from .*third.train\.jsonl$/,
  );
});

test('makes rows of chosen objects and of pairs, each file asked for once', async () => {
  const object = (func: string, target: number) => ({
    ...{ project: 'p', commit_id: 'c', target, func },
  });
  const pieces: Record<string, string> = {
    'all.json': JSON.stringify([
      object('a;', 0),
      object('b;', 1),
      object('c;', 1),
      object('d;', 0),
    ]),
    'one.txt': '3\n1\n',
    'two.txt': '2\n',
    'functions.jsonl':
      '{"func":"f()","idx":"7"}\n{"func":"g()","idx":"8"}\n{"func":"h()","idx":9}\n',
    'pairs.txt': '7\t9\t1\n8\t7\t0\n7\t9\t1\n',
    'wrong.txt': '7\t9\t1\n7\t10\t0\n',
    'tasks.jsonl': [1, 2, 3, 4].map((id) => `{"task_id":${id}}\n`).join(''),
  };
  let cut = true;
  answer = ({ url = '' }, response) => {
    const name = url.split('/').at(-1)!;
    if (name === 'pairs.txt' && cut) return response.writeHead(404).end();
    response.end(pieces[name]);
  };
  const some = (...names: string[]) =>
    published(Object.fromEntries(names.map((name) => [name, pieces[name]!])))!;
  const recipe = {
    kind: 'places',
    columns: { func: 'text', target: 'label', project: 'project' },
  } as const;
  const all = { title: '', task: 'classification', fields: [], licence: '', origin: '' } as const;
  const dataset: Dataset = {
    ...all,
    splits: {
      one: { rows: 2, recipe, files: some('one.txt', 'all.json') },
      two: { rows: 1, recipe, files: some('two.txt', 'all.json') },
      head: { rows: 1, recipe: { kind: 'jsonl', lines: [1, 1] }, files: some('tasks.jsonl') },
      tail: { rows: 2, recipe: { kind: 'jsonl', lines: [3, 4] }, files: some('tasks.jsonl') },
      clones: {
        rows: 3,
        recipe: { kind: 'pairs' },
        files: some('pairs.txt', 'functions.jsonl'),
      },
    },
  };
  const mine = options({ env: { DECE_CACHE: folder } });
  await rejects(getDataset('chosen', mine, dataset), /pairs\.txt/);
  cut = false;
  const before = asked.length;
  const places = await getDataset('chosen', mine, dataset);
  assert.is(asked.length - before, 2, 'what had come is not asked for again');
  const rowsOf = async (split: string) =>
    (await readFile(places.find((place) => place.split === split)!.path!, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
  assert.equal(await rowsOf('one'), [
    { id: 'one-1', text: 'b;', label: 1, project: 'p', idx: 1 },
    { id: 'one-2', text: 'd;', label: 0, project: 'p', idx: 3 },
  ]);
  assert.equal(await rowsOf('two'), [{ id: 'two-1', text: 'c;', label: 1, project: 'p', idx: 2 }]);
  assert.equal(await rowsOf('head'), [{ task_id: 1 }]);
  assert.equal(await rowsOf('tail'), [{ task_id: 3 }, { task_id: 4 }]);
  assert.equal(await rowsOf('clones'), [
    { id: '7_9', code1: 'f()', code2: 'h()', label: 1 },
    { id: '8_7', code1: 'g()', code2: 'f()', label: 0 },
    { id: '7_9_2', code1: 'f()', code2: 'h()', label: 1 },
  ]);
  const left = await readdir(join(folder, 'data', 'chosen'));
  assert.not(left.includes('originals'));

  const wrong = { rows: 2, recipe: { kind: 'pairs' }, files: some('wrong.txt', 'functions.jsonl') };
  await rejects(
    getDataset('wrong', mine, { ...all, splits: { wrong } } as Dataset),
    /wrong\.txt, line 2 names the function "10", which .*functions\.jsonl lacks$/,
  );
});

test.run();
