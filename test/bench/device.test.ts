import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { deviceProviders, linearLossBench } from '../../lib/bench/device.ts';
import { bench, measure } from '../../lib/bench/index.ts';
import { makeProblem } from '../../lib/bench/providers.ts';
import { rejects } from '../rejects.ts';

const test = suite('bench on a device');
const options = { shapes: [], threads: 1, rounds: 2, torch: false };

// The same code as on a GPU, but for the clock: here of libtorch's tensors on the CPU.
test('the losses on tensors have the gradient that float64 has, in each place', async () => {
  const problem = makeProblem(9, 1001, 1);
  const { providers, dispose } = deviceProviders(problem, 'cpu');
  const told = { missing: [] as string[], wrong: [] as string[] };
  const found = await measure(problem, providers, options, told);
  dispose();
  assert.equal(told, { missing: [], wrong: [] });
  assert.is(found.length, providers.length);
  for (const { provider, dtype, place, ms, errorMost, peakBytes } of found) {
    assert.ok(ms > 0 && peakBytes === undefined);
    if (provider === 'copy') continue;
    const most = { float32: 1e-6, bfloat16: 4e-3, float16: 1e-3 }[dtype];
    assert.ok(errorMost! > 0 && errorMost! < most, `${provider} ${dtype} ${place}: ${errorMost}`);
  }
});

test('a GPU that is not there is named before anything is measured', () =>
  rejects(
    bench({ ...options, device: 'cuda:99' }),
    /^there is no device cuda:99: libtorch finds \d+ GPUs?, see `dece doctor`$/,
  ));

test('times the fused last product and its loss', () => {
  const task = { device: 'cpu', rows: 64, width: 32, classes: 500, logitsBytes: 1e5, rounds: 3 };
  for (const dtype of ['float32', 'bfloat16'] as const) {
    const { milliseconds, peakBytes } = linearLossBench({ ...task, dtype });
    assert.ok(milliseconds.length === 3 && milliseconds.every((ms) => ms > 0));
    assert.is(peakBytes, -1, 'libtorch does not count it on a CPU');
  }
});

test.run();
