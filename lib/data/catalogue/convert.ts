import { readCsv } from '../csv.ts';
import { type Row, readUtf8 } from '../files.ts';
import { readJsonLines } from '../jsonl.ts';
import type { Recipe } from './index.ts';

/**
 * The rows of a split from the files it is published in, with the ids `<split>-1`, `<split>-2`, … where
 * they have none of their own.
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
    yield recipe.kind === 'jsonl' ? values : { id: `${split}-${row}`, ...values };
  }
}

function rowsOf(recipe: Recipe, paths: readonly string[]) {
  const [first, second] = paths;
  if (recipe.kind === 'lines') return besides(recipe.columns, first!, second!);
  if (recipe.kind === 'jsonl') return flat(readJsonLines(first!));
  return renamed(recipe, first!);
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
