// What a training step costs whose logits are there as a whole, and one that computes the last product
// and its loss for some rows at a time:
//
//     node --import tsx bench/linear_loss.ts [tokens] [rounds]     writes bench/results/linear-loss.csv
//
// A T5 whose body is next to nothing beside its head: 32,128 classes, width 512. Each limit of logitsBytes
// has a process of its own, so that none inherits another's memory; steps take turns, one of each in a
// round, in another order each time. Before anything is timed the first step's loss and gradient norm must
// agree. peakBytes is what a step needs at its peak besides what is there between steps: weights,
// optimizer. The time is that of the whole step, AdamW's included, which all share.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { quantile } from '../lib/bench/float64.ts';
import { csv } from '../lib/data/csv.ts';
import { environment, peakMemoryBytes, resetPeakMemory } from '../lib/environment.ts';
import { type Dtype, Model } from '../lib/model/index.ts';
import { Trainer } from '../lib/model/trainer.ts';
import { seeded, shuffle } from '../lib/random.ts';

const config = {
  model_type: 't5',
  vocab_size: 32128,
  d_model: 512,
  d_kv: 64,
  num_heads: 1,
  d_ff: 64,
  num_layers: 1,
};
const targetLength = 128;

/** What a process is asked for, and a step of it. */
interface Task {
  dtype: Dtype;
  tokens: number;
  logitsBytes: number;
}
interface Step {
  ms: number;
  peakBytes: number;
  loss: number;
  gradientNorm: number;
}

if (process.send === undefined) await measure(process.argv.slice(2));
else await serve(JSON.parse(process.argv[2]!));

/** Takes a step whenever it is told to. */
async function serve({ dtype, tokens, logitsBytes }: Task): Promise<void> {
  const model = Model.create(config, { seed: 1, dtype });
  const trainer = new Trainer(model, { seed: 1 });
  const random = seeded(1);
  const ids = (length: number) => Array.from({ length }, () => 3 + random.below(32000));
  const rows = Array.from({ length: tokens / targetLength }, () => targetLength);
  const batch = { inputIds: rows.map(() => ids(4)), labels: rows.map(ids) };
  const loss = { name: 'dece', alphaBase: 0.8, labelSmoothing: 0.05 } as const;
  process.on('message', async () => {
    await resetPeakMemory();
    const before = process.memoryUsage.rss();
    const started = performance.now();
    const step = await trainer.step(batch, { loss, epoch: 1, learningRate: 1e-5, logitsBytes });
    const ms = performance.now() - started;
    process.send!({ ...step, ms, peakBytes: Math.max(0, (await peakMemoryBytes()) - before) });
  });
}

async function measure([tokens = '4096', rounds = '15']: string[]): Promise<void> {
  const { machine, commit, versions, threads } = await environment();
  const about = {
    commit: commit?.replace(/^(.{7})[\da-f]*/, '$1'),
    date: new Date().toISOString().slice(0, 10),
    machine: `${machine.processor} x${machine.cores}`,
    torch: versions.libtorch,
    load: loadavg()[0]!.toFixed(1),
  };
  const lines: object[] = [];
  for (const dtype of ['float32', 'bfloat16'] as const) {
    const limits = [2 ** 40, 2 ** 28, 2 ** 26, 2 ** 24];
    const tasks = limits.map((logitsBytes) => ({ dtype, tokens: Number(tokens), logitsBytes }));
    const samples = await inRounds(tasks, Number(rounds));
    const whole = quantile(timesOf(samples[0]!), 0.5);
    for (const [i, { logitsBytes }] of tasks.entries()) {
      const times = timesOf(samples[i]!);
      lines.push({
        dtype,
        rows: Number(tokens),
        classes: config.vocab_size,
        width: config.d_model,
        logitsBytes: i === 0 ? 'whole' : logitsBytes,
        threads,
        rounds: times.length,
        ms: quantile(times, 0.5).toFixed(1),
        quarter: quantile(times, 0.25).toFixed(1),
        threeQuarters: quantile(times, 0.75).toFixed(1),
        least: Math.min(...times).toFixed(1),
        toWhole: (quantile(times, 0.5) / whole).toFixed(3),
        peakBytes: Math.max(...samples[i]!.map(({ peakBytes }) => peakBytes)),
        ...about,
      });
    }
  }
  const file = new URL('results/linear-loss.csv', import.meta.url);
  await writeFile(file, csv(lines as Record<string, unknown>[]));
  console.table(lines, ['dtype', 'logitsBytes', 'ms', 'least', 'toWhole', 'peakBytes']);
  console.log(`${file.pathname}: ${lines.length} lines`);
}

function timesOf(steps: readonly Step[]): number[] {
  return steps.map(({ ms }) => ms);
}

/** Steps of each task, without the first, which makes the optimizer's state. */
async function inRounds(tasks: readonly Task[], rounds: number): Promise<Step[][]> {
  const processes = tasks.map(start);
  try {
    const first: Step[] = [];
    for (const one of processes) first.push(await step(one));
    for (const own of first) checkSame(own, first[0]!, tasks[0]!.dtype);
    const samples: Step[][] = tasks.map(() => []);
    for (let round = 0; round < rounds; round++) {
      for (const i of shuffle([...tasks.keys()], seeded(round))) {
        samples[i]!.push(await step(processes[i]!));
      }
    }
    return samples;
  } finally {
    for (const { child } of processes) child.kill();
  }
}

interface Stepper {
  child: ChildProcess;
  /** Rejects when the process ends. */
  ended: Promise<never>;
}

function start(task: Task): Stepper {
  const arguments_ = [JSON.stringify(task)];
  const child = fork(fileURLToPath(import.meta.url), arguments_, { execArgv: ['--import', 'tsx'] });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the process of a step ended with code ${code}`);
  });
  ended.catch(() => {}); // told by step
  return { child, ended };
}

async function step({ child, ended }: Stepper): Promise<Step> {
  const answer = once(child, 'message').then(([found]) => found as Step);
  child.send('step');
  return Promise.race([answer, ended]);
}

/** With logits as a whole those of a bfloat16 model are bfloat16 themselves, else float32. */
function checkSame(found: Step, expected: Step, dtype: Dtype): void {
  const tolerance = dtype === 'float32' ? 1e-5 : 2e-2;
  for (const key of ['loss', 'gradientNorm'] as const) {
    if (Math.abs(found[key] / expected[key] - 1) <= tolerance) continue;
    throw new Error(`${key} is ${found[key]}, and ${expected[key]} with logits as a whole`);
  }
}
