import type { Finding } from './rules.ts';

/*
 * What a reader does not see, and a model does: letters that look like others, characters without a
 * width, and controls of the direction of writing. After Unicode's TR39 (mixed scripts, confusables) and
 * Boucher and Anderson, 2021, https://arxiv.org/abs/2111.00169 (Trojan Source).
 */

/** Letters of other scripts that look like one of a..z or A..Z, or a digit. */
const cyrillic = 'аАВЬбсСԁԀеЕѕЅһНіІјЈКӀӏМоОрРԛԚгТѵѴԝԜхХуУүҮЗ';
const greek = 'ΑΒΕΖΗΙΚΜΝοΟΡΤΥΧϲϹϳͿ';
const armenian = 'օՕսՍհոցզ';
/** Scripts and forms of which nearly all letters do: Cherokee, Coptic, Lisu; wide and mathematical ones. */
const blocks =
  '\\p{Script=Cherokee}\\p{Script=Coptic}\\p{Script=Lisu}\\uff21-\\uff3a\\uff41-\\uff5a\\u{1d400}-\\u{1d7ff}';
const lookalike = `[${cyrillic}${greek}${armenian}${blocks}]`;

/** What words are made of; not Chinese, Japanese and Korean, which stand beside others without a space. */
const ofWords = String.raw`[[\p{L}\p{M}\p{N}_]--[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u30fc]]`;

/** A run of letters, digits and underscores that has a letter of ASCII and one that looks like one. */
const mixedWord = new RegExp(
  `(?<!${ofWords})(?=${ofWords}*[A-Za-z])${ofWords}*?${lookalike}${ofWords}*`,
  'v',
);

/** A word of Cyrillic letters that look like others; Cyrillic text has such words, and text that was read in another encoding. */
const strangeWord = new RegExp(
  `(?<!${ofWords})[${cyrillic}][${cyrillic}\\p{N}_]*(?!${ofWords})`,
  'v',
);
const otherLetter = new RegExp(`(?![${cyrillic}\\0-\\x7f])[\\p{L}\ufffd]`, 'u');

/**
 * Characters that are not shown: soft hyphens, spaces and joiners without a width, marks of direction,
 * fillers, variants of what has none, tags. Joiners, marks and variants are letters' business in Arabic, Indic
 * and East Asian scripts, and make emoji; a mark of the byte order may begin a text, and tags follow a flag.
 */
const invisible =
  /[\u00ad\u115f\u1160\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\uffa0]|(?<!^)\ufeff|(?<=[\0-\x7f\p{Script=Latin}]|^)(?:\u034f|[\u061c\u200c-\u200f]|[\ufe00-\ufe0e]|[\u{e0100}-\u{e01ef}])|(?<![\u{1f3f4}\u{e0020}-\u{e007f}])[\u{e0000}-\u{e007f}]/u;

/** Embeddings, overrides and isolates, by which a line reads otherwise than it stands. */
const direction = /[\u202a-\u202e\u2066-\u2069]/u;

const beyondAscii = /[^\0-\x7f]/;

/**
 * The disguises in a text, at most one of each kind: `letters`, `invisible` and `direction`.
 *
 * @example
 * disguisesIn('p\u0430ssword'); // [{ rule: 'letters', text: 'p\u0430ssword' }]
 */
export function disguisesIn(text: string): Finding[] {
  if (!beyondAscii.test(text)) return [];
  const letters = mixedWord.exec(text)?.[0] ?? strangeWordIn(text);
  const hidden = invisible.exec(text)?.[0];
  const turned = direction.exec(text)?.[0];
  return [
    ...(letters === undefined ? [] : [{ rule: 'letters', text: letters }]),
    ...(hidden === undefined ? [] : [{ rule: 'invisible', text: hidden }]),
    ...(turned === undefined ? [] : [{ rule: 'direction', text: turned }]),
  ];
}

function strangeWordIn(text: string): string | undefined {
  if (!/[A-Za-z]/.test(text) || otherLetter.test(text)) return undefined;
  return strangeWord.exec(text)?.[0];
}

/** In words, with the characters by their numbers: nobody could tell them from others. */
export function disguiseText({ rule, text }: Finding): string {
  const shown = [...text].slice(0, 40).map((one) => (one > '\x7f' ? numberOf(one) : one));
  if (rule === 'letters') return `"${shown.join('')}", with letters that look like others`;
  return rule === 'invisible'
    ? `${shown.join('')}, a character that is not shown`
    : `${shown.join('')}, which makes text read otherwise than it stands`;
}

const numberOf = (one: string) =>
  `<U+${one.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}>`;
