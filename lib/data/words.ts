/**
 * White space as Python's `str.split` and `\s` see it, as a class for a regular expression.
 * JavaScript's own `\s` lacks U+001C–U+001F and U+0085, and has U+FEFF.
 */
export const whitespace =
  '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';

/** The words of a text: its longest runs without white space. An empty text has none. */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  for (let start = 0, end = 0; start < text.length; start = end + 1) {
    for (end = start; end < text.length && !isSpace(text.charCodeAt(end)); ) end++;
    if (end > start) words.push(text.slice(start, end));
  }
  return words;
}

const beyondAscii = new RegExp(whitespace);

/** Whether a UTF-16 code unit is white space. */
export function isSpace(code: number): boolean {
  if (code > 0x20 && code < 0x7f) return false;
  return code < 0x7f
    ? (code >= 9 && code <= 13) || code >= 0x1c
    : beyondAscii.test(String.fromCharCode(code));
}

/** A text without the white space around it, as Python's `str.strip` leaves it. */
export function strip(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

const run = new RegExp(`(?:(?!${whitespace})[\\s\\S])+`, 'g');

interface Place {
  start: number;
  end: number;
}

/** Which words of a text, counted from 0, lie in or reach into the characters `start` up to, not including, `end`. */
export function wordsAt(text: string, start: number, end: number): number[] {
  return wordsWithin(text, [{ start, end }]);
}

/** As {@link wordsAt}, for places in rising order. */
export function wordsWithin(text: string, places: readonly Place[]): number[] {
  const found: number[] = [];
  let number = 0;
  let next = 0;
  for (const { 0: word, index } of text.matchAll(run)) {
    while (next < places.length && places[next]!.end <= index) next++;
    if (next === places.length) break;
    if (index + word.length > places[next]!.start) found.push(number);
    number++;
  }
  return found;
}
