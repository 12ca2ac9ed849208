import { make, type Part, partsOf, regexOf } from './part.ts';

export type Normalize = (text: string) => string;

/** A text as the `normalizer` of a tokenizer.json changes it, before it is cut into words. */
export function normalizer(part: unknown): Normalize {
  return part === null || part === undefined ? (text) => text : make(table, part, 'normalizer');
}

const form = (name: string) => () => (text: string) => text.normalize(name);

const table: Readonly<Record<string, (part: Part) => Normalize>> = {
  Sequence: (part) => {
    const steps = partsOf(part, 'normalizers').map(normalizer);
    return (text) => steps.reduce((changed, step) => step(changed), text);
  },
  Prepend:
    ({ prepend }) =>
    (text) =>
      text === '' ? '' : `${prepend}${text}`,
  Replace: ({ pattern, content }) => {
    const regex = regexOf(pattern);
    return (text) => text.replace(regex, () => content as string);
  },
  NFC: form('NFC'),
  NFD: form('NFD'),
  NFKC: form('NFKC'),
  NFKD: form('NFKD'),
  // Letter by letter: of a whole text, JavaScript makes the last sigma of a word another letter.
  Lowercase: () => (text) => Array.from(text, (letter) => letter.toLowerCase()).join(''),
  StripAccents: () => (text) => text.replace(/\p{M}/gu, ''),
  Strip:
    ({ strip_left, strip_right }) =>
    (text) => {
      const end = strip_right ? text.length - spaceAtEnd(text) : text.length;
      return text.slice(strip_left ? spaceAtStart(text) : 0, end);
    },
};

/** How much white space a text begins with. */
export const spaceAtStart = (text: string) => /^\p{White_Space}*/u.exec(text)![0].length;

/** How much it ends with. From the end, as an expression that ends in `$` is tried from every white space. */
export function spaceAtEnd(text: string): number {
  let end = text.length;
  while (end > 0 && /\p{White_Space}/u.test(text[end - 1]!)) end--;
  return text.length - end;
}
