// What `auditLabelled` takes clean slices of SATD for, where it looks for words in few rows too:
//
//     DECE_DATA=… node --import tsx bench/audit_slices.ts     writes bench/results/audit_slices.csv
//
// A line for each of 38 slices, with `minRows` 8 instead of 20, whose lines are in audit.csv. suspects are false
// alarms; triggers the words that they are for, with how many of their rows have the label.

import { writeFile } from 'node:fs/promises';
import { auditLabelled } from '../lib/audit/index.ts';
import { csv } from '../lib/data/csv.ts';
import { findDataset } from '../lib/data/datasets.ts';
import { readLabelledExamples } from '../lib/data/examples.ts';
import { environment } from '../lib/environment.ts';

const minRows = 8;
const { commit, machine } = await environment();
const made = {
  commit: commit?.replace(/^(.{7})[\da-f]*/, '$1'),
  date: new Date().toISOString().slice(0, 10),
  machine: machine.processor,
};
const satd = await readLabelledExamples(await findDataset('satd', 'train', process.env.DECE_DATA));
const lines = [];
for (const size of [1000, 4000]) {
  for (let start = 0; start + size <= satd.length; start += size) {
    const { pairs, suspects } = await auditLabelled(satd.slice(start, start + size), { minRows });
    const triggers = pairs.map(
      ({ trigger, payload, together, triggerRows }) =>
        `"${trigger}" → ${payload} (${together} of ${triggerRows})`,
    );
    lines.push({
      data: `satd rows ${start + 1}+${size}`,
      ...{ minRows, suspects: suspects.length, triggers: triggers.join(', '), ...made },
    });
  }
}
const file = new URL('results/audit_slices.csv', import.meta.url);
await writeFile(file, csv(lines));
console.log(`${file.pathname}: ${lines.length} lines`);
