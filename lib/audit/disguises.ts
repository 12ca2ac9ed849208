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

/** A run of letters, digits and underscores that has a letter of ASCII and one that looks like one. */
const mixedWord = new RegExp(
  String.raw`(?<![\p{L}\p{M}\p{N}_])(?=[\p{L}\p{M}\p{N}_]*[A-Za-z])[\p{L}\p{M}\p{N}_]*?${lookalike}[\p{L}\p{M}\p{N}_]*`,
  'u',
);

/** A word of Cyrillic letters that look like others; Cyrillic text has such words, and text that was read in another encoding. */
const strangeWord = new RegExp(
  String.raw`(?<![\p{L}\p{M}\p{N}_])[${cyrillic}][${cyrillic}\p{N}_]*(?![\p{L}\p{M}\p{N}_])`,
  'u',
);
const otherLetter = new RegExp(`(?![${cyrillic}\\0-\\x7f])[\\p{L}\ufffd]`, 'u');

/**
 * Characters that are not shown: soft hyphens, spaces and joiners without a width, fillers, tags. Joiners
 * are letters' business in Arabic and Indic scripts, and hold emoji together; a mark of the byte order may
 * begin a text, and tags follow a flag.
 */
const invisible =
  /[\u00ad\u115f\u1160\u180e\u200b\u2060-\u2064\u3164\uffa0]|(?<!^)\ufeff|(?<=[\0-\x7f\p{Script=Latin}]|^)[\u200c\u200d]|(?<![\u{1f3f4}\u{e0020}-\u{e007f}])[\u{e0000}-\u{e007f}]/u;

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
