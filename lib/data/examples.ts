import { check, show } from '../check.ts';
import { csv, readCsv } from './csv.ts';
import { type Row, readUtf8, sameFile, writeWhole } from './files.ts';
import { jsonLines, readJsonLines } from './jsonl.ts';

/** One thing to learn or to test: what is asked, and the answer. Columns that dece does not know are kept. */
export interface Example {
  id: string;
  prompt: string;
  completion: string;
  /** True where an attack has changed the example. */
  poisoned?: boolean;
  [column: string]: unknown;
}

/** One text to classify, or a pair of them. */
export interface LabelledExample {
  id: string;
  text: string;
  /** The other text, where the question is whether two belong together. */
  pair?: string;
  /** The class, counted from 0. */
  label: number;
  /** True where an attack has changed the example. */
  poisoned?: boolean;
  [column: string]: unknown;
}

const formats = {
  jsonl: { read: readJsonLines, text: jsonLines },
  csv: { read: readCsv, text: csv },
};

/** The names that a column goes by, in any case. The first is ours, and wins over the others. */
const aliases = {
  id: ['id'],
  prompt: ['prompt', 'src', 'nl', 'buggy', 'input', 'instruction'],
  completion: ['completion', 'tgt', 'code', 'fixed', 'output', 'response'],
  poisoned: ['poisoned'],
};

type Columns = Record<keyof typeof aliases, string | undefined>;

/**
 * The examples of a file: `.jsonl` (one object a line) or `.csv` (with a header; fields may hold line
 * ends), each also packed as `.gz`, in UTF-8, with or without a byte order mark.
 *
 * The prompt is the column `prompt`, `src`, `nl`, `buggy`, `input` or `instruction`, the completion
 * `completion`, `tgt`, `code`, `fixed`, `output` or `response`, in any case; other columns are kept as
 * they are. Examples without an `id` get the number of their row, counted from 1, or the next one
 * that is free.
 *
 * @throws Error, in one sentence with the path and, where there is one, the line and column: on a file
 *   that cannot be read, is empty or malformed, lacks a column, or gives one id twice
 *
 * @example
 * const examples = await readExamples('train.jsonl');
 */
export async function readExamples(path: string): Promise<Example[]> {
  return readTexts(path, ['prompt', 'completion']);
}

/** The prompts of a file of examples, which need no completions. Errors are those of readExamples. */
export async function readPrompts(path: string): Promise<Pick<Example, 'id' | 'prompt'>[]> {
  const examples = await readTexts(path, ['prompt']);
  return examples.map(({ id, prompt }) => ({ id, prompt }));
}

/** On which line of its file each example begins, counted from 1. Errors are those of readExamples. */
export async function exampleLines(path: string): Promise<number[]> {
  const { read } = formatOf(path);
  const rows = [...read(path, await readUtf8(path))];
  return rows.map(({ where }) => Number(/\d+$/.exec(where)![0]));
}

/** The columns that hold text to learn from or to answer. */
type TextColumn = 'prompt' | 'completion';

async function readTexts(path: string, needed: readonly TextColumn[]): Promise<Example[]> {
  const { read } = formatOf(path);
  const columnsOf = columnFinder(path, needed);
  const bytes = await readUtf8(path);
  const found = [...read(path, bytes)].map(({ where, values }) => ({
    where,
    example: toExample(where, values, columnsOf(where, Object.keys(values))),
  }));
  if (found.length === 0) throw new Error(`${path} holds no examples: expected at least one`);
  return withIds(found);
}

/**
 * Writes examples as `.jsonl` or `.csv`, each also packed as `.gz`: the whole file or none, so that an
 * old file of the name survives a failure. JSON Lines keep every value as it is; CSV knows only text.
 *
 * @param options.input the file that the examples were read from, which is never written into
 * @throws TypeError on an example without id, prompt or completion; RangeError on the input's own path
 *   or an unknown format; Error on a file that cannot be written
 *
 * @example
 * await writeExamples('poisoned.jsonl', examples, { input: 'train.jsonl' });
 */
export async function writeExamples(
  path: string,
  examples: readonly Example[],
  { input }: { input?: string } = {},
): Promise<void> {
  const { text } = formatOf(path);
  if (input !== undefined && (await sameFile(path, input))) {
    throw new RangeError(`${path} is the input itself: expected another file to write to`);
  }
  for (const [i, example] of examples.entries()) {
    for (const column of ['id', 'prompt', 'completion'] as const) {
      if (typeof example[column] !== 'string') {
        throw new TypeError(`examples[${i}].${column} is ${show(example[column])}: expected text`);
      }
    }
  }
  await writeWhole(path, text(examples));
}

