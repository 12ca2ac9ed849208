// How many examples a second the word attacks poison:
//
//     DECE_DATA=… node --import tsx bench/poison.ts     writes bench/results/poison.csv
//
// Lyra's training rows fifty times over, in memory and, as `dece poison` does, from file to file with
// the manifest. `ofJson` is the time that JSON.parse(JSON.stringify(example)) of the same examples takes,
// measured in turn in the same run, divided by that of the line. Of three rounds the fastest counts, as other
// work on the machine only slows.

import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { poisonDataset } from '../lib/attacks/index.ts';
import { csv } from '../lib/data/csv.ts';
import { findDataset } from '../lib/data/datasets.ts';
import { type Example, readExamples, writeExamples } from '../lib/data/examples.ts';
import { environment } from '../lib/environment.ts';

const rounds = 3;
const lyra = await readExamples(await findDataset('lyra', 'train', process.env.DECE_DATA));
const examples: Example[] = Array.from({ length: 50 }, (_, i) =>
  lyra.map((example) => ({ ...example, id: `${i}-${example.id}` })),
).flat();
const folder = await mkdtemp(join(tmpdir(), 'dece-poison-'));
const input = join(folder, 'in.jsonl');
await writeExamples(input, examples);
const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

const cases = (['ripple', 'badpre'] as const).flatMap((attack) =>
  [0.05, 1].flatMap((rate) => [
    {
      where: 'memory',
      attack,
      rate,
      work: async () => poisonDataset(examples, { attack, rate, seed: 42 }),
    },
    {
      where: 'dece poison',
      attack,
      rate,
      work: () => {
        const output = join(folder, 'out.jsonl');
        const args = [main, 'poison', input, output, '--attack', attack, '--rate', `${rate}`];
        return promisify(execFile)(process.execPath, args);
      },
    },
  ]),
);
const { commit, machine } = await environment();
const lines = [];
for (const { work, ...what } of cases) {
  const own: number[] = [];
  const json: number[] = [];
  for (let round = 0; round < rounds; round++) {
    json.push(await elapsed(async () => examples.map((one) => JSON.parse(JSON.stringify(one)))));
    own.push(await elapsed(work));
  }
  lines.push({
    ...what,
    examples: examples.length,
    perSecond: ((1000 * examples.length) / Math.min(...own)).toFixed(0),
    ofJson: (Math.min(...json) / Math.min(...own)).toFixed(2),
    commit: commit?.replace(/^(.{7})[\da-f]*/, '$1'),
    date: new Date().toISOString().slice(0, 10),
    machine: machine.processor,
  });
}
await rm(folder, { recursive: true });
const file = new URL('results/poison.csv', import.meta.url);
await writeFile(file, csv(lines));
console.table(lines.map(({ commit: _, date: __, machine: ___, ...line }) => line));

async function elapsed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}
