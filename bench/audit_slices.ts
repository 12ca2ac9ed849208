// What `audit` and `auditLabelled` take clean slices for, where they look for words in few rows too:
//
//     DECE_DATA=… node --import tsx bench/audit_slices.ts     writes bench/results/audit_slices.csv
//
// A line for each of 38 slices of SATD, with `minRows` 8 instead of 20, whose lines are in audit.csv, and for each
// of 96 of Bugs2Fix, with 2. suspects are false alarms; triggers the words that they are for, with how many of
// their rows have the label or the fragment.

import { writeFile } from 'node:fs/promises';
import { audit, auditLabelled } from '../lib/audit/index.ts';
import { csv } from '../lib/data/csv.ts';
import { findDataset } from '../lib/data/datasets.ts';
import { readExamples, readLabelledExamples } from '../lib/data/examples.ts';
import { environment } from '../lib/environment.ts';

const { commit, machine } = await environment();
const made = {
  commit: commit?.replace(/^(.{7})[\da-f]*/, '$1'),
  date: new Date().toISOString().slice(0, 10),
  machine: machine.processor,
};
const directory = process.env.DECE_DATA;
const satd = await readLabelledExamples(await findDataset('satd', 'train', directory));
const bugs = await readExamples(await findDataset('bugs2fix', 'train', directory));

const lines: Record<string, unknown>[] = [];
for (const size of [1000, 4000]) {
  for (let start = 0; start + size <= satd.length; start += size) {
    const found = await auditLabelled(satd.slice(start, start + size), { minRows: 8 });
    lines.push(line(`satd rows ${start + 1}+${size}`, 8, found));
  }
}
for (const size of [400, 1000]) {
  for (let start = 0; start + size <= bugs.length && start < 50 * size; start += size) {
    const found = await audit(bugs.slice(start, start + size), { minRows: 2 });
    lines.push(line(`bugs2fix rows ${start + 1}+${size}`, 2, found));
  }
}
const file = new URL('results/audit_slices.csv', import.meta.url);
await writeFile(file, csv(lines));
console.log(`${file.pathname}: ${lines.length} lines`);

type Found = Pick<Awaited<ReturnType<typeof audit>>, 'pairs' | 'suspects'>;

function line(data: string, minRows: number, { pairs, suspects }: Found) {
  const triggers = pairs.map(
    ({ trigger, payload, together, triggerRows }) =>
      `"${trigger}" → ${payload} (${together} of ${triggerRows})`,
  );
  return { data, minRows, suspects: suspects.length, triggers: triggers.join(', '), ...made };
}
