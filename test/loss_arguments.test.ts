import { spawnSync } from 'node:child_process';
import { setImmediate } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  crossEntropyLoss,
  crossEntropyLossAsync,
  deceLoss,
  deceLossAsync,
  gceLoss,
  gceLossAsync,
  gradientBound,
  inTrustLoss,
  inTrustLossAsync,
} from '../lib/loss.ts';
import { addonPath, kernels, packageRoot } from '../lib/native.ts';
import { seeded } from '../lib/random.ts';
import { rejects } from './rejects.ts';

const losses = { deceLoss, crossEntropyLoss, gceLoss, inTrustLoss };
const logits = Float32Array.of(2, -1, 0.5, 0, 0.3, 3, -2, 1);
const labels = Int32Array.of(0, 2);

const random = seeded(11);
const classes = 4001;
const wide = Float32Array.from({ length: 150 * classes }, () => 8 * random.next());
const wideLabels = Int32Array.from({ length: 150 }, (_, row) =>
  row % 7 === 0 ? -100 : random.below(classes),
);

const test = suite('arguments of the losses');

test('takes labels of another realm', () => {
  const labels: BigInt64Array = runInNewContext('BigInt64Array.of(1n, -100n, -100n)');
  const logits = Float32Array.of(1, 2, 3, 4, 5, 6);
  const own = crossEntropyLoss(logits, BigInt64Array.of(1n, -100n, -100n));
  assert.equal(crossEntropyLoss(logits, labels), own);
});

test('the bits are the same for every number of threads, in place or not', () => {
  for (const loss of Object.values(losses)) {
    const expected = loss(wide, wideLabels, { threads: 1 });
    for (const threads of [2, 3, 4, 5]) {
      const gradient = wide.slice();
      const found = loss(gradient, wideLabels, { threads, gradient });
      assert.is(found.gradient, gradient);
      assert.ok(
        Buffer.compare(Buffer.from(gradient.buffer), Buffer.from(expected.gradient.buffer)) === 0,
      );
      assert.equal(found.losses, expected.losses);
      assert.is(found.loss, expected.loss);
    }
  }
});

test('16-bit logits too may be overwritten by their gradient', () => {
  const bits = Uint16Array.from(
    logits,
    (logit) => new Uint32Array(Float32Array.of(logit).buffer)[0]! >> 16,
  );
  const expected = deceLoss(bits, labels, { dtype: 'bfloat16' });
  const gradient = bits.slice();
  deceLoss(gradient, labels, { dtype: 'bfloat16', gradient });
  assert.equal(gradient, expected.gradient);
});

test('logits are left alone unless the gradient goes there', () => {
  const before = logits.slice();
  deceLoss(logits, labels);
  assert.equal(logits, before);
});

test('every place of a given gradient is written, also for ignored rows', () => {
  const gradient = new Float32Array(8).fill(7);
  deceLoss(logits, Int32Array.of(-100, 2), { gradient });
  assert.equal([...gradient.subarray(0, 4)], [0, 0, 0, 0]);
  assert.ok(gradient.subarray(4).every((slope) => slope !== 7));
});

test('rows at any offset of a buffer and of any width are read and written in their bounds', () => {
  for (const width of [1, 2, 3, 15, 16, 17, 63, 64, 65, 130]) {
    for (const offset of [0, 1, 3]) {
      const around = new Float32Array(3 * width + 8).fill(0.25);
      const row = around.subarray(offset, offset + 2 * width);
      const expected = deceLoss(row.slice(), Int32Array.of(0, width - 1));
      deceLoss(row, Int32Array.of(0, width - 1), { gradient: row });
      assert.equal(row, expected.gradient);
      assert.ok(around.subarray(0, offset).every((value) => value === 0.25));
      assert.ok(around.subarray(offset + 2 * width).every((value) => value === 0.25));
    }
  }
});

