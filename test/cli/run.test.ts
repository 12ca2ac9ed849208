import { createHash } from 'node:crypto';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { folder, small } from '../small_experiment.ts';
import { dece, reaches, start } from './run_cli.ts';

const run = 'own-badpre-0.25-dece-42';

const hash = async (path: string) =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex');

const weights = (out: string, name: string) => hash(join(out, name, 'model', 'model.safetensors'));

const test = suite('dece run');

test('prints the results of each run as JSON, and lines elsewhere', async () => {
  const directory = await folder();
  const out = join(directory, 'out');
  const ending = await dece('run', join(directory, 'small.json'), '--out', out, '--json');
  assert.is(ending.code, 0, ending.stderr);
  const { results } = JSON.parse(ending.stdout) as { results: { defense: string }[] };
  assert.equal(
    results.map(({ defense }) => defense),
    ['none', 'dece'],
  );
  assert.match(ending.stderr, /^base-42: training the base on 16 clean examples, 2 left out/m);
  assert.match(ending.stderr, /^run 2 of 2, own-badpre-0\.25-dece-42$/m);
  assert.match(ending.stderr, /^ {2}epoch 2: BLEU \d+\.\d, attack success rate \d+\.\d %$/m);

  const again = await dece('run', join(directory, 'small.json'), '--out', out);
  assert.match(again.stderr, /run 2 of 2, own-badpre-0\.25-dece-42: finished already/);
  assert.match(again.stdout, /BadPre at 25 % on own/);
  assert.match(again.stdout, /The curves are in .*report\.html/);

  const report = await dece('report', out, '--json');
  assert.equal(JSON.parse(report.stdout), { results: JSON.parse(ending.stdout).results });
});

test('killed at any moment, goes on to the same bits', async () => {
  const directory = await folder();
  const file = join(directory, 'small.json');
  const [whole, broken] = [join(directory, 'whole'), join(directory, 'broken')];
  assert.is((await dece('run', file, '--out', whole)).code, 0);

  for (const [name, type, step] of [
    ['base-42', 'step', 1],
    [run, 'step', 2],
    [run, 'metrics', 3],
    [run, 'step', 5],
  ] as const) {
    const { child, ended } = start(['run', file, '--out', broken]);
    await reaches(join(broken, name), type, step);
    child.kill('SIGKILL');
    await ended;
  }
  const { code, stderr } = await dece('run', file, '--out', broken);
  assert.is(code, 0, stderr);
  for (const name of ['base-42', 'own-badpre-0.25-none-42', run]) {
    assert.is(await weights(broken, name), await weights(whole, name), name);
  }
  const results = async (out: string) =>
    JSON.parse(await readFile(join(out, run, 'results.json'), 'utf8')).metrics;
  assert.equal(await results(broken), await results(whole));
});

test('stops on Ctrl-C, says how to go on, and does', async () => {
  const directory = await folder();
  const file = join(directory, 'small.json');
  const out = join(directory, 'out');
  const { child, ended } = start(['run', file, '--out', out]);
  await reaches(join(out, 'own-badpre-0.25-none-42'), 'step', 2);
  child.kill('SIGINT');
  const { code, stderr } = await ended;
  assert.is(code, 130, stderr);
  assert.match(
    stderr,
    /\nstopped\. What is done is kept; go on with\n {2}npx dece run \S+small\.json --out \S+\n$/,
  );
  const args = /go on with\n {2}npx dece (.*)\n$/.exec(stderr)![1]!.split(' ');
  assert.is((await dece(...args)).code, 0);
});

test('lets no second process into a run', async () => {
  const directory = await folder();
  const file = join(directory, 'small.json');
  const out = join(directory, 'out');
  const { child, ended } = start(['run', file, '--out', out]);
  await reaches(join(out, 'base-42'), 'step', 1);
  child.kill('SIGSTOP');
  const { code, stderr } = await dece('run', file, '--out', out);
  assert.is(code, 1);
  assert.match(stderr, new RegExp(`is being written by process ${child.pid} on `));
  child.kill('SIGKILL');
  await ended;
});

test('takes attacks of one’s own into the grid and the report', async () => {
  const directory = await folder();
  const mine = new URL('../fixtures/attacks/homoglyph.js', import.meta.url);
  await copyFile(mine, join(directory, 'mine.mjs'));
  const file = join(directory, 'mine.json');
  const { base: _, ...rest } = small;
  const grid = { ...rest, attacks: ['./mine.mjs', 'grammar'], defenses: ['none'] };
  await writeFile(file, JSON.stringify(grid));
  const out = join(directory, 'out');
  const ending = await dece('run', file, '--out', out, '--json');
  assert.is(ending.code, 0, ending.stderr);
  const { results } = JSON.parse(ending.stdout) as { results: { attack: string }[] };
  assert.equal(
    results.map(({ attack }) => attack),
    ['homoglyph', 'grammar'],
  );
  assert.match(ending.stderr, /^run 1 of 2, own-homoglyph-0\.25-none-42$/m);
  const report = await dece('report', out);
  assert.match(report.stdout, /homoglyph at 25 % on own/);
  assert.match(report.stdout, /Grammar at 25 % on own/);
});

test.run();
