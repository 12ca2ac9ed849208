// How long a training step waits for its data: the share of a real run that is spent outside native code,
// and what batches of like length save:
//
//     npm run build
//     DECE_DATA=... node --import tsx bench/data_loader.ts [steps]     writes bench/results/data_loader.csv
//
// A T5 of 13 million parameters learns Lyra on the CPU. Native is the time from each call of the trainer's
// addon to its answer; `outsideNative` is all the rest between the first step and the last: shuffling,
// cutting and padding batches, events, and what the loop over them does. Encoding comes before, once. Steps
// are timed by the processor, of all threads, as others may use the machine.

import { writeFile } from 'node:fs/promises';
import { csv } from '../lib/data/csv.ts';
import { environment } from '../lib/environment.ts';
import type * as library from '../lib/index.ts';
import type * as natives from '../lib/native.ts';

const dist = (name: string) => new URL(`../dist/${name}`, import.meta.url).href;
const { trainer }: typeof natives = await import(dist('native.js'));

/** Milliseconds between calls of `step` and their answers. */
let nativeMs = 0;
type Handle = new (...args: unknown[]) => { step(...args: unknown[]): Promise<unknown> };
const addon = trainer() as { TrainerHandle: Handle };
addon.TrainerHandle = class extends addon.TrainerHandle {
  override async step(...args: unknown[]): Promise<unknown> {
    const start = performance.now();
    return super.step(...args).finally(() => {
      nativeMs += performance.now() - start;
    });
  }
};

const { findDataset, Model, readExamples, Tokenizer, train, trainBpe }: typeof library =
  await import(dist('index.js'));

const most = Number(process.argv[2] ?? 60);
const { commit, machine, threads } = await environment();
const file = await findDataset('lyra', 'train', process.env.DECE_DATA);
const examples = await readExamples(file);
const texts = examples.flatMap(({ prompt, completion }) => [prompt, completion]);
const tokenizer = Tokenizer.fromJson(trainBpe(texts, { vocabularySize: 4096 }));
const shape = { d_model: 320, d_kv: 64, d_ff: 1280, num_layers: 4, num_heads: 5 };
const config = { model_type: 't5', vocab_size: tokenizer.vocabularySize, ...shape };

const encoding = performance.now();
for (const text of texts) tokenizer.encode(text);
const encodeMs = performance.now() - encoding;

const lines: Record<string, unknown>[] = [];
for (const bucketByLength of [false, true]) {
  using model = Model.create(config, { seed: 1, device: 'cpu', tokenizer });
  const options = { epochs: 1, batchSize: 12, learningRate: 5e-5, seed: 42, bucketByLength };
  let first: { at: number; native: number; processor: number } | undefined;
  let steps = 0;
  let tokens = 0;
  let ms = 0;
  let processor = 0;
  let share = 0;
  for await (const event of train(model, examples, { ...options, loss: { name: 'dece' } })) {
    if (event.type !== 'step') continue;
    const now = performance.now();
    if (first === undefined) {
      first = { at: now, native: nativeMs, processor: processorMs() };
      continue;
    }
    steps++;
    tokens += event.tokens;
    ms = now - first.at;
    processor = processorMs() - first.processor;
    share = 1 - (nativeMs - first.native) / ms;
    if (steps === most) break;
  }
  nativeMs = 0;
  lines.push({
    data: 'lyra/train',
    parameters: model.parameterCount,
    batchSize: options.batchSize,
    bucketByLength,
    steps,
    processorMsPerStep: (processor / steps).toFixed(1),
    tokensPerProcessorSecond: ((1e3 * tokens) / processor).toFixed(0),
    outsideNative: share.toFixed(5),
    encodeMs: encodeMs.toFixed(0),
    examples: examples.length,
    commit: commit?.slice(0, 7),
    date: new Date().toISOString().slice(0, 10),
    machine: `${machine.processor} x${threads}`,
    node: process.version,
  });
}
await writeFile(new URL('results/data_loader.csv', import.meta.url), csv(lines));
console.table(lines, [
  'bucketByLength',
  'steps',
  'processorMsPerStep',
  'tokensPerProcessorSecond',
  'outsideNative',
  'encodeMs',
]);

function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
}
