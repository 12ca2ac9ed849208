import { show } from '../check.ts';
import { linesOf, type Row } from './files.ts';

/**
 * The rows of a JSON Lines file: one object a line, blank lines skipped.
 *
 * @throws Error with path, line and column on what is not JSON, with path and line on what is no object
 */
export function* readJsonLines(path: string, bytes: Buffer): Generator<Row> {
  let line = 0;
  for (const bytesOfLine of linesOf(bytes)) {
    line++;
    const text = bytesOfLine.toString();
    if (text.trim() === '') continue;
    const where = `${path}, line ${line}`;
    const values = parse(where, text);
    if (typeof values !== 'object' || values === null || Array.isArray(values)) {
      throw new Error(`${where} is ${show(text.trim())}: expected an object in braces`);
    }
    yield { where, values: values as Record<string, unknown> };
  }
}

/**
 * One object a line. Line ends other than U+000A are escaped, as some readers also break there.
 */
export function jsonLines(rows: readonly object[]): string {
  return rows
    .map((row) => `${JSON.stringify(row).replace(/[\x85\u2028\u2029]/g, escaped)}\n`)
    .join('');
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
