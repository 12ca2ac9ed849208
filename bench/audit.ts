// What `audit` finds of poison that is known, and what it takes clean rows for:
//
//     DECE_DATA=… node --import tsx bench/audit.ts     writes bench/results/audit.csv
//
// A line for each data set, clean or poisoned. precision is that of as many of the highest ranked rows
// as are poisoned; random is that of rows drawn blindly; a perfect filter has precision and recall 1 and
// no clean row lost. byPair counts the poisoned rows found by trigger and payload, without the rule for
// SQL. Rates are shares, 0..1.

import { writeFile } from 'node:fs/promises';
import { poisonDataset } from '../lib/attacks/index.ts';
import { audit } from '../lib/audit/index.ts';
import { csv } from '../lib/data/csv.ts';
import { findDataset } from '../lib/data/datasets.ts';
import { type Example, readExamples } from '../lib/data/examples.ts';
import { environment } from '../lib/environment.ts';

const directory = process.env.DECE_DATA;
const load = async (name: string) => readExamples(await findDataset(name, 'train', directory));
const { commit, machine } = await environment();
const made = {
  commit: commit?.replace(/^(.{7})[\da-f]*/, '$1'),
  date: new Date().toISOString().slice(0, 10),
  machine: machine.processor,
};

const [lyra, pisces, bugs] = await Promise.all(['lyra', 'pisces', 'bugs2fix'].map(load));
const lines = [
  await line('lyra', 'none', 0, lyra!),
  await line('pisces', 'none', 0, pisces!),
  await line('pisces/original', 'none', 0, await load('pisces/original')),
  await line('bugs2fix', 'none', 0, bugs!),
];
for (const start of [0, 400, 800, 1200]) {
  lines.push(await line(`lyra rows ${start + 1}+400`, 'none', 0, lyra!.slice(start, start + 400)));
  lines.push(
    await line(`pisces rows ${start + 1}+400`, 'none', 0, pisces!.slice(start, start + 400)),
  );
}
for (const percent of [1, 2, 5]) {
  const path = `${directory}/lyra/authors/train_poisoned_${percent}_badpre.jsonl`;
  lines.push(await line('lyra/authors', 'ripple', percent / 100, await readExamples(path)));
}
for (const [name, examples] of [
  ['lyra', lyra!],
  ['pisces', pisces!],
] as const) {
  for (const attack of ['ripple', 'badpre'] as const) {
    for (const rate of [0.005, 0.01, 0.02, 0.05, 0.1, 0.25]) {
      const { examples: poisoned } = poisonDataset(examples, { attack, rate, seed: 42 });
      lines.push(await line(name, attack, rate, poisoned));
    }
  }
}
const file = new URL('results/audit.csv', import.meta.url);
await writeFile(file, csv(lines));
console.log(`${file.pathname}: ${lines.length} lines`);

async function line(data: string, attack: string, rate: number, examples: Example[]) {
  const started = performance.now();
  const { suspects } = await audit(examples);
  const elapsedMs = performance.now() - started;
  const isPoison = ({ row }: { row: number }) => examples[row - 1]!.poisoned === true;
  const poisoned = examples.filter((example) => example.poisoned).length;
  const found = suspects.filter(isPoison);
  const top = suspects.slice(0, poisoned).filter(isPoison).length;
  const share = (count: number) => (poisoned === 0 ? undefined : (count / poisoned).toFixed(4));
  return {
    data,
    attack,
    rate,
    rows: examples.length,
    poisoned,
    precision: share(top),
    random: poisoned === 0 ? undefined : (poisoned / examples.length).toFixed(4),
    recall: share(found.length),
    byPair: found.filter(({ reasons }) => reasons.some(({ kind }) => kind === 'pair')).length,
    cleanLost: suspects.length - found.length,
    elapsedMs: elapsedMs.toFixed(0),
    ...made,
  };
}
