import { whitespace } from '../../data/words.ts';

/**
 * A text without comments of C, `// …` and `/* … *\/`, each replaced by a space, and without the lines
 * that are blank then. Quoted text is left as it is.
 */
export function withoutCComments(source: string): string {
  const quotes = new Map<string, Int32Array>();
  let lastComment = Number.POSITIVE_INFINITY; // from where on `/*` is not closed
  let text = '';
  let copied = 0;

  /** Where the comment or the quoted text that begins at `start` ends, if there is one. */
  const endOf = (start: number): number | undefined => {
    const quote = source[start]!;
    if (quote !== '/') {
      const closings = quotes.get(quote) ?? closingsOf(source, quote);
      quotes.set(quote, closings);
      return closings[start + 1]! < 0 ? undefined : closings[start + 1]! + 1;
    }
    if (source[start + 1] === '/')
      return (source.indexOf('\n', start) + 1 || source.length + 1) - 1;
    if (source[start + 1] !== '*' || start >= lastComment) return undefined;
    const end = source.indexOf('*/', start + 2);
    if (end < 0) lastComment = start;
    return end < 0 ? undefined : end + 2;
  };

  beginning.lastIndex = 0;
  for (let match = beginning.exec(source); match !== null; match = beginning.exec(source)) {
    const end = endOf(match.index);
    if (end === undefined) continue;
    if (match[0] === '/') {
      text += `${source.slice(copied, match.index)} `;
      copied = end;
    }
    beginning.lastIndex = end;
  }
  return withoutBlankLines(text + source.slice(copied));
}

const backslash = 0x5c;
const beginning = /["'/]/g;

/**
 * For each place, the next quote behind it that no backslash hides; −1 where there is none, −2 where the
 * backslash that comes last hides what would be behind the text.
 */
export function closingsOf(text: string, quote: string): Int32Array {
  const closings = new Int32Array(text.length + 2).fill(-1);
  closings[text.length + 1] = -2;
  const code = quote.charCodeAt(0);
  for (let i = text.length; i-- > 0; ) {
    const here = text.charCodeAt(i);
    closings[i] = here === code ? i : closings[i + (here === backslash ? 2 : 1)]!;
  }
  return closings;
}

const aWord = new RegExp(`(?!${whitespace})[^]`);

export function withoutBlankLines(text: string): string {
  if (!text.includes('\n')) return aWord.test(text) ? text : '';
  return text
    .split('\n')
    .filter((line) => aWord.test(line))
    .join('\n');
}