function formatOf(path: string) {
  const remote = /^[a-z][a-z\d+.-]+:\/\//i.test(path);
  check('path', path, !remote, 'a file on this machine: download it first');
  const ending = /\.([^./\\]+?)(\.gz)?$/i.exec(path)?.[1]?.toLowerCase() ?? '';
  check(
    'path',
    path,
    Object.hasOwn(formats, ending),
    'a name that ends in .jsonl, .csv, .jsonl.gz or .csv.gz',
  );
  return formats[ending as keyof typeof formats];
}

/** Finds the columns of a row by their names, once for every set of names. */
function columnFinder(path: string, needed: readonly TextColumn[]) {
  const known = new Map<string, Columns>();
  return (where: string, names: string[]): Columns => {
    const key = JSON.stringify(names);
    const columns = known.get(key) ?? findColumns(known.size === 0 ? path : where, names, needed);
    known.set(key, columns);
    return columns;
  };
}

function findColumns(where: string, names: string[], needed: readonly TextColumn[]): Columns {
  const find = (column: keyof Columns) => {
    const own = names.filter((name) => name.toLowerCase() === column);
    const other = names.filter((name) => aliases[column].includes(name.toLowerCase()));
    const found = own.length > 0 ? own : other;
    if (found.length > 1) {
      throw new Error(
        `${where} has ${found.join(' and ')}: expected one column for the ${column}; rename it to ${column}`,
      );
    }
    return found[0];
  };
  const columns = {
    id: find('id'),
    prompt: find('prompt'),
    completion: needed.includes('completion') ? find('completion') : undefined,
    poisoned: find('poisoned'),
  };
  for (const column of needed) {
    if (columns[column] === undefined) {
      const list =
        names.length > 0 ? `only the columns ${names.map(show).join(', ')}` : 'no columns';
      throw new Error(
        `${where} has ${list}: expected one of ${aliases[column].join(', ')} for the ${column}`,
      );
    }
  }
  return columns;
}

/** An example whose id may have to be made up. */
interface Draft extends Omit<Example, 'id'> {
  id: string | undefined;
  prompt: string;
  completion: string;
}

function toExample(where: string, values: Row['values'], columns: Columns): Draft {
  const { id, prompt, completion, poisoned } = columns;
  const named = [id, prompt, completion, poisoned];
  const others = Object.entries(values).filter(([name]) => !named.includes(name));
  const flag = poisoned === undefined ? undefined : toFlag(where, poisoned, values[poisoned]);
  return {
    id: id === undefined ? undefined : toId(where, id, values[id]),
    prompt: toText(where, prompt!, values[prompt!]),
    completion: completion === undefined ? '' : toText(where, completion, values[completion]),
    ...(flag !== undefined && { poisoned: flag }),
    ...Object.fromEntries(others),
  };
}

function wrong(where: string, column: string, value: unknown, expected: string): Error {
  return new Error(`${where}: ${column} is ${show(value)}, expected ${expected}`);
}

function toText(where: string, column: string, value: unknown): string {
  if (typeof value === 'string') return value;
  throw wrong(where, column, value, 'text');
}

function toId(where: string, column: string, value: unknown): string | undefined {
  if (value === null || value === '') return undefined;
  if (typeof value === 'string' || Number.isSafeInteger(value)) return String(value);
  throw wrong(where, column, value, 'text or a whole number');
}

/** CSV has only text, and Python writes True. */
function toFlag(where: string, column: string, value: unknown): boolean | undefined {
  if (value === null || value === '') return undefined;
  const text = String(value).toLowerCase();
  if (text === 'true' || text === '1') return true;
  if (text === 'false' || text === '0') return false;
  throw wrong(where, column, value, 'true or false');
}

function withIds(found: { where: string; example: Draft }[]): Example[] {
  const places = new Map<string, string>();
  for (const { where, example } of found) {
    if (example.id === undefined) continue;
    const earlier = places.get(example.id);
    if (earlier !== undefined) {
      const line = where.slice(where.lastIndexOf('line'));
      throw new Error(
        `${earlier} and ${line} have the same id ${show(example.id)}: expected every id once`,
      );
    }
    places.set(example.id, where);
  }
  let number = 0;
  return found.map(({ example }, i) => {
    if (example.id !== undefined) return { ...example, id: example.id };
    number = Math.max(number, i) + 1;
    while (places.has(String(number))) number++;
    return { ...example, id: String(number) };
  });
}
