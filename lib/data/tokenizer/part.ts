import * as huggingFace from '@huggingface/tokenizers';
import { check, choose } from '../../check.ts';

/** A component of a tokenizer.json: its `type`, and the settings that go with it. */
export type Part = Readonly<Record<string, unknown>>;

/** What a table makes of a component, or an error that names the type it lacks. */
export function make<T>(
  table: Readonly<Record<string, (part: Part) => T>>,
  part: unknown,
  what: string,
): T {
  const { type } = (part ?? {}) as Part;
  return choose(table, type as string, `${what}.type`)(part as Part);
}

/** The components that one of type `Sequence` is made of. */
export function partsOf(part: Part, key: string): Part[] {
  check(key, part[key], Array.isArray(part[key]), 'a list of components');
  return part[key] as Part[];
}

/** Translates Oniguruma's syntax. The library's declarations lose what it exports by `export *`. */
const { SplitPreTokenizer } = huggingFace as unknown as {
  SplitPreTokenizer: new (part: Part) => { pattern: RegExp };
};

/** The expression of a `pattern`, which is a string or Oniguruma's regular expression. */
export function regexOf(pattern: unknown): RegExp {
  const { String: text, Regex } = (pattern ?? {}) as { String?: string; Regex?: string };
  check('pattern', pattern, typeof (text ?? Regex) === 'string', 'a String or a Regex');
  return text === undefined ? new SplitPreTokenizer({ pattern }).pattern : regexOfTexts([text]);
}

/** What matches any of the texts and nothing else, the first that fits before the others. */
export const regexOfTexts = (texts: readonly string[]) =>
  new RegExp(texts.map((text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|'), 'gu');
