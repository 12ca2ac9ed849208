import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Model } from '../../lib/model/index.ts';
import { addon } from '../../lib/model/native.ts';
import { rejects } from '../rejects.ts';
import { fixturePath } from './fixture.ts';

const test = suite('the life of a model');

const config = {
  model_type: 't5',
  vocab_size: 300,
  d_model: 64,
  d_kv: 16,
  d_ff: 64,
  num_layers: 1,
};
const inputIds = [[3, 4, 5]];
const long = { maxNewTokens: 400, eosTokenId: [] };

test('ends once: a second dispose does nothing, use afterwards is an error', async () => {
  const model = Model.create(config, { seed: 1 });
  model.dispose();
  model.dispose();
  model[Symbol.dispose]();
  const message = /^the model has been disposed: load or create it again$/;
  await rejects(model.logits({ inputIds, labels: [[3]] }), message);
  await rejects(model.generateIds({ inputIds }), message);
  await rejects(model.save('nowhere'), message);
  assert.is(model.device === 'cpu' || model.device === 'cuda:0', true);
});

test('lasts until work that was begun is done', async () => {
  const model = Model.create(config, { seed: 1 });
  const expected = await model.generateIds({ inputIds }, long);
  const outcome = model.generateIds({ inputIds }, long);
  model.dispose();
  assert.equal(await outcome, expected);
});

test('is not loaded where that is aborted, also without a download', async () => {
  const controller = new AbortController();
  const loading = Model.load(fixturePath('t5-relu'), { signal: controller.signal });
  controller.abort(new Error('enough'));
  await rejects(loading, /^enough$/);
});

test('leaves the event loop free while it computes', async () => {
  using model = Model.create(config, { seed: 1 });
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  await model.generateIds({ inputIds }, long);
  clearInterval(timer);
  assert.ok(ticks > 5, `${ticks} ticks`);
});

test('does calls in their order, none waiting for another to be awaited', async () => {
  using model = Model.create(config, { seed: 1 });
  const order: number[] = [];
  const call = (i: number) =>
    model.generateIds({ inputIds }, { maxNewTokens: 5 - i }).then(() => order.push(i));
  await Promise.all([0, 1, 2, 3].map(call));
  assert.equal(order, [0, 1, 2, 3]);
});

test('tells V8 how much memory it holds, until it is disposed', () => {
  const told = () => addon().info().externalBytes;
  const before = told();
  const model = Model.create(config, { seed: 1, device: 'cpu' });
  assert.is(told() - before, model.parameterCount * 4);
  model.dispose();
  assert.is(told(), before);
});

const script = fileURLToPath(new URL('life_script.ts', import.meta.url));
/** What a worker thread runs, as it does not take over tsx's hooks on every version of Node. */
const inTypeScript = `import('tsx/esm/api').then(({ register }) => {
  register();
  return import(process.argv[2]);
});`;
const runScript = (mode: string) =>
  promisify(execFile)(process.execPath, ['--import', 'tsx', script, script, mode], {
    timeout: 60_000,
  });

test('does not keep the process from ending', async () => {
  assert.is((await runScript('idle')).stdout, 'idle\n');
});

test('does not crash the process when it exits amid work', async () => {
  const modes = ['exit while computing', 'exit while queued', 'exit after an error'];
  const outputs = await Promise.all(modes.map(runScript));
  assert.equal(
    outputs.map(({ stdout }) => stdout),
    modes.map((mode) => `${mode}\n`),
  );
});

test('works in worker threads, also when they are terminated amid work', async () => {
  using model = Model.create(config, { seed: 1 });
  const own = model.generateIds({ inputIds }, { maxNewTokens: 20, eosTokenId: [] });
  const outcomes = ['compute', 'leave', 'compute'].map((mode) => {
    const worker = new Worker(inTypeScript, { eval: true, argv: [script, mode] });
    return new Promise((resolve, reject) => {
      worker.once('error', reject);
      worker.once('message', (message) => {
        if (mode === 'leave') worker.terminate().then(() => resolve(mode), reject);
        else resolve(message);
      });
    });
  });
  const [first, left, second] = await Promise.all(outcomes);
  assert.equal([first, left, second], [await own, 'leave', await own]);
});

test('is saved by two threads at once, and is that of one of them', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dece-life-'));
  try {
    const hashOf = async (name: string) =>
      createHash('sha256')
        .update(await readFile(join(folder, name)))
        .digest('hex');
    const save = (name: string, seed: number) =>
      new Promise((resolve, reject) => {
        const argv = [script, 'save', join(folder, name), String(seed)];
        const worker = new Worker(inTypeScript, { eval: true, argv });
        worker.once('error', reject);
        worker.once('message', resolve);
      });
    await Promise.all([save('1', 1), save('2', 2)]);
    const each = [await hashOf('1/model.safetensors'), await hashOf('2/model.safetensors')];
    await Promise.all([save('both', 1), save('both', 2)]);
    assert.ok(each.includes(await hashOf('both/model.safetensors')));
    assert.equal(
      (await readdir(join(folder, 'both'))).filter((name) => name.endsWith('.tmp')),
      [],
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.run();
