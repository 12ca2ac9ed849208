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
const operator = /!=|[-+*/%@&|^~<>=()[\]{},:;.]/y;
const prefix = '(?:[bB][rR]?|[rR][bBfF]?|[uU]|[fF][rR]?)?';
const tripleOpening = new RegExp(`${prefix}(?:'''|""")`, 'y');
const single = new RegExp(
  String.raw`${prefix}(?:'(?:[^\n'\\]|\\.)*(?:'|\\\r?\n)|"(?:[^\n"\\]|\\.)*(?:"|\\\r?\n))`,
  'y',
);
/** What ends an open string, from the start of a line. */
const closings: Record<string, RegExp> = {
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

  for (const [line, text] of source.split(/(?<=\n)/).entries()) {
    let column = 0;
    const push = (kind: Token['kind'], end: number, start = column) => {
      const here = { line, column: start, endLine: line, endColumn: end };
      tokens.push({ kind, text: text.slice(start, end), ...here });
      column = end;
    };

    if (open !== undefined) {
      const end = matchEnd(closings[open.quotes]!, text, 0);
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
      const triple = matchEnd(tripleOpening, text, start);
      const string = matchEnd(single, text, start);
      if (/^\r?\n$/.test(text.slice(start))) {
        push(depth > 0 ? 'other' : 'newline', text.length, start);
      } else if (text[start] === '#') {
        push('comment', text.replace(/[\r\n]+$/, '').length, start);
      } else if (triple !== undefined) {
        const quotes = text.slice(triple - 3, triple);
        const end = matchEnd(closings[quotes]!, text, triple);
        if (end !== undefined) push('string', end, start);
        else {
          open = { quotes, text: text.slice(start), line, column: start };
          break;
        }
      } else if (string !== undefined && text[string - 1] !== '\n') {
        push('string', string, start);
      } else if (string !== undefined) {
        const quotes = /['"]/.exec(text.slice(start))![0];
        open = { quotes, text: text.slice(start), line, column: start };
        break;
      } else if (/^\\\r?\n$/.test(text.slice(start))) {
        continued = true;
        break;
      } else {
        if ('([{'.includes(text[start]!)) depth++;
        if (')]}'.includes(text[start]!)) depth--;
        const end = matchEnd(name, text, start) ?? matchEnd(operator, text, start);
        if (end !== undefined) push('other', end, start);
        else push('other', column + 1); // not Python: `tokenize` goes on behind one character
      }
    }
  }
  return open === undefined && depth === 0 && !continued ? tokens : undefined;
}

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
