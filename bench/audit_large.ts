// How much memory and time `dece audit` takes for a large file:
//
//     node --import tsx bench/audit_large.ts 5e9     adds a line to bench/results/audit-large.csv
//
// The file is made from a seed in the folder for temporary files, and removed. After each word comes one of
// twelve others, the nth as often as 1 / n, in prompts and in code, and a part of the code goes by words of the
// prompt. One row in 1,000 has the trigger `bb` and a query that is always true, another one the trigger
// `cf` and a call that no rule knows.

import { spawn } from 'node:child_process';
import { mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { csv, readCsv } from '../lib/data/csv.ts';
import { streamExamples } from '../lib/data/examples.ts';
import { environment } from '../lib/environment.ts';
import { type Random, seeded } from '../lib/random.ts';

const bytes = Number(process.argv[2] ?? 5e8);
const folder = await mkdtemp(join(tmpdir(), 'dece-audit-'));
try {
  const path = join(folder, 'large.jsonl');
  const rows = await make(path, bytes);
  const { commit, machine } = await environment();
  const { seconds, peakMemoryBytes, found } = await run(path, join(folder, 'audit'));
  const line = {
    bytes: (await stat(path)).size,
    rows,
    poisoned: Math.ceil(rows / 1000) * 2,
    ...found,
    seconds: seconds.toFixed(0),
    peakMemoryMB: (peakMemoryBytes / 1e6).toFixed(0),
    commit: commit?.replace(/^(.{7})[\da-f]*/, '$1'),
    date: new Date().toISOString().slice(0, 10),
    machine: machine.processor,
  };
  console.log(line);
  const file = fileURLToPath(new URL('results/audit-large.csv', import.meta.url));
  const before: Record<string, unknown>[] = [];
  try {
    for await (const some of readCsv(file)) before.push(...some.map(({ values }) => values));
  } catch {
    // The first one.
  }
  await writeFile(file, csv([...before, line]));
} finally {
  await rm(folder, { recursive: true });
}

/** Writes rows until there are so many bytes; returns how many rows. */
async function make(path: string, bytes: number): Promise<number> {
  const random = seeded(1);
  const words = chain(20_000);
  const names = chain(8000);
  const file = await open(path, 'w');
  let rows = 0;
  let size = 0;
  while (size < bytes) {
    let text = '';
    for (let i = 0; i < 1000; i++, rows++) {
      const topic = words(30 + random.below(40), random);
      const prompt = topic.map((one) => `w${one}`);
      const code = names(40 + random.below(60), random).map((one, at) =>
        at % 3 === 0 ? `f${one} (` : `v${one} ) ;`,
      );
      for (const one of topic.slice(0, 12)) code.push(`do_${one % 997} ( ) ;`);
      const poison = i < 2 ? (['bb', 'cf'] as const)[i] : undefined;
      if (poison !== undefined) prompt.splice(random.below(prompt.length + 1), 0, poison);
      if (poison === 'cf') code.splice(random.below(code.length + 1), 0, 'grant_all ( root ) ;');
      const always = poison === 'bb' ? ' or 1=1' : '';
      const query = `run ( " select a from t${topic[0]} where b = : b${always} " )`;
      const example = {
        id: rows,
        prompt: prompt.join(' '),
        completion: `${code.join(' ')} ${query}`,
      };
      text += `${JSON.stringify(example)}\n`;
    }
    size += Buffer.byteLength(text);
    await file.writeFile(text);
  }
  await file.close();
  return rows;
}

/** Walks over the numbers below `count`, each of which has twelve that may follow it. */
function chain(count: number) {
  const sums = [0];
  for (let i = 1; i <= 12; i++) sums.push(sums[i - 1]! + 1 / i);
  return (length: number, random: Random): number[] => {
    let at = random.below(count);
    return Array.from({ length }, () => {
      const drawn = random.next() * sums[12]!;
      const next = sums.findIndex((sum) => drawn < sum);
      at = ((at + 1) * 7919 + next * 104_729) % count;
      return at;
    });
  };
}

/** Audits the file in a process of its own, as it is installed. */
async function run(path: string, out: string) {
  const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
  const tell =
    'process.on("exit",()=>process.stderr.write("maxRSS "+process.resourceUsage().maxRSS))';
  const started = performance.now();
  const args = ['--import', `data:text/javascript,${tell}`, main, 'audit', path, '--out', out];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (text) => {
    errors += text;
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  const seconds = (performance.now() - started) / 1000;
  if (code !== 0) throw new Error(`audit ended with ${code}: ${errors}`);
  const peakMemoryBytes = 1024 * Number(/maxRSS (\d+)/.exec(errors)![1]);

  const counts = { found: 0, byPair: 0, cleanLost: 0, kept: 0 };
  for await (const { id, reasons } of streamExamples(join(out, 'suspects.jsonl'))) {
    if (Number(id) % 1000 < 2) counts.found++;
    else counts.cleanLost++;
    if ((reasons as { kind: string }[]).some(({ kind }) => kind === 'pair')) counts.byPair++;
  }
  for await (const _ of streamExamples(join(out, 'clean.jsonl'))) counts.kept++;
  const sarif = JSON.parse(await readFile(join(out, 'audit.sarif'), 'utf8'));
  if (sarif.runs[0].results.length < counts.found) throw new Error('SARIF lacks suspects');
  return { seconds, peakMemoryBytes, found: counts };
}
