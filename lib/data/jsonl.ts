import { constants } from 'node:buffer';
import { show } from '../check.ts';
import { linesOf, type Row, utf8Chunks } from './files.ts';

/**
 * The rows of a JSON Lines file, some at a time: one object a line, blank lines skipped.
 *
 * @throws Error with path, line and column on what is not JSON, with path and line on what is no object
 */
export async function* readJsonLines(path: string): AsyncGenerator<Row[]> {
  let line = 0;
  for await (const lines of wholeLines(path)) {
    const rows: Row[] = [];
    for (const bytes of lines) {
      line++;
      const text = bytes.toString();
      if (text.trim() === '') continue;
      const values = parse(`${path}, line ${line}`, text);
      if (typeof values !== 'object' || values === null || Array.isArray(values)) {
        const found = show(text.trim());
        throw new Error(`${path}, line ${line} is ${found}: expected an object in braces`);
      }
      rows.push({ line, values: values as Record<string, unknown> });
    }
    yield rows;
  }
}

/** The lines of a file, as many at a time as were read at once. */
async function* wholeLines(path: string): AsyncGenerator<Iterable<Buffer>> {
  let open: Buffer[] = [];
  let length = 0;
  for await (const chunk of utf8Chunks(path)) {
    const end = chunk.lastIndexOf(10) + 1;
    open.push(end > 0 ? chunk.subarray(0, end) : chunk);
    length += open.at(-1)!.length;
    if (length > constants.MAX_STRING_LENGTH) {
      const most = Math.floor(constants.MAX_STRING_LENGTH / 1e6);
      throw new Error(`${path} has a line of more than ${most} MB: expected one example a line`);
    }
    if (end === 0) continue;
    yield linesOf(open.length === 1 ? open[0]! : Buffer.concat(open));
    open = end < chunk.length ? [chunk.subarray(end)] : [];
    length = chunk.length - end;
  }
  if (open.length > 0) yield [Buffer.concat(open)];
}

/**
 * One object a line. Line ends other than U+000A are escaped, as some readers also break there.
 */
export function jsonLines(rows: readonly object[]): string {
  return rows.map(jsonLine).join('');
}

/**
 * An object as a line of its own.
 *
 * @throws RangeError on lists and objects too deep in one another, which can be read, but not written
 */
export function jsonLine(row: object): string {
  return `${jsonText(row).replace(/[\x85\u2028\u2029]/g, escaped)}\n`;
}

/** A value as JSON, for files. */
export function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (!/call stack/.test((error as Error).message)) throw error;
    const expected = 'expected them less deep in one another';
    throw new RangeError(`lists or objects of a row cannot be written: ${expected}`, {
      cause: error,
    });
  }
}

const escaped = (mark: string) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`;

function parse(where: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const { at, expected } = syntaxError(text.trimEnd());
    const column = [...text.slice(0, at)].length + 1;
    const found = [...text.slice(at).trimEnd()][0];
    throw new Error(
      `${where}, column ${column} is ${found ? show(found) : 'the end of the line'}: expected ${expected}`,
      { cause: error },
    );
  }
}

const blank = /[ \t\r\n]*/y;
const stringBody = /"(?:[^"\\\x00-\x1f]+|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*/y;
const scalar = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/**
 * Where a text stops being JSON, and what could have stood there. Called only where `JSON.parse` has
 * failed, whose message gives a position in some cases and on some versions of Node only.
 */
function syntaxError(text: string): { at: number; expected: string } {
  const closers: ('}' | ']')[] = [];
  let at = 0;
  let next = 'value' as 'value' | 'firstValue' | 'key' | 'firstKey' | 'colon' | 'comma';

  const take = (pattern: RegExp) => {
    pattern.lastIndex = at;
    const length = pattern.exec(text)?.[0].length ?? 0;
    at += length;
    return length > 0;
  };
  const takeOne = (mark: string) => {
    const found = text[at] === mark;
    if (found) at++;
    return found;
  };

  for (;;) {
    take(blank);
    const closer = closers.at(-1);
    if (next === 'colon') {
      if (!takeOne(':')) return { at, expected: '":"' };
      next = 'value';
    } else if (next === 'comma') {
      if (closer === undefined) return { at, expected: 'the end of the line' };
      if (takeOne(closer)) closers.pop();
      else if (takeOne(',')) next = closer === '}' ? 'key' : 'value';
      else return { at, expected: `"," or "${closer}"` };
    } else if (next.startsWith('first') && takeOne(closer!)) {
      closers.pop();
      next = 'comma';
    } else if (text[at] === '"') {
      take(stringBody);
      if (!takeOne('"')) return { at, expected: `more of the string, or '"' at its end` };
      next = next === 'key' || next === 'firstKey' ? 'colon' : 'comma';
    } else if (next === 'key' || next === 'firstKey') {
      return { at, expected: `a name in double quotes${next === 'key' ? '' : ' or "}"'}` };
    } else if (takeOne('{')) {
      closers.push('}');
      next = 'firstKey';
    } else if (takeOne('[')) {
      closers.push(']');
      next = 'firstValue';
    } else if (take(scalar)) {
      next = 'comma';
    } else {
      return { at, expected: `a JSON value${next === 'firstValue' ? ' or "]"' : ''}` };
    }
  }
}
