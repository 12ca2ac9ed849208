import { check, show } from '../check.ts';
import { columnFinder, fits, recordOf, type Shape } from './columns.ts';
import { readCsv } from './csv.ts';
import { readJsonLines } from './jsonl.ts';
import { readParquet } from './parquet.ts';

/** The formats that are read, by the ending of a file's name, and what a place in one is called. */
const formats = {
  jsonl: { read: readJsonLines, unit: 'line' },
  csv: { read: readCsv, unit: 'line' },
  parquet: { read: readParquet, unit: 'row' },
} as const;

export type Format = keyof typeof formats;

export const readable = ['jsonl', 'csv', 'parquet'] as const;

/** The format that the ending of a file's name says. */
export function formatOf(path: string, allowed: readonly Format[]): Format {
  const remote = /^[a-z][a-z\d+.-]+:\/\//i.test(path);
  check('path', path, !remote, 'a file on this machine: download it first');
  const ending = /\.([^./\\]+?)(\.gz)?$/i.exec(path)?.[1]?.toLowerCase() as Format;
  const endings = allowed.map((name) => `.${name}`).join(', ');
  check(
    'path',
    path,
    allowed.includes(ending),
    `a name that ends in ${endings}, or one of them and .gz`,
  );
  return ending;
}

/** A record whose id may have to be made up, and where it stands. */
export interface Draft<Record> {
  line: number;
  record: Omit<Record, 'id'> & { id?: string };
}

/**
 * The records of a file, as many at a time as were read at once; memory holds no more of it.
 *
 * @throws Error, in one sentence with the path and, where there is one, the line and column: on a file
 *   that cannot be read, is empty or malformed, or lacks a column
 */
export async function* streamDrafts<Record>(
  path: string,
  shape: Shape,
): AsyncGenerator<Draft<Record>[]> {
  const { read, unit } = formats[formatOf(path, readable)];
  const columnsOf = columnFinder(path, shape);
  let empty = true;
  for await (const rows of read(path)) {
    yield rows.map(({ line, values }) => {
      const where = () => `${path}, ${unit} ${line}`;
      const record = recordOf(where, values, columnsOf(where, values));
      return { line, record: record as Draft<Record>['record'] };
    });
    empty &&= rows.length === 0;
  }
  if (empty) throw new Error(`${path} holds no examples: expected at least one`);
}

/** Whether the first row of a file has the columns that a shape needs. */
export async function firstFits(path: string, shape: Shape): Promise<boolean> {
  const { read } = formats[formatOf(path, readable)];
  for await (const [first] of read(path)) {
    if (first) return fits(Object.keys(first.values), shape);
  }
  return false;
}

/**
 * The records of a file as a whole. Those without an id get the number of their row, counted from 1, or
 * the next one that is free.
 *
 * @throws Error as streamDrafts, and on an id that is there twice
 */
export async function readRecords<Record>(path: string, shape: Shape): Promise<Record[]> {
  const drafts: Draft<Record>[] = [];
  for await (const some of streamDrafts<Record>(path, shape)) drafts.push(...some);
  const { unit } = formats[formatOf(path, readable)];
  const lines = new Map<string, number>();
  for (const { line, record } of drafts) {
    if (record.id === undefined) continue;
    const earlier = lines.get(record.id);
    if (earlier !== undefined) {
      throw new Error(
        `${path}, ${unit} ${earlier} and ${unit} ${line} have the same id ${show(record.id)}: expected every id once`,
      );
    }
    lines.set(record.id, line);
  }
  let number = 0;
  return drafts.map(({ record }, i) => {
    if (record.id !== undefined) return record as Record;
    number = Math.max(number, i) + 1;
    while (lines.has(String(number))) number++;
    return { id: String(number), ...record } as Record;
  });
}

/** Each record of a file as `item` makes it of the record and its line; one without an id gets the number of its row. */
export async function* streamRecords<Record, Item>(
  path: string,
  shape: Shape,
  item: (record: Record, line: number) => Item,
): AsyncGenerator<Item> {
  let row = 0;
  for await (const drafts of streamDrafts<Record>(path, shape)) {
    for (const { line, record } of drafts) {
      row++;
      yield item(
        (record.id === undefined ? { id: String(row), ...record } : record) as Record,
        line,
      );
    }
  }
}
