import { withoutBlankLines } from './comments.ts';
import { pythonTokens } from './python_tokens.ts';

/**
 * Python code without comments, docstrings and blank lines, put together anew from its tokens as the
 * original does. That can change what the code means to a parser: behind the first line of a block a
 * tab becomes one space, and what a backslash continues moves up one line. Code that `tokenize` does
 * not read stays as it is.
 */
export function withoutPythonComments(source: string): string {
  const tokens = pythonTokens(source);
  if (tokens === undefined) return source;
  let text = '';
  let before = 'indent';
  let lastLine = -1;
  let lastColumn = 0;
  for (const token of tokens) {
    if (token.line > lastLine) lastColumn = 0;
    text += ' '.repeat(Math.max(0, token.column - lastColumn));
    const isDocstring = before === 'indent' || before === 'newline' || token.column === 0;
    const isKept = token.kind !== 'comment' && !(token.kind === 'string' && isDocstring);
    if (isKept) text += token.text;
    before = token.kind;
    lastLine = token.endLine;
    lastColumn = token.endColumn;
  }
  return withoutBlankLines(text);
}