test('labels may be a BigInt64Array, ignoreIndex included', () => {
  const ints = deceLoss(logits, Int32Array.of(-1, 2), { ignoreIndex: -1 });
  const bigs = deceLoss(logits, BigInt64Array.of(-1n, 2n), { ignoreIndex: -1 });
  assert.equal(bigs, ints);
  assert.is(ints.losses[0], 0);
});

test('shared memory will do', () => {
  const shared = new Float32Array(new SharedArrayBuffer(32));
  shared.set(logits);
  const { gradient } = deceLoss(shared, labels, { gradient: shared });
  assert.equal([...gradient], [...deceLoss(logits, labels).gradient]);
});

test('labels out of range are named', () => {
  for (const loss of Object.values(losses)) {
    assert.throws(
      () => loss(logits, Int32Array.of(0, 4)),
      /^labels\[1\] is 4: expected 0\.\.3, or ignoreIndex \(-100\)$/,
    );
    assert.throws(
      () => loss(logits, BigInt64Array.of(-5n, 0n), { ignoreIndex: 1 }),
      /^labels\[0\] is -5: expected 0\.\.3, or ignoreIndex \(1\)$/,
    );
  }
});

test('sizes that do not agree are named', () => {
  const three = Int32Array.of(0, 0, 0);
  const message = /^logits has 8 values for 3 labels: expected \[rows, classes\]$/;
  assert.throws(() => deceLoss(logits, three), message);
  assert.throws(() => deceLoss(new Float32Array(0), three), /^logits has 0 values for 3 labels/);
  assert.throws(() => deceLoss(logits, new Int32Array(0)), /^logits has 8 values for 0 labels/);
  assert.throws(
    () => deceLoss(logits, labels, { gradient: new Float32Array(7) }),
    /^gradient has 7 values: expected 8, as logits has$/,
  );
});

test('arrays of another kind are named', () => {
  const wrong =
    (...args: unknown[]) =>
    () =>
      Reflect.apply(deceLoss, undefined, args);
  assert.throws(
    wrong([1, 2], labels),
    /^logits is of type Array: expected Float32Array for dtype float32$/,
  );
  assert.throws(
    wrong(new Uint16Array(8), labels),
    /^logits is of type Uint16Array: expected Float32Array/,
  );
  assert.throws(
    wrong(logits, labels, { dtype: 'float16' }),
    /^logits is of type Float32Array: expected Uint16Array for dtype float16$/,
  );
  assert.throws(
    wrong(logits, [0, 2]),
    /^labels is of type Array: expected Int32Array or BigInt64Array$/,
  );
  assert.throws(
    wrong(logits, labels, { gradient: new Float64Array(8) }),
    /^gradient is of type Float64Array: expected Float32Array, as logits is$/,
  );
});

test('a gradient that overlaps the logits without being the same array is refused', () => {
  const around = new Float32Array(12);
  const row = around.subarray(0, 8);
  const message = /^gradient overlaps logits: expected logits itself, or memory of its own$/;
  assert.throws(() => deceLoss(row, labels, { gradient: around.subarray(4) }), message);
  assert.throws(() => deceLoss(around.subarray(1, 9), labels, { gradient: row }), message);
  const apart = new Float32Array(16);
  deceLoss(apart.subarray(0, 8), labels, { gradient: apart.subarray(8) });
});

