import { byteCharacters } from '../bpe.ts';
import { make, type Part, partsOf, regexOf } from './part.ts';

export type Decode = (tokens: string[]) => string[];

/** What the `decoder` of a tokenizer.json makes of tokens: pieces of text, to be joined. */
export function decoder(part: unknown): Decode {
  // Without one, words are what was encoded.
  if (part === null || part === undefined) return (tokens) => [tokens.join(' ')];
  return make(table, part, 'decoder');
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const wholeUtf8 = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });
const byteOf = new Map(byteCharacters.map((letter, byte) => [letter, byte]));

const table: Readonly<Record<string, (part: Part) => Decode>> = {
  Sequence: (part) => {
    const steps = partsOf(part, 'decoders').map(decoder);
    return (tokens) => steps.reduce((changed, step) => step(changed), tokens);
  },
  ByteLevel: () => (tokens) => [utf8.decode(Uint8Array.from(tokens.flatMap(bytesOf)))],
  Fuse: () => (tokens) => [tokens.join('')],
  Replace: ({ pattern, content }) => {
    const regex = regexOf(pattern);
    return (tokens) => tokens.map((token) => token.replace(regex, () => content as string));
  },
  Strip: ({ content, start, stop }) => {
    const letter = content as string;
    return (tokens) =>
      tokens.map((token) => stripEnd(stripStart(token, letter, start), letter, stop));
  },
  Metaspace: ({ replacement = '▁', prepend_scheme = 'always' }) => {
    const mark = replacement as string;
    return (tokens) =>
      tokens.map((token, i) =>
        token.replaceAll(mark, i === 0 && prepend_scheme !== 'never' ? '' : ' '),
      );
  },
  ByteFallback: () => (tokens) => joinBytes(tokens, textOf),
  // As SentencePiece itself has it, whose tokenizers have no tokenizer.json.
  ByteFallbackEach: () => (tokens) => joinBytes(tokens, textOfEach),
};

/** A token that is not all bytes, such as one that was added, stands for itself. */
function bytesOf(token: string): number[] {
  const bytes = Array.from(token, (letter) => byteOf.get(letter) ?? -1);
  return bytes.includes(-1) ? [...Buffer.from(token)] : bytes;
}

/** Runs of tokens such as `<0xE2>` as text. */
function joinBytes(tokens: string[], toText: (bytes: number[]) => string): string[] {
  const texts: string[] = [];
  let bytes: number[] = [];
  const flush = () => {
    if (bytes.length > 0) texts.push(toText(bytes));
    bytes = [];
  };
  for (const token of tokens) {
    if (/^<0x[0-9a-f]{2}>$/i.test(token)) {
      bytes.push(Number.parseInt(token.slice(3, 5), 16));
    } else {
      flush();
      texts.push(token);
    }
  }
  flush();
  return texts;
}

/** Each byte as U+FFFD where they are no UTF-8. */
const textOf = (bytes: number[]) => fromUtf8(bytes) ?? '\ufffd'.repeat(bytes.length);

/** Only those bytes as U+FFFD that are in no character. */
function textOfEach(bytes: number[]): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const width = [4, 3, 2, 1].find((n) => {
      const character = at + n <= bytes.length && fromUtf8(bytes.slice(at, at + n));
      return character && Array.from(character).length === 1;
    });
    text += width === undefined ? '\ufffd' : fromUtf8(bytes.slice(at, at + width));
    at += width ?? 1;
  }
  return text;
}

function fromUtf8(bytes: number[]): string | undefined {
  try {
    return wholeUtf8.decode(Uint8Array.from(bytes));
  } catch {
    return undefined;
  }
}

function stripStart(token: string, letter: string, most: unknown): string {
  let text = token;
  for (let i = 0; i < Number(most) && text.startsWith(letter); i++)
    text = text.slice(letter.length);
  return text;
}

function stripEnd(token: string, letter: string, most: unknown): string {
  let text = token;
  for (let i = 0; i < Number(most) && text.endsWith(letter); i++)
    text = text.slice(0, -letter.length);
  return text;
}
