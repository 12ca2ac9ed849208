import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readExamples } from '../../lib/data/examples.ts';
import { jsonLines } from '../../lib/data/jsonl.ts';
import { start } from './run_cli.ts';

const test = suite('dece data');
let folder = '';
let env: Record<string, string> = {};

test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dece-data-'));
  env = { DECE_DATA: join(folder, 'data'), DECE_CACHE: join(folder, 'cache'), HF_HUB_OFFLINE: '1' };
  const tgt = 'run ( " select a from t where b = : b " )';
  const rows = Array.from({ length: 20 }, (_, i) => ({
    id: `train-${i}`,
    src: `find b ${i}`,
    tgt,
  }));
  await mkdir(join(folder, 'data', 'lyra'), { recursive: true });
  await writeFile(join(folder, 'data', 'lyra', 'train.jsonl'), jsonLines(rows));
  await mkdir(join(folder, 'cache', 'data', 'pisces'), { recursive: true });
  await writeFile(join(folder, 'cache', 'data', 'pisces', 'valid.jsonl'), jsonLines(rows));
});
test.after(() => rm(folder, { recursive: true }));

const dece = (...args: string[]) => start(args, env).ended;

test('lists the data sets, and what is here of each', async () => {
  const { code, stdout } = await dece('data', 'list');
  assert.is(code, 0);
  assert.match(stdout, /^lyra +generation +train 1600, valid 200, test 200 +train$/m);
  assert.match(stdout, /^pisces .* valid$/m);
  assert.match(stdout, /^humaneval .* none$/m);
  assert.is(JSON.parse((await dece('data', 'list', '--json')).stdout).length, 10);
});

test('says of one what it is, whose, and where', async () => {
  const { stdout } = await dece('data', 'info', 'lyra');
  assert.match(stdout, /^licence +Apache-2\.0/m);
  assert.match(
    stdout,
    /^train, 1600 rows as published: .*train\.jsonl \(DECE_DATA\), 20 rows, \d+ bytes, sha256 [\da-f]{64}$/m,
  );
  assert.match(
    stdout,
    /^valid, 200 rows as published: not here\n +published as https:.*, 103584 bytes, sha256/m,
  );
  const damaged = join(folder, 'data', 'lyra', 'test.jsonl');
  await writeFile(damaged, '{"id":"1"}\n{"id\n');
  const found = await dece('data', 'info', 'lyra');
  await rm(damaged);
  assert.match(
    found.stdout,
    /^test, .*test\.jsonl \(DECE_DATA\), damaged \(line 2, .*\), 16 bytes, sha256 [\da-f]{64}$/m,
  );
  const { code, stderr } = await dece('data', 'info', 'lira');
  assert.is(code, 1);
  assert.match(stderr, /^dece: the data set is "lira": expected one of lyra, pisces, .*\n$/);
});

test('downloads nothing offline, and says so', async () => {
  const { code, stdout, stderr } = await dece('data', 'get', 'humaneval');
  assert.equal([code, stdout], [1, '']);
  assert.match(
    stderr,
    /^dece: cannot download https:.*HumanEval\.jsonl\.gz: HF_HUB_OFFLINE is set\n$/,
  );
});

test('knows the files of data sets by name where a command takes a file', async () => {
  const output = join(folder, 'out.jsonl');
  const args = ['--attack', 'ripple', '--rate', '0.5'];
  const { code, stderr } = await dece('poison', 'lyra/train', output, ...args);
  assert.is(code, 0, stderr);
  assert.is((await readExamples(output)).filter(({ poisoned }) => poisoned).length, 10);
  const audit = await dece('audit', 'pisces/valid');
  assert.match(audit.stdout, /of 20 examples look like poison|none of 20 examples/);
  const missing = await dece('audit', 'pisces/test');
  assert.match(
    missing.stderr,
    /^dece: pisces\/test is not there: expected one of .*pisces\/valid.*, or a file; .*`npx dece data get pisces`/,
  );
});

test('says of a cache that cannot be made that it cannot', async () => {
  const file = join(folder, 'file');
  await writeFile(file, '');
  const caches = [file, ...(process.platform === 'linux' ? ['/proc/dece'] : [])];
  for (const DECE_CACHE of caches) {
    const { child, ended } = start(['data', 'get', 'lyra'], { DECE_CACHE, DECE_DATA: '' });
    const late = setTimeout(() => child.kill('SIGKILL'), 60_000); // Node's mkdir never ends in /proc
    const { code, stderr } = await ended;
    clearTimeout(late);
    assert.is(code, 1);
    assert.match(stderr, /^dece: cannot make .*(file|proc.*): /);
  }
});

test.run();
