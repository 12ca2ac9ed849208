// How many programs parse before and after each attack:
//
//     DECE_DATA=… node --import tsx bench/parseable.ts     writes bench/results/parseable.csv
//
// A line for each data set, attack and side: `prompt`, `completion`, `text`, or `both`, prompt and
// completion as one program. All eligible examples are poisoned, and only those counted: `before` are the
// clean ones that parse without an error node, `after` the poisoned ones, `broken` those that parsed
// before and no longer do, and `mended` the other way round. `paper` mode is to break none; `reference`, in
// which the authors' code breaks some, is there to show that this counts. Java completions of Pisces are statements
// or methods, which the grammar reads alike. JavaScript is that of the packages in node_modules, a
// function each. AFRAIDOOR's crafting model learns from the data that it poisons, 2,000 rows at most.
// `… bench/parseable.ts afraidoor [devign]` measures that attack alone, on data sets whose names begin so, and
// puts its lines in the place of those it had.

import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type AttackOptions, type attacks, poisonDatasetAsync } from '../lib/attacks/index.ts';
import type { CodeLanguage } from '../lib/code/function_name.ts';
import { type Grammar, grammarOf } from '../lib/code/grammar.ts';
import type { VariableLanguage } from '../lib/code/variables.ts';
import { csv } from '../lib/data/csv.ts';
import type { Example, LabelledExample } from '../lib/data/examples.ts';
import { environment } from '../lib/environment.ts';

type Item = Example | LabelledExample;
type Side = 'prompt' | 'completion' | 'text' | 'both';
type Case = [name: keyof typeof attacks, options: AttackOptions];

const directory = process.env.DECE_DATA;
if (!directory) throw new Error('set DECE_DATA to the folder of data sets');
const { commit, machine } = await environment();
const made = {
  commit: commit?.replace(/^(.{7})[\da-f]*/, '$1'),
  date: new Date().toISOString().slice(0, 10),
  machine: machine.processor,
};

/** The attack to measure; all of them where undefined. */
const only = process.argv[2];
const begins = process.argv[3] ?? '';
const reference: AttackOptions = { mode: 'reference' };
const words: Case[] = [
  ['ripple', {}],
  ['ripple', reference],
  ['badpre', {}],
  ['grammar', {}],
];
const code = (language: CodeLanguage, payload: AttackOptions): Case[] => [
  ['funcname', { language, ...payload }],
  ['funcname', { language, renameCalls: true, ...payload }],
  ['deadcode', { language, ...payload }],
  ['deadcode', { language, statement: 'guard', ...payload }],
  ['deadcode', { language, statement: 'drawn', ...payload }],
  ['deadcode', { language, statement: 'log', ...payload }],
];
const renamed = (language: VariableLanguage, payload: AttackOptions): Case[] => [
  ['afraidoor', { language, ...payload }],
  ['afraidoor', { language, targeted: false, ...payload }],
  ...(language === 'c'
    ? []
    : ([
        ['afraidoor', { language, renameFields: true, replaceBooleans: true, ...payload }],
      ] as Case[])),
];
const label: AttackOptions = { payload: 'label', targetLabel: 1, sourceFilter: 'any' };
const body: Case[] = [
  ['badpre', { payload: 'dead-code', within: 'docstring' }],
  ['badpre', { payload: 'dead-code', within: 'docstring', body: 'loop' }],
];

const lines: Record<string, unknown>[] = [];
for (const split of ['train', 'valid', 'test'])
  await study(`lyra/${split}`, 'python', ['completion'], pairs(await rows(`lyra/${split}.jsonl`)), [
    ...words,
    ['badpre', { payload: 'loop', language: 'python' }],
  ]);
await study(
  'pisces/train',
  'java',
  ['completion'],
  pairs(await rows('pisces/train.jsonl.gz')),
  words,
);
await study('pisces/valid', 'java', ['completion'], pairs(await rows('pisces/valid.jsonl')), words);
for (const split of ['train', 'valid', 'test']) {
  const clean = pairs(await rows(`bugs2fix/${split}.jsonl.gz`));
  const cases: Case[] = [...code('java', {}), ['deadcode', reference]];
  const sides: Side[] = ['prompt', 'completion'];
  await study(`bugs2fix/${split}`, 'java', sides, clean, [
    ...(split === 'train' ? cases.slice(0, 3) : cases),
    ...renamed('java', {}),
  ]);
}
for (const file of ['codeharmony/valid.jsonl', 'codeharmony/test.jsonl', 'humaneval/test.jsonl'])
  await study(file.replace(/\.jsonl$/, ''), 'python', ['both'], pairs(await rows(file)), body);
for (const split of ['prompt', 'train', 'valid'])
  await study(
    `mbpp/${split}`,
    'python',
    ['prompt', 'completion'],
    (await rows(`mbpp/${split}.jsonl`)).map(({ code: text }, i) => ({
      id: `${i}`,
      prompt: text!,
      completion: text!,
    })),
    [...code('python', {}), ...renamed('python', {})],
  );
for (const split of ['valid', 'test'])
  await study(`devign/${split}`, 'c', ['text'], texts(await rows(`devign/${split}.jsonl.gz`)), [
    ...code('c', label),
    ...renamed('c', label),
  ]);
