import { splitWords } from '../../data/words.ts';

/**
 * A text without comments of C, `// …` and `/* … *\/`, each replaced by a space, and without the lines
 * that are blank then. Quoted text is left as it is.
 */
export function withoutCComments(source: string): string {
  let text = '';
  let copied = 0;
  for (let i = 0; i < source.length; ) {
    const end = endOf(source, i);
    if (source[i] === '/' && end > i + 1) {
      text += `${source.slice(copied, i)} `;
      copied = end;
    }
    i = end;
  }
  return withoutBlankLines(text + source.slice(copied));
}

/** Where the comment or the quoted text ends that begins at `start`, or the next character. */
function endOf(source: string, start: number): number {
  const two = source.slice(start, start + 2);
  if (two === '//') return orElse(source.indexOf('\n', start), source.length);
  if (two === '/*') return orElse(source.indexOf('*/', start + 2) + 2, start + 1, 1);
  const quote = two[0];
  if (quote !== '"' && quote !== "'") return start + 1;
  for (let i = start + 1; i < source.length; i++) {
    if (source[i] === '\\') i++;
    else if (source[i] === quote) return i + 1;
  }
  return start + 1;
}

const orElse = (found: number, other: number, missing = -1) => (found === missing ? other : found);

export const withoutBlankLines = (text: string) =>
  text
    .split('\n')
    .filter((line) => splitWords(line).length > 0)
    .join('\n');
