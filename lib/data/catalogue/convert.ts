import { show } from '../../check.ts';
import { readCsv } from '../csv.ts';
import { type Row, readUtf8 } from '../files.ts';
import { readJsonLines } from '../jsonl.ts';
import type { Recipe } from './index.ts';

/**
 * The rows of a split from the files it is published in, with the ids `<split>-1`, `<split>-2`, … where
 * they have none of their own; that of a pair is both functions' `idx`, and of one that recurs its number.
 *
 * @throws Error, in one sentence with the path, on a file that is not as the recipe says
 */
export async function* convert(
  recipe: Recipe,
  paths: readonly string[],
  split: string,
): AsyncGenerator<Record<string, unknown>> {
  let row = 0;
  for await (const values of rowsOf(recipe, paths)) {
    row++;
    const named = recipe.kind === 'jsonl' || recipe.kind === 'pairs';
    yield named ? values : { id: `${split}-${row}`, ...values };
  }
}

function rowsOf(recipe: Recipe, paths: readonly string[]) {
  const [first, second] = paths;
  if (recipe.kind === 'lines') return besides(recipe.columns, first!, second!);
  if (recipe.kind === 'places') return inPlaces(recipe.columns, first!, second!);
  if (recipe.kind === 'pairs') return paired(first!, second!);
  if (recipe.kind === 'jsonl') return between(recipe.lines, flat(readJsonLines(first!)));
  return renamed(recipe, first!);
}

async function* between(
  [first, last]: readonly [number, number] = [1, Number.POSITIVE_INFINITY],
  rows: AsyncIterable<Record<string, unknown>>,
) {
  let line = 0;
  for await (const values of rows) {
    line++;
    if (line >= first && line <= last) yield values;
  }
}

async function* inPlaces(columns: Readonly<Record<string, string>>, list: string, path: string) {
  const places = new Set((await linesIn(list)).map(Number));
  const all: unknown = JSON.parse((await readUtf8(path)).toString());
  if (!Array.isArray(all)) throw new Error(`${path} is no JSON list`);
  for (const [idx, values] of all.entries()) {
    if (!places.has(idx)) continue;
    const taken = Object.entries(columns).map(([from, to]) => [to, values[from]]);
    yield { ...Object.fromEntries(taken), idx };
  }
}

async function* paired(list: string, path: string) {
  const functions = new Map<string, unknown>();
  for await (const { idx, func } of flat(readJsonLines(path))) functions.set(`${idx}`, func);
  const codeOf = (key: string, i: number) => {
    if (functions.has(key)) return functions.get(key);
    throw new Error(`${list}, line ${i + 1} names the function ${show(key)}, which ${path} lacks`);
  };
  const times = new Map<string, number>();
  for (const [i, line] of (await linesIn(list)).entries()) {
    const [one = '', other = '', label] = line.split('\t');
    const codes = { code1: codeOf(one, i), code2: codeOf(other, i) };
    const id = `${one}_${other}`;
    const time = (times.get(id) ?? 0) + 1;
    times.set(id, time);
    // Pairs recur in the published list, and readers want every id once.
    yield { id: time === 1 ? id : `${id}_${time}`, ...codes, label: Number(label) };
  }
}

async function* flat(batches: AsyncIterable<Row[]>) {
  for await (const rows of batches) yield* rows.map(({ values }) => values);
}

async function* renamed(
  { columns, without = '' }: Recipe & { kind: 'csv' },
  path: string,
): AsyncGenerator<Record<string, unknown>> {
  for await (const values of flat(readCsv(path))) {
    const taken = Object.entries(columns).map(([from, to], i) => {
      const text = values[from];
      if (typeof text !== 'string') throw new Error(`${path} has no column ${from}`);
      const bare = i === 0 && text.startsWith(without) ? text.slice(without.length) : text;
      return [to, to === 'label' ? Number(bare) : bare];
    });
    yield Object.fromEntries(taken);
  }
}

async function* besides([one, other]: readonly [string, string], first: string, second: string) {
  const [left, right] = await Promise.all([linesIn(first), linesIn(second)]);
  if (left.length !== right.length) {
    throw new Error(
      `${first} has ${left.length} lines, ${second} ${right.length}: expected as many`,
    );
  }
  for (const [i, text] of left.entries()) yield { [one]: text, [other]: right[i] };
}

async function linesIn(path: string): Promise<string[]> {
  const lines = (await readUtf8(path)).toString().split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line) => line.trimEnd());
}
