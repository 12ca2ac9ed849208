import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bench, measure } from '../../lib/bench/index.ts';
import { makeProblem, ownProviders } from '../../lib/bench/providers.ts';
import { startTorch } from '../../lib/bench/torch.ts';
import { environment } from '../../lib/environment.ts';
import { benchTable, writeBench } from '../../lib/report/bench.ts';
import { rejects } from '../rejects.ts';

const shapes = [
  { rows: 9, classes: 300 },
  { rows: 4, classes: 1001 },
];
const options = { shapes, threads: 1, rounds: 3, torch: false };

const test = suite('bench');

test('measures every loss beside a copy, with errors that a correct gradient has', async () => {
  const { measurements, torch, missing } = await bench(options);
  assert.is(torch, undefined);
  assert.equal(missing, []);
  assert.is(measurements.length, 2 * ownProviders(makeProblem(1, 2, 1)).length);
  for (const one of measurements) {
    const most = { float32: 1e-6, bfloat16: 4e-3, float16: 1e-3 }[one.dtype];
    const where = `${one.provider} ${one.options} ${one.dtype}`;
    assert.ok(one.least <= one.ms && one.quarter <= one.ms && one.ms <= one.threeQuarters, where);
    if (one.provider === 'copy') assert.is(one.toCopy, 1);
    else assert.ok(one.errorMost! > 0 && one.errorMost! < most, `${where}: ${one.errorMost}`);
  }
  const copy = measurements[0]!;
  const dece = measurements.find(({ provider }) => provider === 'dece')!;
  assert.ok(Math.abs(dece.toCopy - dece.ms / copy.ms) < 1e-9);
  assert.ok(Math.abs(dece.usefulGbPerSecond - (2 * 9 * 300 * 4) / dece.ms / 1e6) < 1e-9);
});

test('does not time what computes something else', async () => {
  const problem = makeProblem(4, 50, 1);
  const [, , dece, ...others] = ownProviders(problem);
  const ce = others.find(({ name, options }) => name === 'ce' && options === '')!;
  const wrong = { ...ce, formula: dece!.formula };
  for (const name of ['ce', 'torch other']) {
    const told = { missing: [] as string[], wrong: [] as string[] };
    const all = [...ownProviders(problem), { ...wrong, name }];
    const found = await measure(problem, all, options, told);
    assert.is(found.length, all.length - 1);
    assert.match(
      told.missing[0]!,
      new RegExp(`^${name} float32, 4 × 50: its gradient is off by \\d`),
    );
    // Our own are to be right; of a peer it is enough to be told.
    assert.equal(told.wrong, name === 'ce' ? told.missing : []);
  }
});

test('leaves out a peer that ends on the way, and no loss of our own', async () => {
  const problem = makeProblem(4, 50, 1);
  const [copy] = ownProviders(problem);
  const ended = new Error('python3 with torch ended by SIGKILL');
  for (const runs of [0, 2]) {
    let left = runs;
    const run = () => (left-- > 0 ? Promise.resolve(1) : Promise.reject(ended));
    const told = { missing: [] as string[], wrong: [] as string[] };
    const all = [...ownProviders(problem), { ...copy!, name: 'torch clone', run }];
    const found = await measure(problem, all, { ...options, rounds: 4 }, told);
    assert.is(found.length, all.length - 1);
    assert.equal(told, { missing: [`torch clone float32, 4 × 50: ${ended.message}`], wrong: [] });
    const own = [...ownProviders(problem), { ...copy!, name: 'dece', run }];
    await rejects(measure(problem, own, options, told), /^python3 with torch ended by SIGKILL$/);
  }
});

test('stops when asked', async () => {
  const controller = new AbortController();
  const onProgress = () => controller.abort();
  await rejects(bench({ ...options, signal: controller.signal, onProgress }), /abort/);
});

test('times PyTorch on the same numbers, where Python has it', async () => {
  process.env.TORCHDYNAMO_DISABLE = '1'; // to compile takes half a minute, and is PyTorch's own affair
  const torch = await startTorch('default', 'cpu');
  if (torch === undefined) {
    console.log('skipped: python3 has no torch');
    return;
  }
  try {
    const problem = makeProblem(6, 200, 1);
    const { providers } = await torch.load(problem);
    const names = providers.map(({ name }) => name);
    for (const name of ['torch clone', 'torch dece eager', 'torch ce', 'torch ce smoothed']) {
      assert.ok(names.includes(name), name);
    }
    const told = { missing: [], wrong: [] };
    const all = [...ownProviders(problem), ...providers];
    const found = await measure(problem, all, options, told);
    assert.equal(told.missing, []);
    const eager = found.find(({ provider }) => provider === 'torch dece eager')!;
    assert.ok(eager.ms > 0 && eager.errorMost! < 1e-5);
  } finally {
    await torch.close();
  }
});

test('finds no PyTorch where Python cannot be started', async () => {
  const stopped = AbortSignal.abort(); // spawn then fails as where there is no such program
  assert.is(await startTorch('default', 'cpu', stopped), undefined);
});

test('ends Python when it is stopped, also while it computes', async () => {
  const controller = new AbortController();
  const torch = await startTorch('default', 'cpu', controller.signal);
  if (torch === undefined) {
    console.log('skipped: python3 has no torch');
    return;
  }
  try {
    const loading = torch.load(makeProblem(6, 200, 1));
    controller.abort();
    await rejects(loading, /abort|ended by SIGTERM/);
  } finally {
    await torch.close();
  }
});

test('writes a line for each measurement, and a page', async () => {
  const result = await bench({ ...options, rounds: 1 });
  const path = join(tmpdir(), 'loss');
  await writeBench(path, result, await environment());
  const [header, ...lines] = (await readFile(`${path}.csv`, 'utf8')).trim().split('\n');
  assert.match(header!, /^provider,options,dtype,place,rows,classes,threads,ms,.*,isa,torch,load$/);
  assert.is(lines.length, result.measurements.length);
  const html = await readFile(`${path}.html`, 'utf8');
  assert.match(html, /aria-label="DeCE in place: \d+ % of copy/);
  assert.match(benchTable(result), /^9 × 300, 1 thread\n\nprovider .*\n─+\ncopy /);
});

test.run();
