// How long HumanEval's 164 reference solutions take with their tests in the sandbox, beside plain
// `python3`, one after the other, in the same minutes:
//
//     DECE_DATA=… node --import tsx bench/sandbox.ts     writes bench/results/sandbox.csv
//
// Seconds are medians of interleaved rounds; ratio is the sandbox's over plain Python's. `workers` run at
// a time in the sandbox; plain Python is given the processors one program at a time, by its own path, so
// that no version manager is timed.

import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { csv } from '../lib/data/csv.ts';
import { findDataset } from '../lib/data/datasets.ts';
import { programOf, readProblems } from '../lib/data/problems.ts';
import { environment } from '../lib/environment.ts';
import { runPrograms } from '../lib/sandbox/index.ts';

const rounds = 5;
const problems = await readProblems(await findDataset('humaneval', 'test', process.env.DECE_DATA));
const programs = problems.map((problem) => programOf(problem, problem.reference));
const python = spawnSync('python3', ['-c', 'import sys; print(sys.executable)']);
const executable = python.stdout.toString().trim();

async function sandboxed(workers: number): Promise<{ seconds: number; level: string }> {
  const started = performance.now();
  const { isolation, results } = await runPrograms(programs, { workers, timeoutSeconds: 60 });
  const failed = results.filter(({ reason }) => reason !== 'passed').length;
  if (failed > 0) throw new Error(`${failed} reference solutions failed in the sandbox`);
  return { seconds: (performance.now() - started) / 1000, level: isolation.level };
}

function plain(): number {
  const started = performance.now();
  for (const [i, input] of programs.entries()) {
    const { status } = spawnSync(executable, ['-'], { input });
    if (status !== 0) throw new Error(`the reference solution of ${problems[i]!.id} failed`);
  }
  return (performance.now() - started) / 1000;
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[(values.length - 1) / 2]!;

const { commit, machine } = await environment();
const counts = [...new Set([1, availableParallelism()])];
const taken = { plain: [] as number[], sandbox: counts.map(() => [] as number[]) };
let level = '';
for (let round = 0; round < rounds; round++) {
  taken.plain.push(plain());
  for (const [i, workers] of counts.entries()) {
    const run = await sandboxed(workers);
    taken.sandbox[i]!.push(run.seconds);
    level = run.level;
  }
}
const plainSeconds = median(taken.plain);
const lines = counts.map((workers, i) => {
  const seconds = median(taken.sandbox[i]!);
  return {
    programs: programs.length,
    level,
    workers,
    seconds: seconds.toFixed(2),
    plainSeconds: plainSeconds.toFixed(2),
    ratio: (seconds / plainSeconds).toFixed(2),
    rounds,
    cores: machine.cores,
    commit: commit?.replace(/^(.{7})[\da-f]*/, '$1'),
    date: new Date().toISOString().slice(0, 10),
    machine: machine.processor,
  };
});
const file = new URL('results/sandbox.csv', import.meta.url);
await writeFile(file, csv(lines));
console.log(csv(lines));
