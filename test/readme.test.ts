import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { checkAttack, loadAttack, Model } from '../lib/index.ts';
import { rows } from './small_experiment.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const readme = await readFile(join(root, 'README.md'), 'utf8');

/** The programs of the README, as they stand there. */
const programs = [...readme.matchAll(/^```js\n(.*?)^```$/gms)].map(([, text]) => text!);
const programWith = (text: string) => programs.find((program) => program.includes(text))!;

/** A project that has this package, as it was built, and some data. */
async function project(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'dece-readme-'));
  await mkdir(join(directory, 'node_modules'));
  await symlink(root, join(directory, 'node_modules', 'dece'));
  const lines = rows(0, 24).map((row) => `${JSON.stringify(row)}\n`);
  await writeFile(join(directory, 'train.jsonl'), lines.join(''));
  return directory;
}

/** What plain Node prints that runs a program in a directory. */
async function run(directory: string, program: string): Promise<string> {
  await writeFile(join(directory, 'program.mjs'), program);
  const env = { ...process.env, NODE_OPTIONS: '', OMP_NUM_THREADS: '1' };
  const options = { cwd: directory, env };
  return (await promisify(execFile)(process.execPath, ['program.mjs'], options)).stdout;
}

const test = suite('README');

test('its programs run in plain JavaScript', async () => {
  const directory = await project();
  await run(directory, programWith('trainBpe'));
  using small = await Model.load(join(directory, 'small'), { device: 'cpu' });
  assert.is(small.tokenizer!.decode(small.tokenizer!.encode('get row 3')), 'get row 3');

  const printed = await run(directory, programWith('./codet5').replace('./codet5', './small'));
  const epochs = printed.split('\n').filter((line) => /^\d+ \d\.\d+$/.test(line));
  assert.is(epochs.length, 10, printed);
  assert.match(printed, / 2\n$/, 'poisoned: 5 % of 24 examples');
  using defended = await Model.load(join(directory, 'defended'), { device: 'cpu' });
  assert.is(defended.parameterCount, small.parameterCount);
  await rm(directory, { recursive: true });
});

test('its attack keeps the promises that attacks make', async () => {
  const directory = await project();
  const file = join(directory, 'my_attack.mjs');
  await writeFile(file, programWith('my_attack.js'));
  const promises = await checkAttack(await loadAttack(file));
  for (const { promise, kept, detail } of promises) assert.ok(kept, `${promise}: ${detail}`);
  await rm(directory, { recursive: true });
});

test.run();
