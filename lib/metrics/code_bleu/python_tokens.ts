import { closingsOf } from './comments.ts';

/** A token of Python code. Lines and columns count from 0; `endColumn` is on the token's last line. */
export interface Token {
  kind: 'comment' | 'string' | 'newline' | 'indent' | 'dedent' | 'other';
  text: string;
  line: number;
  column: number;
  endLine: number;
  endColumn: number;
}

const space = /[ \f\t]*/y;
const name = /[\p{L}\p{N}_]+/uy;
/**
 * Names, numbers, brackets and operators with spaces between them, most of what code is, at one look. It
 * stops before a name with a quote behind it, which may be a string's prefix.
 */
const plain = /(?: *(?:\w+(?![\w'"]|[^\0-\x7f])|!=|[-+*/%@&|^~<>=()[\]{},:;.])){1,1000}/y;
const prefix = '(?:[bB][rR]?|[rR][bBfF]?|[uU]|[fF][rR]?)?';
const tripleOpening = new RegExp(`${prefix}(?:'''|""")`, 'y');
const singleOpening = new RegExp(`${prefix}['"]`, 'y');
/** What a string begins with, or its prefix. */
const mayOpen = new Set('"\'bBrRuUfF');
/** What ends an open string, from the start of a line. */
const ends: Record<string, RegExp> = {
  "'''": /(?:[^'\\]|\\.|'(?!''))*'''/sy,
  '"""': /(?:[^"\\]|\\.|"(?!""))*"""/sy,
  "'": /(?:[^\n'\\]|\\.)*'/sy,
  '"': /(?:[^\n"\\]|\\.)*"/sy,
};

/** A string that goes on in the next line. */
interface OpenString {
  quotes: string;
  text: string;
  line: number;
  column: number;
}

/**
 * The tokens of Python code as the standard library's `tokenize` (3.11) finds them, as far as white
 * space, comments and strings go: names, numbers and operators come in pieces of any size.
 *
 * @returns undefined where `tokenize` raises: at brackets or strings that stay open and an indentation
 *   that fits no block
 */
export function pythonTokens(source: string): Token[] | undefined {
  const tokens: Token[] = [];
  const indents = [0];
  let depth = 0; // of brackets
  let continued = false; // by a backslash
  let open: OpenString | undefined;

  for (const [line, text] of linesOf(source).entries()) {
    let column = 0;
    const push = (kind: Token['kind'], end: number, start = column) => {
      const here = { line, column: start, endLine: line, endColumn: end };
      tokens.push({ kind, text: text.slice(start, end), ...here });
      column = end;
    };

    const quoted = new Map<string, Int32Array>();
    const closings = (quote: string) => {
      // A carriage return before the line's end changes nothing, but would be hidden in its place.
      const found = quoted.get(quote) ?? closingsOf(text.replace(/\r\n$/, '\n'), quote);
      quoted.set(quote, found);
      return found;
    };

    if (open !== undefined) {
      const end = matchEnd(ends[open.quotes]!, text, 0);
      open.text += text.slice(0, end ?? text.length);
      const ended = end !== undefined;
      if (!ended && (open.quotes.length === 3 || /\\\r?\n$/.test(text))) continue;
      column = end ?? text.length;
      const { quotes: _, ...start } = open;
      tokens.push({ kind: ended ? 'string' : 'other', ...start, endLine: line, endColumn: column });
      open = undefined;
    } else if (depth === 0 && !continued) {
      const start = matchEnd(space, text, 0)!;
      if (start === text.length) break;
      if ('#\r\n'.includes(text[start]!)) {
        const end = text[start] === '#' ? text.replace(/[\r\n]+$/, '').length : start;
        if (end > start) push('comment', end, start);
        push('other', text.length, end);
        continue;
      }
      const width = columnsOf(text.slice(0, start));
      if (width > indents.at(-1)!) {
        indents.push(width);
        push('indent', start);
      }
      if (!indents.includes(width)) return undefined;
      while (width < indents.at(-1)!) {
        indents.pop();
        push('dedent', start, start);
      }
    }
    continued = false;

    while (column < text.length) {
      const start = matchEnd(space, text, column)!;
      if (start === text.length) break;
      const end = matchEnd(plain, text, start);
      if (end !== undefined) {
        depth += deeper(text, start, end);
        push('other', end, start);
        continue;
      }
      const opens = mayOpen.has(text[start]!);
      const triple = opens ? matchEnd(tripleOpening, text, start) : undefined;
      const string = opens ? matchEnd(singleOpening, text, start) : undefined;
      const quote = text[(string ?? 0) - 1]!;
      const close = string === undefined ? -1 : closings(quote)[string]!;
      if (isLineEnd(text, start)) {
        push(depth > 0 ? 'other' : 'newline', text.length, start);
      } else if (text[start] === '#') {
        push('comment', text.replace(/[\r\n]+$/, '').length, start);
      } else if (triple !== undefined) {
        const quotes = text.slice(triple - 3, triple);
        const end = matchEnd(ends[quotes]!, text, triple);
        if (end !== undefined) push('string', end, start);
        else {
          open = { quotes, text: text.slice(start), line, column: start };
          break;
        }
      } else if (close >= 0) {
        push('string', close + 1, start);
      } else if (close === -2) {
        open = { quotes: quote, text: text.slice(start), line, column: start };
        break;
      } else if (text[start] === '\\' && isLineEnd(text, start + 1)) {
        continued = true;
        break;
      } else {
        const nameEnd = matchEnd(name, text, start);
        if (nameEnd !== undefined) push('other', nameEnd, start);
        else push('other', column + 1); // not Python: `tokenize` goes on behind one character
      }
    }
  }
  return open === undefined && depth === 0 && !continued ? tokens : undefined;
}

/** With their line ends. */
function linesOf(text: string): string[] {
  const lines: string[] = [];
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf('\n', start) + 1 || text.length;
    lines.push(text.slice(start, end));
    start = end;
  }
  return lines;
}

/** How many more brackets open than close. */
function deeper(text: string, start: number, end: number): number {
  let depth = 0;
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i) | 0x20; // [ is as {, ] as }
    if (code === 0x28 || code === 0x7b) depth++;
    if (code === 0x29 || code === 0x7d) depth--;
  }
  return depth;
}

/** A line has no other line end than its own. */
const isLineEnd = (line: string, at: number) => line[at] === '\n' || line.startsWith('\r\n', at);

/** Where a match that begins at `start` ends. */
function matchEnd(pattern: RegExp, text: string, start: number): number | undefined {
  pattern.lastIndex = start;
  return pattern.test(text) ? pattern.lastIndex : undefined;
}

/** How far white space indents: a tab goes to the next multiple of 8, a form feed back to 0. */
function columnsOf(space: string): number {
  let columns = 0;
  for (const character of space) {
    if (character === '\t') columns = (Math.floor(columns / 8) + 1) * 8;
    else columns = character === '\f' ? 0 : columns + 1;
  }
  return columns;
}
