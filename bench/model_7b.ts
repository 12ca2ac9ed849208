// Memory of a LLaMA of CodeLlama-7B's sizes in bfloat16, on a CPU (needs 24 GB of memory, 14 GB of disk):
//
//     npm run build
//     node --import tsx bench/model_7b.ts [directory]     writes bench/results/model-7b.csv
//
// The weights are drawn by a seed, into a new folder of the directory, which is deleted afterwards. Each line has a
// process of its own, which loads the model and then works. peakBytes is the most it holds more than before, weights
// included; ownBytes what of that is its own, seen every 20 ms, and not pages of the file, which the system takes
// back where memory is short.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { csv } from '../lib/data/csv.ts';
import { environment, peakMemoryBytes, resetPeakMemory } from '../lib/environment.ts';
import type * as library from '../lib/index.ts';
import { seeded } from '../lib/random.ts';

const built = new URL('../dist/index.js', import.meta.url).href;
const { Model, Trainer }: typeof library = await import(built);

const config = {
  model_type: 'llama',
  ...{ vocab_size: 32_016, hidden_size: 4096, intermediate_size: 11_008, num_hidden_layers: 32 },
  ...{ num_attention_heads: 32, max_position_embeddings: 16_384, rope_theta: 1e6 },
  ...{ bos_token_id: 1, eos_token_id: 2, dtype: 'bfloat16' },
};
const length = 512;
const steps = 3;
const works = ['load', 'logits', 'step, BAdam', 'step, LoRA'] as const;
type Work = (typeof works)[number];

const random = seeded(7);
const inputIds = [Array.from({ length }, () => 3 + random.below(config.vocab_size - 3))];

if (process.send === undefined) await main(process.argv[2] ?? tmpdir());
else process.on('message', ({ what, directory }) => serve(what, directory));

async function serve(what: Work | 'create', directory: string) {
  if (what === 'create') {
    using model = Model.create(config, { seed: 1, device: 'cpu' });
    await model.save(directory);
    process.send!({ parameters: model.parameterCount });
    return;
  }
  await warm();
  await resetPeakMemory();
  const before = await peakMemoryBytes();
  const own = await watchOwnBytes();
  using model = await Model.load(directory, { device: 'cpu' });
  const losses = await work(what, model);
  process.send!({ losses, ownBytes: own.stop(), peakBytes: (await peakMemoryBytes()) - before });
}

/** What libtorch keeps for each thread is there before anything is measured. */
async function warm() {
  const small = { ...config, hidden_size: 64, intermediate_size: 64, num_hidden_layers: 1 };
  using model = Model.create(small, { seed: 1, device: 'cpu' });
  await model.logits({ inputIds });
}

/** The loss of each step, where there are any. */
async function work(what: Work, model: library.Model): Promise<number[]> {
  if (what === 'load') return [];
  if (what === 'logits') {
    await model.logits({ inputIds });
    return [];
  }
  const isLora = what === 'step, LoRA';
  if (isLora) await model.addAdapter({ rank: 8, alpha: 16, seed: 1 });
  using trainer = isLora
    ? new Trainer(model, { seed: 1 })
    : new Trainer(model, { seed: 1, optimizer: 'badam', switchBlockEvery: 1 });
  const options = { loss: { name: 'dece' }, epoch: 1, checkpointActivations: true } as const;
  const losses = [];
  for (let step = 0; step < steps; step++) {
    const batch = { inputIds, labels: inputIds };
    losses.push((await trainer.step(batch, { ...options, learningRate: 1e-4 })).loss);
  }
  return losses;
}

/** Looks how much memory is this process's own; `stop` says by how much it grew at most. */
async function watchOwnBytes() {
  const bytes = async () =>
    1024 * Number(/RssAnon:\s*(\d+)/.exec(await readFile('/proc/self/status', 'utf8'))![1]);
  const before = await bytes();
  let most = before;
  const timer = setInterval(async () => {
    most = Math.max(most, await bytes());
  }, 20);
  const stop = () => {
    clearInterval(timer);
    return most - before;
  };
  return { stop };
}

async function inChild(what: Work | 'create', directory: string) {
  const execArgv = ['--import', 'tsx'];
  const child = fork(fileURLToPath(import.meta.url), { execArgv });
  child.send({ what, directory });
  const [answer] = await once(child, 'message');
  child.kill();
  return answer;
}

async function main(parent: string) {
  const directory = await mkdtemp(join(parent, 'dece-7b-'));
  const { commit, machine, versions, threads } = await environment();
  const lines = [];
  try {
    const { parameters } = await inChild('create', directory);
    for (const what of works) {
      const { losses, ownBytes, peakBytes } = await inChild(what, directory);
      lines.push({
        what,
        parameters,
        dtype: config.dtype,
        tokens: what === 'load' ? '' : length,
        steps: losses.length || '',
        peakBytes,
        ownBytes,
        firstLoss: losses.at(0)?.toFixed(4) ?? '',
        lastLoss: losses.at(-1)?.toFixed(4) ?? '',
        threads,
        commit: commit?.replace(/^(.{7})[\da-f]*/, '$1'),
        date: new Date().toISOString().slice(0, 10),
        machine: `${machine.processor} x${machine.cores}`,
        torch: versions.libtorch,
      });
      console.log(lines.at(-1));
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  const file = new URL('results/model-7b.csv', import.meta.url);
  await writeFile(file, csv(lines));
  console.log(`${file.pathname}: ${lines.length} lines`);
}
