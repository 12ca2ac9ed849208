// The fused last product and its loss alone, at the size of a LLaMA's head, with the gradients of both
// factors:
//
//     npm run build
//     node --import tsx bench/linear_head.ts [device]     writes bench/results/linear-head.csv
//
// 8,192 tokens, width 4,096, 128,256 classes, logits of 256 MiB at a time. teraflops counts 6 · tokens · width ·
// classes, what the three products take. extraBytes is what it needs at its peak besides the factors and their
// gradients, that of the weight in float32; on a CPU it is taken from the process, whose libraries may keep some.
// Each dtype has a process of its own.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { gpuName, linearLossBench } from '../lib/bench/device.ts';
import { quantile } from '../lib/bench/float64.ts';
import { csv } from '../lib/data/csv.ts';
import { environment, peakMemoryBytes, resetPeakMemory } from '../lib/environment.ts';

const [device = 'cpu'] = process.argv.slice(2);
const shape = { rows: 8192, width: 4096, classes: 128_256, logitsBytes: 2 ** 28 };
const rounds = device === 'cpu' ? 1 : 20;

if (process.send === undefined) await main();
else process.on('message', serve);

async function serve(dtype: 'float32' | 'bfloat16') {
  const itemBytes = dtype === 'float32' ? 4 : 2;
  const { rows, width, classes } = shape;
  const factors = itemBytes * (rows + classes) * width;
  const gradients = itemBytes * rows * width + 4 * classes * width;
  await resetPeakMemory();
  const before = process.memoryUsage.rss();
  const { milliseconds, peakBytes } = linearLossBench({ ...shape, device, dtype, rounds });
  const peak = peakBytes < 0 ? (await peakMemoryBytes()) - before - factors : peakBytes;
  process.send!({ milliseconds, extraBytes: peak - gradients });
}

async function main() {
  const { commit, machine, versions, threads } = await environment();
  const lines = [];
  for (const dtype of ['float32', 'bfloat16'] as const) {
    const script = fileURLToPath(import.meta.url);
    const child = fork(script, [device], { execArgv: ['--import', 'tsx'] });
    child.send(dtype);
    const [{ milliseconds, extraBytes }] = await once(child, 'message');
    child.kill();
    const ms = quantile(milliseconds, 0.5);
    const flops = 6 * shape.rows * shape.width * shape.classes;
    lines.push({
      device: device === 'cpu' ? 'cpu' : await gpuName(device),
      dtype,
      ...shape,
      threads,
      rounds,
      ms: ms.toFixed(1),
      teraflops: (flops / ms / 1e9).toFixed(3),
      extraBytes,
      commit: commit?.replace(/^(.{7})[\da-f]*/, '$1'),
      date: new Date().toISOString().slice(0, 10),
      machine: `${machine.processor} x${machine.cores}`,
      torch: versions.libtorch,
    });
    console.log(lines.at(-1));
  }
  const file = new URL('results/linear-head.csv', import.meta.url);
  await writeFile(file, csv(lines));
  console.log(`${file.pathname}: ${lines.length} lines`);
}
