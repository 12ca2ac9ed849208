// One side of bench/models.ts: this package. Reads a job from each line of stdin, answers with a line.
// bench/torch_models.py is the other side and knows the same jobs.

import { readFile, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type * as library from '../lib/index.ts';

const built = new URL('../dist/index.js', import.meta.url).href;
const { Model, Trainer }: typeof library = await import(built);

interface Job {
  do: 'load' | 'step' | 'generate' | 'memory';
  directory: string;
  batch: { inputIds: number[][]; labels: number[][] };
  prompts: number[][];
  loss: 'ce' | 'dece';
  beams: number;
  count: number;
}

let model: library.Model | undefined;
let trainer: library.Trainer | undefined;

async function work(job: Job): Promise<object> {
  if (job.do === 'load') {
    // What the last one held is given back before, on both sides.
    model?.dispose();
    trainer?.dispose();
  }
  const started = performance.now();
  const took = () => ({ ms: performance.now() - started });
  if (job.do === 'load') {
    model = await Model.load(job.directory, { device: 'cpu' });
    const answer = took();
    trainer = new Trainer(model, { seed: 1 });
    await writeFile('/proc/self/clear_refs', '5');
    return { ...answer, parameters: model.parameterCount };
  }
  if (job.do === 'step') {
    const loss =
      job.loss === 'ce'
        ? ({ name: 'ce' } as const)
        : ({ name: 'dece', mode: 'reference' } as const);
    const result = await trainer!.step(job.batch, { loss, epoch: 1, learningRate: 1e-5 });
    return { ...took(), loss: result.loss };
  }
  if (job.do === 'generate') {
    const options = { beams: job.beams, maxNewTokens: job.count, eosTokenId: [] };
    const ids = await model!.generateIds({ inputIds: job.prompts }, options);
    return { ...took(), ids };
  }
  return { bytes: await peakBytes() };
}

/** The most that this process has held since the last load. */
async function peakBytes(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8');
  return 1024 * Number(/VmHWM:\s*(\d+)/.exec(status)![1]);
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await work(JSON.parse(line) as Job);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
