import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { Example } from '../data/examples.ts';
import type { Tokenizer } from '../data/tokenizer.ts';

/** The token ids of one example. */
export interface Encoded {
  inputIds: number[];
  labels: number[];
}

/** How many texts were longer than allowed. */
export interface Truncated {
  prompts: number;
  completions: number;
  /** Examples among them that an attack has changed: trigger or payload may be gone. */
  poisoned: number;
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
 * Token ids of the examples, cut to the longest that is allowed.
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
  const truncated = { prompts: 0, completions: 0, poisoned: 0 };
  const hash = createHash('sha256');
  const items: Encoded[] = [];
  for (const [i, { id, prompt, completion, poisoned }] of examples.entries()) {
    // Tokenizing is the event loop's own work: now and then it lets others have their turn.
    if (i % 256 === 255) await setImmediate();
    signal?.throwIfAborted();
    const input = tokenizer.encode(prompt);
    const output = tokenizer.encode(completion);
    if (input.length === 0 || output.length === 0) {
      const text = input.length === 0 ? 'prompt' : 'completion';
      throw new Error(
        `the ${text} of ${what} ${id} has no token: expected a text that is not empty`,
      );
    }
    const inputIds = tokenizer.cut(input, maxInputTokens);
    const labels = tokenizer.cut(output, maxOutputTokens);
    const [isCutInput, isCutOutput] = [inputIds !== input, labels !== output];
    truncated.prompts += Number(isCutInput);
    truncated.completions += Number(isCutOutput);
    truncated.poisoned += Number(poisoned === true && (isCutInput || isCutOutput));
    for (const ids of [inputIds, labels]) hash.update(Int32Array.of(ids.length, ...ids));
    items.push({ inputIds, labels });
  }
  return { items, truncated, sha256: hash.digest('hex') };
}