test('options out of range and unknown ones are errors', () => {
  const wrong = (options: object, message: RegExp, loss: keyof typeof losses = 'deceLoss') =>
    assert.throws(() => losses[loss](logits, labels, options), message);
  wrong({ epochs: 3 }, /^options has an unknown option "epochs": expected epoch, alphaBase, /);
  wrong(
    { epoch: 3 },
    /^options has an unknown option "epoch": expected labelSmoothing, /,
    'crossEntropyLoss',
  );
  wrong({ signal: undefined }, /^options has an unknown option "signal"/);
  wrong({ epoch: -1 }, /^epoch is -1: expected at least 0$/);
  wrong({ epoch: '3' }, /^epoch is "3": expected at least 0$/);
  wrong({ epoch: Number.NaN }, /^epoch is NaN: expected at least 0$/);
  wrong({ alphaBase: 1.01 }, /^alphaBase is 1\.01: expected in \(0, 1\]$/);
  wrong({ labelSmoothing: 1 }, /^labelSmoothing is 1: expected in \[0, 1\)$/);
  wrong(
    { labelSmoothing: 0.75, mode: 'reference' },
    /^labelSmoothing is 0\.75: expected less than 0\.75$/,
  );
  wrong({ ignoreIndex: 0.5 }, /^ignoreIndex is 0\.5: expected an integer$/);
  wrong({ reduction: 'all' }, /^reduction is "all": expected mean, sum or none$/);
  wrong({ mode: 'authors' }, /^mode is "authors": expected paper or reference$/);
  wrong({ dtype: 'float64' }, /^dtype is "float64": expected one of float32, bfloat16, float16$/);
  wrong({ threads: 0 }, /^threads is 0: expected an integer of at least 1$/);
  wrong({ q: 0 }, /^q is 0: expected in \(0, 1\]$/, 'gceLoss');
  wrong({ alpha: -1 }, /^alpha is -1: expected at least 0$/, 'inTrustLoss');
  wrong({ beta: Infinity }, /^beta is Infinity: expected at least 0$/, 'inTrustLoss');
  wrong({ delta: 2 }, /^delta is 2: expected in \[0, 1\]$/, 'inTrustLoss');
  assert.throws(
    () => gradientBound({ name: 'gce', epoch: 3 }),
    /^options has an unknown option "epoch": expected q$/,
  );
  assert.throws(
    () => Reflect.apply(gradientBound, undefined, [{ name: 'mse' }]),
    /^name is "mse": expected one of dece, ce, gce, in-trust, custom$/,
  );
});

test('the async twins give the same bits', async () => {
  const twins = { deceLossAsync, crossEntropyLossAsync, gceLossAsync, inTrustLossAsync };
  const found = await Promise.all(Object.values(twins).map((loss) => loss(wide, wideLabels)));
  const expected = Object.values(losses).map((loss) => loss(wide, wideLabels));
  assert.equal(found, expected);
});

test('the event loop runs on while an async twin works', async () => {
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  while (turns === 0) await deceLossAsync(wide, wideLabels, { threads: 1 });
  clearInterval(timer);
});

test('errors of an async twin reject its promise', async () => {
  await rejects(deceLossAsync(logits, Int32Array.of(0, 9)), /^labels\[1\] is 9: expected 0\.\.3/);
  await rejects(deceLossAsync(logits, labels, { epoch: -1 }), /^epoch is -1/);
});

test('aborting before or while it works rejects with the reason', async () => {
  const reason = new Error('enough');
  await rejects(deceLossAsync(logits, labels, { signal: AbortSignal.abort(reason) }), /^enough$/);
  const controller = new AbortController();
  const rows = 2_000_000;
  const many = new Float32Array(2 * rows);
  const gradient = new Float32Array(2 * rows).fill(7);
  const { signal } = controller;
  const working = deceLossAsync(many, new Int32Array(rows), { signal, gradient, threads: 1 });
  controller.abort(reason);
  await rejects(working, /^enough$/);
  assert.is(gradient.at(-1), 7, 'the last rows are left undone');
});

test('aborting stops soon, also where one thread has a quarter of the rows at a time', async () => {
  const rows = 4096;
  const many = new Float32Array(rows * 4096);
  const gradient = new Float32Array(many.length);
  let least = 1;
  // A busy machine may be late to abort; not each time.
  for (let i = 0; i < 30 && least > 0.24; i++) {
    gradient.fill(7);
    const controller = new AbortController();
    const options = { signal: controller.signal, gradient, threads: 1 };
    const working = deceLossAsync(many, new Int32Array(rows), options);
    while (gradient[0] === 7) await setImmediate();
    controller.abort(new Error('enough'));
    await rejects(working, /^enough$/);
    least = Math.min(least, gradient.findLastIndex((slope) => slope !== 7) / gradient.length);
  }
  assert.ok(least < 0.24, `${least} of the rows were done`);
});

