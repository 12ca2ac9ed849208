import { show } from '../check.ts';

/** The names that a column goes by, in any case. The first is ours, and wins over the others. */
const aliases = {
  id: ['id', 'task_id'],
  prompt: ['prompt', 'src', 'nl', 'buggy', 'input', 'instruction'],
  completion: ['completion', 'tgt', 'code', 'fixed', 'output', 'response', 'canonical_solution'],
  text: ['text', 'comment', 'func', 'code1'],
  pair: ['pair', 'code2'],
  label: ['label', 'target'],
  poisoned: ['poisoned'],
};

export type Column = keyof typeof aliases;

/** What a kind of record is made of. */
export interface Shape {
  needed: readonly Column[];
  /** Taken where they are there. */
  optional: readonly Column[];
}

/** What each column of a record is called in its file. */
export interface Names {
  of: ReadonlyMap<Column, string>;
  /** The columns that dece does not know. */
  others: readonly string[];
}

/** A value that is not what its column needs. */
class WrongValue extends Error {}

const wrong = (value: unknown, expected: string) =>
  new WrongValue(`${show(value)}, expected ${expected}`);

/** What a value in a file means. Undefined is a value that is absent. */
const meanings: Record<Column, (value: unknown) => unknown> = {
  id: toId,
  prompt: toText,
  completion: toText,
  text: toText,
  pair: toText,
  label: toLabel,
  poisoned: toFlag,
};

function toText(value: unknown): string {
  if (typeof value === 'string') return value;
  throw wrong(value, 'text');
}

function toId(value: unknown): string | undefined {
  if (value === null || value === '') return undefined;
  if (typeof value === 'string' || Number.isSafeInteger(value)) return String(value);
  throw wrong(value, 'text or a whole number');
}

/** CSV has only text, and Python writes True. */
function toFlag(value: unknown): boolean | undefined {
  if (value === null || value === '') return undefined;
  const text = String(value).toLowerCase();
  if (text === 'true' || text === '1') return true;
  if (text === 'false' || text === '0') return false;
  throw wrong(value, 'true or false');
}

function toLabel(value: unknown): number {
  const label = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof label === 'boolean') return Number(label);
  if (Number.isSafeInteger(label) && (label as number) >= 0) return label as number;
  throw wrong(value, 'the number of a class, 0 or more');
}

/**
 * A row's values under our own names, then the columns that dece does not know as they are.
 *
 * @throws Error that begins with `where` on a value of another kind
 */
export function recordOf(
  where: () => string,
  values: Record<string, unknown>,
  names: Names,
): Record<string, unknown> {
  const record: Record<string, unknown> = {};
  for (const [column, name] of names.of) {
    try {
      const value = meanings[column](values[name]);
      if (value !== undefined) record[column] = value;
    } catch (error) {
      if (!(error instanceof WrongValue)) throw error;
      throw new Error(`${where()}: ${name} is ${error.message}`, { cause: error });
    }
  }
  for (const name of names.others) {
    if (name === '__proto__')
      Object.defineProperty(record, name, { ...ordinary, value: values[name] });
    else record[name] = values[name];
  }
  return record;
}

const ordinary = { enumerable: true, writable: true, configurable: true };

/** Finds the columns of a row by their names, once for every set of names. */
export function columnFinder(path: string, shape: Shape) {
  const known = new Map<string, Names>();
  let last: { found: string[]; names: Names } | undefined;
  return (where: () => string, values: Record<string, unknown>): Names => {
    const found = Object.keys(values);
    if (last && sameList(found, last.found)) return last.names;
    const key = JSON.stringify(found);
    const names = known.get(key) ?? findColumns(known.size === 0 ? path : where(), found, shape);
    known.set(key, names);
    last = { found, names };
    return names;
  };
}

const sameList = (one: string[], other: string[]) =>
  one.length === other.length && one.every((name, i) => name === other[i]);

function findColumns(where: string, found: string[], { needed, optional }: Shape): Names {
  const names = new Map<Column, string>();
  for (const column of ['id', ...needed, ...optional] as const) {
    const name = findColumn(where, found, column) ?? descriptionIn(where, found, column);
    if (name !== undefined) names.set(column, name);
    else if (needed.includes(column)) {
      const list =
        found.length > 0 ? `only the columns ${found.map(show).join(', ')}` : 'no columns';
      throw new Error(
        `${where} has ${list}: expected one of ${aliases[column].join(', ')} for the ${column}`,
      );
    }
  }
  const known = new Set(names.values());
  return { of: names, others: found.filter((name) => !known.has(name)) };
}

/** In MBPP the prompt is called `text`; it is one only where a completion is there. */
function descriptionIn(where: string, names: string[], column: Column): string | undefined {
  if (column !== 'prompt' || findColumn(where, names, 'completion') === undefined) return undefined;
  return names.find((name) => name.toLowerCase() === 'text');
}

/** Whether columns of these names have all that a shape needs. */
export function fits(found: string[], { needed }: Shape): boolean {
  return needed.every(
    (column) => (findColumn('', found, column) ?? descriptionIn('', found, column)) !== undefined,
  );
}

function findColumn(where: string, names: string[], column: Column): string | undefined {
  const own = names.filter((name) => name.toLowerCase() === column);
  const other = names.filter((name) => aliases[column].includes(name.toLowerCase()));
  const found = own.length > 0 ? own : other;
  if (found.length > 1) {
    throw new Error(
      `${where} has ${found.join(' and ')}: expected one column for the ${column}; rename it to ${column}`,
    );
  }
  return found[0];
}
