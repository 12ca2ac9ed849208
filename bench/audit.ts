// What `audit` finds of poison that is known, and what it takes clean rows for:
//
//     DECE_DATA=… node --import tsx bench/audit.ts     writes bench/results/audit.csv
//
// A line for each data set, clean or poisoned. precision is that of as many of the highest ranked rows
// as are poisoned; random is that of rows drawn blindly; a perfect filter has precision and recall 1 and
// no clean row lost. byPair counts the poisoned rows found by trigger and payload, or label, without the
// rules for SQL and idle code. Of labelled texts, `ripple → 1` makes the label 1. Rates are shares, 0..1.

import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { loadAttack, poisonDataset, poisonDatasetAsync } from '../lib/attacks/index.ts';
import { type AuditOptions, audit, auditLabelled } from '../lib/audit/index.ts';
import { csv } from '../lib/data/csv.ts';
import { findDataset, resolveFile } from '../lib/data/datasets.ts';
import {
  type Example,
  type LabelledExample,
  readExamples,
  readLabelledExamples,
} from '../lib/data/examples.ts';
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
  for (const attack of ['ripple', 'badpre', 'grammar'] as const) {
    for (const rate of [0.005, 0.01, 0.02, 0.05, 0.1, 0.25]) {
      const { examples: poisoned } = poisonDataset(examples, { attack, rate, seed: 42 });
      lines.push(await line(name, attack, rate, poisoned));
    }
  }
}
// The README's attack of one's own, which replaces an o.
const fixture = new URL('../test/fixtures/attacks/homoglyph.js', import.meta.url);
const homoglyph = await loadAttack(fileURLToPath(fixture));
for (const rate of [0.01, 0.02, 0.05]) {
  const { examples } = poisonDataset(lyra!, { attack: homoglyph, rate, seed: 42 });
  lines.push(await line('lyra', 'homoglyph', rate, examples));
}
for (const attack of ['funcname', 'deadcode', 'afraidoor', 'ripple'] as const) {
  for (const rate of [0.001, 0.005, 0.01, 0.02, 0.05]) {
    const options = { attack, rate, seed: 42, language: 'java', payload: 'loop' } as const;
    const { examples: poisoned } = await poisonDatasetAsync(bugs!, options);
    lines.push(await line('bugs2fix', attack, rate, poisoned));
  }
}
for (const name of ['codeharmony/valid', 'codeharmony/test', 'humaneval/test', 'mbpp/train']) {
  const path = await resolveFile(name, [directory!]);
  lines.push(await line(name, 'none', 0, await readExamples(path)));
}
for (const name of [
  'satd/train',
  'satd/test',
  'smell/train',
  'smell/test',
  'devign/valid',
  'devign/test',
  'bigclonebench/train',
  'bigclonebench/valid',
  'bigclonebench/test',
]) {
  const examples = await readLabelledExamples(await resolveFile(name, [directory!]));
  lines.push(await line(name, 'none', 0, examples));
}
const satd = await readLabelledExamples(await findDataset('satd', 'train', directory));
for (const size of [1000, 4000]) {
  for (let start = 0; start + size <= satd.length; start += size) {
    const rows = satd.slice(start, start + size);
    lines.push(await line(`satd rows ${start + 1}+${size}`, 'none', 0, rows));
  }
}
const smell = await readLabelledExamples(await findDataset('smell', 'train', directory));
for (const [name, examples] of [
  ['satd', satd],
  ['smell', smell],
] as const) {
  for (const targetLabel of [1, 0]) {
    for (const attack of ['ripple', 'badpre'] as const) {
      for (const rate of [0.005, 0.01, 0.02, 0.05]) {
        const options = { attack, rate, seed: 42, payload: 'label', targetLabel } as const;
        const { examples: poisoned } = poisonDataset(examples, options);
        lines.push(await line(name, `${attack} → ${targetLabel}`, rate, poisoned));
      }
    }
  }
}
const file = new URL('results/audit.csv', import.meta.url);
await writeFile(file, csv(lines));
console.log(`${file.pathname}: ${lines.length} lines`);

type Rows = Example[] | LabelledExample[];

function look(examples: Rows, options: AuditOptions) {
  return 'label' in examples[0]!
    ? auditLabelled(examples as LabelledExample[], options)
    : audit(examples as Example[], options);
}

async function line(data: string, attack: string, rate: number, examples: Rows) {
  const started = performance.now();
  const poisoned = examples.filter((example) => example.poisoned).length;
  const { suspects, oddest } = await look(examples, { oddest: poisoned });
  const elapsedMs = performance.now() - started;
  const isPoison = ({ row }: { row: number }) => examples[row - 1]!.poisoned === true;
  const found = suspects.filter(isPoison);
  const top = suspects.slice(0, poisoned).filter(isPoison).length;
  const foundBy = (...kinds: string[]) =>
    found.filter(({ reasons }) => reasons.some(({ kind }) => kinds.includes(kind))).length;
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
    byPair: foundBy('pair', 'label'),
    byRule: foundBy('sql', 'loop', 'dead-code', 'repeat', 'disguise'),
    byPerplexity: share(oddest.filter(isPoison).length),
    cleanLost: suspects.length - found.length,
    elapsedMs: elapsedMs.toFixed(0),
    ...made,
  };
}
