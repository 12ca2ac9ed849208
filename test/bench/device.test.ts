import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { deviceNamed, deviceProviders, linearLossBench } from '../../lib/bench/device.ts';
import { bench, measure } from '../../lib/bench/index.ts';
import { makeProblem } from '../../lib/bench/providers.ts';
import { startTorch } from '../../lib/bench/torch.ts';
import { python } from '../../lib/libtorch/find.ts';
import { addon } from '../../lib/model/native.ts';
import { packageRoot } from '../../lib/native.ts';
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

const torch = await startTorch('default', 'cpu');
await torch?.close();
if (torch) {
  test("PyTorch's side gives each GPU the number that PyTorch wants of one", () => {
    const text = `
from torch.cuda._utils import _get_device_index
from torch_losses import numbered
print(*(_get_device_index(numbered(name)) for name in ("cuda", "cuda:0", "cuda:2")), numbered("cpu"))`;
    const options = { cwd: join(packageRoot, 'bench'), input: '' }; // no message: it ends at once
    assert.is(`${execFileSync(python, ['-B', '-c', text], options)}`, '0 0 2 cpu\n');
  });
} else {
  test.skip('needs a Python with torch');
}

test('auto is a GPU where libtorch has one', () => {
  assert.is(deviceNamed('auto'), addon().info().cudaDevices > 0 ? 'cuda' : 'cpu');
});

test('times the fused last product and its loss', () => {
  const task = { device: 'cpu', rows: 64, width: 32, classes: 500, logitsBytes: 1e5, rounds: 3 };
  for (const dtype of ['float32', 'bfloat16'] as const) {
    const { milliseconds, peakBytes } = linearLossBench({ ...task, dtype });
    assert.ok(milliseconds.length === 3 && milliseconds.every((ms) => ms > 0));
    assert.is(peakBytes, -1, 'libtorch does not count it on a CPU');
  }
});

test.run();