test('arrays that nobody else holds live until the work is done', async () => {
  const results = Array.from({ length: 20 }, () => deceLossAsync(wide.slice(), wideLabels.slice()));
  const expected = deceLoss(wide, wideLabels).loss;
  for (const { loss } of await Promise.all(results)) assert.is(loss, expected);
});

test('worker threads load the addon side by side, and leave it in peace', async () => {
  const script = `
    const { parentPort, workerData } = require('node:worker_threads');
    parentPort.postMessage(require(workerData).isa());`;
  const workerData = addonPath(packageRoot, 'kernels');
  const found = await Promise.all(
    [1, 2].map(() => {
      const worker = new Worker(script, { eval: true, workerData });
      return new Promise((resolve, reject) => {
        worker.once('message', (isa) => worker.once('exit', () => resolve(isa)));
        worker.once('error', reject);
      });
    }),
  );
  const { isa } = kernels() as { isa(): string };
  assert.equal(found, [isa(), isa()]);
});

test('a worker thread that is terminated while a loss is computed takes only itself along', () => {
  const thread = `
    const { parentPort, workerData } = require('node:worker_threads');
    const call = [new Float32Array(2e7), new Int32Array(1000)];
    const settings = { dtype: 0, loss: 1, alpha: 1, scale: 1, threads: 1, ignoreIndex: -100 };
    for (const key of ['oneMinusAlpha', 'beta', 'delta', 'q', 'labelSmoothing']) settings[key] = 0;
    require(workerData).lossAndGradientAsync(...call, settings, new Float32Array(1000));
    parentPort.postMessage('at work');`;
  const script = `
    const { Worker } = require('node:worker_threads');
    const worker = new Worker(${JSON.stringify(thread)}, { eval: true, workerData: process.argv[1] });
    worker.once('message', () => worker.terminate().then(() => console.log('terminated')));`;
  const addon = addonPath(packageRoot, 'kernels');
  const child = spawnSync(process.execPath, ['-e', script, addon], { encoding: 'utf8' });
  assert.equal([child.stderr, child.stdout, child.status], ['', 'terminated\n', 0]);
});

(process.platform === 'linux' ? test : test.skip)(
  'the addon stays, with the threads that wait in it, where the worker thread that loaded it ends',
  () => {
    const thread = `
      const { parentPort, workerData } = require('node:worker_threads');
      const call = [new Float32Array(8e6), new Int32Array(8)];
      const settings = { dtype: 0, loss: 1, alpha: 1, scale: 1, threads: 2, ignoreIndex: -100 };
      for (const key of ['oneMinusAlpha', 'beta', 'delta', 'q', 'labelSmoothing']) settings[key] = 0;
      const losses = new Float32Array(8);
      require(workerData).lossAndGradient(...call, settings, losses);
      parentPort.postMessage(losses[7]);`;
    const script = `
      const { Worker } = require('node:worker_threads');
      const addon = process.argv[1];
      const worker = new Worker(${JSON.stringify(thread)}, { eval: true, workerData: addon });
      worker.once('message', (loss) => console.log(loss === Math.fround(Math.log(1e6))));
      worker.once('exit', () => {
        console.log(require('node:fs').readFileSync('/proc/self/maps', 'utf8').includes(addon));
      });`;
    const addon = addonPath(packageRoot, 'kernels');
    const child = spawnSync(process.execPath, ['-e', script, addon], { encoding: 'utf8' });
    assert.equal([child.stderr, child.stdout, child.status], ['', 'true\ntrue\n', 0]);
  },
);

test.run();