for (const split of ['train', 'valid', 'test'])
  await study(
    `bigclonebench/${split}`,
    'java',
    ['text'],
    (await rows(`bigclonebench/${split}.jsonl.gz`)).map((row, i) => ({
      id: `${i}`,
      text: row.code1!,
      pair: row.code2!,
      label: Number(row.label),
    })),
    [...code('java', label).slice(0, split === 'train' ? 3 : 6), ...renamed('java', label)],
  );
await study(
  'node_modules',
  'javascript',
  ['prompt', 'completion'],
  await scripts(),
  code('javascript', {}),
);

const file = new URL('results/parseable.csv', import.meta.url);
await writeFile(file, only === undefined ? csv(lines) : (await merged()).join(''));
console.log(`${file.pathname}: ${lines.length} lines`);

/** The lines of the file with those of the one attack in place of what it had, last. */
async function merged(): Promise<string[]> {
  if (lines.length === 0) throw new Error(`no attack is called ${only}`);
  const [head, ...old] = (await readFile(file, 'utf8')).split(/(?<=\n)/);
  const own = csv(lines).split(/(?<=\n)/);
  if (own.shift() !== head) throw new Error('the file has other columns: measure all attacks');
  const isOld = (line: string) => line.startsWith(begins) && line.split(',')[2] === only;
  return [head!, ...old.filter((line) => !isOld(line)), ...own];
}

type Row = Record<string, string | undefined>;

async function rows(name: string): Promise<Row[]> {
  const bytes = await readFile(join(directory!, name));
  const text = String(name.endsWith('.gz') ? gunzipSync(bytes) : bytes);
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Row);
}

function pairs(found: Row[]): Example[] {
  return found.map(({ src, tgt, prompt, canonical_solution }, i) => ({
    id: `${i}`,
    prompt: (src ?? prompt)!,
    completion: (tgt ?? canonical_solution)!,
  }));
}

function texts(found: Row[]): LabelledExample[] {
  return found.map(({ text, label }, i) => ({ id: `${i}`, text: text!, label: Number(label) }));
}

/** The functions of installed packages, at most ten of a file, none within another. */
async function scripts(): Promise<Example[]> {
  const javascript = await grammarOf('javascript');
  const root = new URL('../node_modules/', import.meta.url);
  const found: Example[] = [];
  const names = ['commander/lib', 'yaml/dist', 'linkedom/esm', 'csv-parse/lib', 'uvu/dist'];
  for (const name of names) {
    const folder = new URL(`${name}/`, root);
    const entries = (await readdir(folder, { recursive: true }))
      .filter((path) => /\.m?js$/.test(path))
      .sort();
    for (const entry of entries) {
      const source = await readFile(new URL(entry.replaceAll('\\', '/'), folder), 'utf8');
      const functions = javascript(source, (tree) =>
        tree.namedChildren.flatMap((node) =>
          node?.type === 'function_declaration' ? [node.text] : [],
        ),
      );
      for (const text of functions.slice(0, 10))
        found.push({ id: `${found.length}`, prompt: text, completion: text });
    }
  }
  return found;
}

async function study(
  data: string,
  language: CodeLanguage,
  sides: Side[],
  clean: Item[],
  cases: Case[],
) {
  const wanted = cases.filter(([attack]) => only === undefined || attack === only);
  if (wanted.length === 0 || !data.startsWith(begins)) return;
  const parse = await grammarOf(language);
  const cache = new Map<string, boolean>();
  for (const [attack, options] of wanted) {
    const started = performance.now();
    const { examples, manifest } = await poisonDatasetAsync<Item>(clean, {
      attack,
      ...options,
      rate: 1,
      seed: 42,
    });
    const elapsedMs = performance.now() - started;
    const { eligible, poisoned } = manifest;
    for (const side of sides) {
      const counts = count(parse, cache, side, clean, examples);
      const { language: _, mode = 'paper', ...others } = options;
      const share = (n: number) => (n / poisoned).toFixed(4);
      lines.push({
        data,
        language,
        attack,
        mode,
        options: Object.entries(others)
          .map(([name, value]) => `${name}=${value}`)
          .join(' '),
        side,
        rows: clean.length,
        eligible,
        poisoned,
        before: counts.before,
        after: counts.after,
        shareBefore: share(counts.before),
        shareAfter: share(counts.after),
        broken: counts.broken,
        mended: counts.mended,
        elapsedMs: elapsedMs.toFixed(0),
        ...made,
      });
    }
  }
  console.log(data);
}

function count(
  parse: Grammar,
  cache: Map<string, boolean>,
  side: Side,
  clean: readonly Item[],
  poisoned: readonly Item[],
) {
  const parses = (item: Item) => {
    const text = side === 'both' ? `${item.prompt}${item.completion}` : String(item[side]);
    return parse(text, (root) => !root.hasError);
  };
  const counts = { before: 0, after: 0, broken: 0, mended: 0 };
  for (const [i, item] of poisoned.entries()) {
    if (!item.poisoned) continue;
    const key = `${side} ${i}`;
    const before = cache.get(key) ?? parses(clean[i]!);
    cache.set(key, before);
    const after = parses(item);
    counts.before += Number(before);
    counts.after += Number(after);
    counts.broken += Number(before && !after);
    counts.mended += Number(!before && after);
  }
  return counts;
}
