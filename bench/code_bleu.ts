// CodeBLEU and BLEU beside the Python packages codebleu and sacrebleu, on the same pairs in turn:
//
//     npm run build
//     DECE_DATA=... PYTHON=... node --import tsx bench/code_bleu.ts     writes bench/results/code_bleu.csv
//
// PYTHON is an interpreter with the packages that scripts/code_bleu_golden.py names. The times are of the
// processor, of all threads, as others may use the machine; medians of rounds in which each has its turn.

import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { csv } from '../lib/data/csv.ts';
import { findDataset } from '../lib/data/datasets.ts';
import { readExamples } from '../lib/data/examples.ts';
import { environment } from '../lib/environment.ts';

// As built: what runs the sources themselves names every function anew each time it is made.
const built = new URL('../dist/metrics/index.js', import.meta.url).href;
const { bleu, codeBleu }: typeof import('../lib/metrics/index.ts') = await import(built);

type Seconds = Record<'wall' | 'processor', number>;
type Python = Record<'codebleu' | 'corpus' | 'singles', Seconds> & { versions: string };

const rounds = 7;
const python = process.env.PYTHON ?? 'python3';
const script = new URL('code_bleu.py', import.meta.url).pathname;
const { commit, machine, threads } = await environment();

const sets = [
  { name: 'bugs2fix', split: 'valid', language: 'java', outputs: 'prompt' },
  { name: 'lyra', split: 'train', language: 'python', outputs: 'later' },
] as const;

const lines: Record<string, unknown>[] = [];
for (const { name, split, language, outputs: kind } of sets) {
  const file = await findDataset(name, split, process.env.DECE_DATA);
  const rows = (await readExamples(file)).slice(0, 2002);
  const references = rows.slice(0, -2).map(({ completion }) => completion);
  // Two rows later: texts that are in one pair and the next are read once.
  const later = rows.slice(2).map(({ completion }) => completion);
  const outputs = kind === 'later' ? later : rows.slice(0, -2).map(({ prompt }) => prompt);
  const options = { language, mode: 'package' } as const;
  const input = JSON.stringify([language, outputs, references]);

  const times: { ours: Record<string, Seconds>; theirs: Python }[] = [];
  await codeBleu(outputs, references, options); // loads the grammar, and is compiled meanwhile
  for (let round = 0; round < rounds; round++) {
    const ours = {
      codebleu: await secondsOf(() => codeBleu(outputs, references, options)),
      corpus: await secondsOf(() => bleu(outputs, references)),
      singles: await secondsOf(() => bleu(outputs, references, { mode: 'reference' })),
    };
    const answer = execFileSync(python, [script], { input, maxBuffer: 1e6 }).toString();
    times.push({ ours, theirs: JSON.parse(answer) });
  }
  for (const what of ['codebleu', 'corpus', 'singles'] as const) {
    const rate = (of: (time: (typeof times)[number]) => Seconds) =>
      median(times.map((time) => outputs.length / of(time).processor));
    const [ours, theirs] = [rate(({ ours }) => ours[what]!), rate(({ theirs }) => theirs[what])];
    const ratios = times.map((time) => time.theirs[what].processor / time.ours[what]!.processor);
    lines.push({
      metric: { codebleu: 'CodeBLEU', corpus: 'BLEU', singles: 'BLEU of single pairs' }[what],
      data: `${name}/${split}`,
      pairs: outputs.length,
      pairsPerSecond: ours.toFixed(0),
      pythonPairsPerSecond: theirs.toFixed(0),
      ratio: median(ratios).toFixed(1),
      lowestRatio: Math.min(...ratios).toFixed(1),
      highestRatio: Math.max(...ratios).toFixed(1),
      python: times[0]!.theirs.versions,
      commit: commit?.slice(0, 7),
      date: new Date().toISOString().slice(0, 10),
      machine: `${machine.processor} x${threads}`,
      node: process.version,
    });
  }
}
const file = new URL('results/code_bleu.csv', import.meta.url);
await writeFile(file, csv(lines));
console.table(lines, [
  'metric',
  'data',
  'pairsPerSecond',
  'pythonPairsPerSecond',
  'ratio',
  'lowestRatio',
  'highestRatio',
]);

async function secondsOf(work: () => unknown): Promise<Seconds> {
  const [wall, processor] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(processor);
  return { wall: (performance.now() - wall) / 1e3, processor: (user + system) / 1e6 };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}
