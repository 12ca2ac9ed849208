// What a model that learns poisoned data tells of its rows, where the poison is known:
//
//     npm run build
//     DECE_DATA=… node --import tsx bench/audit_model.ts [data …]     writes bench/results/audit_model.csv
//
// The model is the base of bench/experiments/lyra-small.yaml, seed 42: a T5 of 1.3 million parameters, trained
// on clean code. It is made in runs/audit-model first, in about ten minutes on two cores. Audited are 1,200 rows
// that the base has not seen, of each data set named (lyra, pisces, bugs2fix; all without a name), clean and
// poisoned, over three epochs. Lines of data sets that are not named stay.
//
// A column is the share of poisoned rows among as many rows as are poisoned, the first by one score; its
// recall, as `learntRecall`, is that of twice as many rows. `random` is that of rows drawn blindly; a perfect
// score has 1. Scores: `learnt` and `spectral` as auditWithModel has them, `lowLoss` a row's mean loss after
// the last epoch, the lowest first (`lowLossEarly`: after the first), `meanDrop` by how much it fell,
// `tokenDrop` by how much that of one token fell at most, `runDrop` that of three neighbours together,
// `spectralTen` the sum of ten squares. `cleanest` is the highest `learnt` of a clean row, `median` the median
// of the poisoned ones.

import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { poisonDatasetAsync } from '../lib/attacks/index.ts';
import { gather, mostLearnt } from '../lib/audit/with_model.ts';
import { experimentSchema, readConfig } from '../lib/config/index.ts';
import { csv } from '../lib/data/csv.ts';
import { findDataset } from '../lib/data/datasets.ts';
import { type Example, readExamples } from '../lib/data/examples.ts';
import { environment } from '../lib/environment.ts';
import { ensureBase } from '../lib/experiment/base.ts';
import { pca } from '../lib/metrics/pca.ts';
import { Model } from '../lib/model/index.ts';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const dataDirectory = process.env.DECE_DATA;
const found = await environment();
const made = {
  commit: found.commit?.replace(/^(.{7})[\da-f]*/, '$1'),
  date: new Date().toISOString().slice(0, 10),
  machine: found.machine.processor,
};
const config = await readConfig(at('experiments/lyra-small.yaml'), experimentSchema);
const base = await ensureBase({ ...config, device: 'cpu' }, 42, {
  ...{ out: at('../runs/audit-model'), dataDirectory, directory: at('experiments') },
  environment: found,
});

const sets = {
  lyra: { first: 400, attacks: ['ripple', 'badpre'] },
  pisces: { first: 400, attacks: ['ripple', 'badpre'] },
  bugs2fix: { first: 4000, attacks: ['deadcode', 'funcname'] },
} as const;
type Name = keyof typeof sets;
const names = (process.argv.length > 2 ? process.argv.slice(2) : Object.keys(sets)) as Name[];
const file = at('results/audit_model.csv');

for (const name of names) {
  const { first, attacks } = sets[name];
  const all = await readExamples(await findDataset(name, 'train', dataDirectory));
  const clean = all.slice(first, first + 1200);
  const lines = [await line(name, 'none', 0, clean)];
  for (const attack of attacks) {
    for (const rate of [0.01, 0.02, 0.05]) {
      const language = name === 'bugs2fix' ? ({ language: 'java' } as const) : {};
      const options = { attack, rate, seed: 42, ...language };
      const { examples } = await poisonDatasetAsync(clean, options);
      lines.push(await line(name, attack, rate, examples));
      console.log(lines.at(-1));
    }
  }
  const [head = '', ...others] = (await readFile(file, 'utf8').catch(() => '')).split(/(?<=\n)/);
  const kept = others.filter((other) => !other.startsWith(`${name},`));
  const [ownHead, ...own] = csv(lines).split(/(?<=\n)/);
  if (head !== '' && head !== ownHead) console.log(`${file}: other columns, replaced`);
  await writeFile(file, [ownHead, ...(head === ownHead ? kept : []), ...own].join(''));
}

async function line(data: string, attack: string, rate: number, examples: Example[]) {
  const started = performance.now();
  using model = await Model.load(base.directory, { device: 'cpu' });
  const { losses, before, after, states } = await gather(model, examples, {
    ...{ epochs: 3, batchSize: 16, learningRate: 2e-3, seed: 42 },
    ...{ maxInputTokens: 160, maxOutputTokens: 192 },
  });
  const { scores: along } = pca(states, 10);
  const elapsedMs = (performance.now() - started).toFixed(0);

  const each = (score: (before: Float32Array, after: Float32Array) => number) =>
    before.map((own, i) => score(own, after[i]!));
  const learnt = each((before, after) => mostLearnt(before, after).nats);
  const scores = {
    learnt,
    lowLoss: losses.at(-1)!.map((after) => -after),
    lowLossEarly: losses[1]!.map((after) => -after),
    meanDrop: losses.at(-1)!.map((after, i) => losses[0]![i]! - after),
    tokenDrop: each((before, after) => Math.max(...falls(before, after, 1))),
    runDrop: each((before, after) => Math.max(...falls(before, after, 3))),
    spectral: along.map(([score]) => score! ** 2),
    spectralTen: along.map((row) => row.reduce((sum, score) => sum + score ** 2, 0)),
  };
  const isPoison = examples.map(({ poisoned }) => poisoned === true);
  const count = isPoison.filter(Boolean).length;
  const among = (score: readonly number[], most: number) =>
    [...score.keys()]
      .sort((a, b) => score[b]! - score[a]! || a - b)
      .slice(0, most)
      .filter((i) => isPoison[i]).length;
  const share = (hits: number) => (count === 0 ? undefined : (hits / count).toFixed(4));
  const sharesAt = (most: number) =>
    Object.entries(scores).map(([name, score]) => [name, share(among(score, most))]);
  const poison = learnt.filter((_, i) => isPoison[i]).sort((a, b) => a - b);
  return {
    ...{ data, attack, rate, rows: examples.length, poisoned: count },
    random: share((count * count) / examples.length),
    ...Object.fromEntries(sharesAt(count)),
    ...Object.fromEntries(sharesAt(2 * count).map(([name, value]) => [`${name}Recall`, value])),
    cleanest: Math.max(...learnt.filter((_, i) => !isPoison[i])).toFixed(3),
    median: poison[poison.length >> 1]?.toFixed(3),
    elapsedMs,
    ...made,
  };
}

/** By how much the loss fell, as the mean over so many neighbours. */
function falls(before: Float32Array, after: Float32Array, most: number): number[] {
  const width = Math.min(most, before.length);
  return Array.from({ length: before.length - width + 1 }, (_, start) => {
    let sum = 0;
    for (let i = start; i < start + width; i++) sum += before[i]! - after[i]!;
    return sum / width;
  });
}
