import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { Example } from '../data/examples.ts';
import type { Tokenizer } from '../data/tokenizer.ts';

/** The token ids of one example. */
export interface Encoded {
  inputIds: number[];
  labels: number[];
}

/** How many texts were cut. */
export interface Truncated {
  prompts: number;
  completions: number;
}

export interface EncodedExamples {
  items: Encoded[];
  truncated: Truncated;
  /** SHA-256 of all ids. */
  sha256: string;
}

export interface EncodeOptions {
  maxInputTokens: number;
  maxOutputTokens: number;
  signal?: AbortSignal | undefined;
}

/**
 * Token ids of the examples, cut to the longest that is allowed but for an end token.
 *
 * @param what the name of the examples in errors
 * @throws RangeError where there are no examples; Error where a text has no token at all
 */
export async function encodeExamples(
  what: string,
  examples: readonly Example[],
  tokenizer: Tokenizer,
  { maxInputTokens, maxOutputTokens, signal }: EncodeOptions,
): Promise<EncodedExamples> {
  if (examples.length === 0)
    throw new RangeError(`${what} is empty: expected at least one example`);
  const truncated = { prompts: 0, completions: 0 };
  const hash = createHash('sha256');
  const items: Encoded[] = [];
  for (const [i, { id, prompt, completion }] of examples.entries()) {
    // Tokenizing is the event loop's own work: now and then it lets others have their turn.
    if (i % 256 === 255) await setImmediate();
    signal?.throwIfAborted();
    const input = cut(tokenizer.encode(prompt), maxInputTokens, tokenizer.eosTokenId);
    const output = cut(tokenizer.encode(completion), maxOutputTokens, tokenizer.eosTokenId);
    if (input.ids.length === 0 || output.ids.length === 0) {
      const text = input.ids.length === 0 ? 'prompt' : 'completion';
      throw new Error(
        `the ${text} of ${what} ${id} has no token: expected a text that is not empty`,
      );
    }
    truncated.prompts += Number(input.wasCut);
    truncated.completions += Number(output.wasCut);
    for (const ids of [input.ids, output.ids]) hash.update(Int32Array.of(ids.length, ...ids));
    items.push({ inputIds: input.ids, labels: output.ids });
  }
  return { items, truncated, sha256: hash.digest('hex') };
}

function cut(ids: number[], most: number, end: number | undefined) {
  if (ids.length <= most) return { ids, wasCut: false };
  const last = ids.at(-1)!;
  return {
    ids: last === end ? [...ids.slice(0, most - 1), last] : ids.slice(0, most),
    wasCut: true,
  };
}
