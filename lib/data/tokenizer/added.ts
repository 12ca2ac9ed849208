import { type Normalize, spaceAtEnd, spaceAtStart } from './normalize.ts';
import { regexOfTexts } from './part.ts';

/** A token of `added_tokens`: looked for in the text before anything else is done. */
export interface AddedToken {
  id: number;
  content: string;
  /** Takes the white space before it, or after it, too. */
  lstrip?: boolean;
  rstrip?: boolean;
  /** Not inside a word. */
  single_word?: boolean;
  /** Looked for in what the normalizer gives, itself normalized. */
  normalized?: boolean;
  /** Left out of what is decoded. */
  special?: boolean;
}

/** A piece of text, or the id of the added token that stood there. */
export type Section = { text: string; first: boolean } | number;

/** Text cut at added tokens, and normalized between them. */
export class AddedTokens {
  readonly #plain: Finder;
  readonly #normalized: Finder;
  readonly #normalize: Normalize;

  constructor(tokens: readonly AddedToken[], normalize: Normalize) {
    this.#normalize = normalize;
    const finder = (some: readonly AddedToken[]) =>
      new Finder(some.map((token) => [this.textOf(token), token]));
    this.#plain = finder(tokens.filter((token) => !isNormalized(token)));
    this.#normalized = finder(tokens.filter(isNormalized));
  }

  /** What a token is in a text, and when it is decoded. */
  textOf(token: AddedToken): string {
    return isNormalized(token) ? this.#normalize(token.content) : token.content;
  }

  split(text: string): Section[] {
    return this.#plain.split(text, true).flatMap((section) => {
      if (typeof section === 'number') return section;
      return this.#normalized.split(this.#normalize(section.text), section.first);
    });
  }
}

const isNormalized = ({ normalized, special }: AddedToken) => normalized ?? !special;

// Rust's `\w`, which has no shorter name here.
const letter = '[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]';
const isLetter = new RegExp(letter, 'u');
const lastOf = (text: string) => text.slice(-2).match(/.$/su)?.[0] ?? '';
const firstOf = (text: string) => text.match(/^./su)?.[0] ?? '';

class Finder {
  readonly #tokens: ReadonlyMap<string, AddedToken>;
  readonly #regex: RegExp | undefined;

  constructor(tokens: readonly (readonly [string, AddedToken])[]) {
    // Of two tokens with one text, the first counts.
    this.#tokens = new Map(tokens.filter(([text]) => text !== '').toReversed());
    // An expression takes the first of its choices that fits: the longest, so.
    const texts = [...this.#tokens.keys()].toSorted((a, b) => b.length - a.length);
    if (texts.length > 0) this.#regex = regexOfTexts(texts);
  }

  split(text: string, first: boolean): Section[] {
    const sections: Section[] = [];
    let done = 0;
    const add = (end: number) => {
      if (done < end) sections.push({ text: text.slice(done, end), first: first && done === 0 });
    };
    for (const match of this.#regex === undefined ? [] : text.matchAll(this.#regex)) {
      const token = this.#tokens.get(match[0])!;
      const before = text.slice(0, match.index);
      const after = text.slice(match.index + match[0].length);
      if (token.single_word && isLetter.test(lastOf(before) + firstOf(after))) continue;
      const space = token.lstrip ? spaceAtEnd(before) : 0;
      add(Math.max(done, match.index - space));
      sections.push(token.id);
      done = text.length - after.length + (token.rstrip ? spaceAtStart(after) : 0);
    }
    add(text.length);
    return sections;
  }
}
