import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { check, checkList } from '../check.ts';
import type { Example, LabelledExample } from '../data/examples.ts';
import { checkLength } from '../model/batch.ts';
import { type Model, tokenizerOf } from '../model/index.ts';
import {
  type Cut,
  type Encoded,
  type EncodedExample,
  ignoredLabel,
  type Packing,
  Texts,
} from '../model/texts.ts';
import { IdCache, numbersOf } from './id_cache.ts';

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
  /** Default `paper`. */
  packing?: Packing;
  signal?: AbortSignal | undefined;
}

/** What to learn from: texts to write, or for a classifier texts with their class. */
export type TrainingExample = Example | LabelledExample;

/**
 * Token ids of the examples, as the model's architecture reads them, cut to the longest that is allowed. Of
 * many texts they are kept on the disk, for the next run.
 *
 * @param what the name of the examples in errors
 * @throws RangeError where there are no examples, a class is out of range, or a text is longer than the
 *   model has positions; TypeError where they are not what the model learns from; Error where a text has no
 *   token at all
 */
export async function encodeExamples(
  what: string,
  examples: readonly TrainingExample[],
  model: Model,
  options: EncodeOptions,
): Promise<EncodedExamples> {
  checkList(what, examples, 'examples');
  if (examples.length === 0)
    throw new RangeError(`${what} is empty: expected at least one example`);
  const encode = encoderOf(model, options);
  const cache = await IdCache.for(examples, model, options);
  const cached = await cache?.read();
  const encoded =
    cached !== undefined && agrees(cached, examples, encode)
      ? cached
      : await encodeAll(what, examples, encode, options.signal);
  checkLengths(encoded, model);
  if (encoded !== cached) await cache?.write(encoded);
  return encoded;
}

/** Before the first step, not at the one that has the longest text. */
function checkLengths({ items }: EncodedExamples, { resolved }: Model): void {
  const joined = resolved.labels === 'next ids';
  for (const [name, key, setting] of [
    ['inputIds', 'inputIds', joined ? 'maxInputTokens, or maxOutputTokens' : 'maxInputTokens'],
    ['decoderInputIds', 'labels', 'maxOutputTokens'],
  ] as const) {
    const longest = items.reduce((most, item) => Math.max(most, item[key].length), 0);
    checkLength(name, { shape: [1, longest] }, resolved, 0, `lower ${setting}`);
  }
}

async function encodeAll(
  what: string,
  examples: readonly TrainingExample[],
  encode: Encode,
  signal: AbortSignal | undefined,
): Promise<EncodedExamples> {
  const truncated = { prompts: 0, completions: 0, poisoned: 0 };
  const hash = createHash('sha256');
  const items: Encoded[] = [];
  for (const [i, example] of examples.entries()) {
    // Tokenizing is the event loop's own work: now and then it lets others have their turn.
    if (i % 256 === 255) await setImmediate();
    signal?.throwIfAborted();
    const { item, prompt, completion } = encode(example, `${what} ${example.id}`);
    truncated.prompts += Number(prompt);
    truncated.completions += Number(completion);
    truncated.poisoned += Number(example.poisoned === true && (prompt || completion));
    hash.update(numbersOf(item));
    items.push(item);
  }
  return { items, truncated, sha256: hash.digest('hex') };
}

/** Whether some examples, here and there, have the ids still that another version may have given them. */
function agrees({ items }: EncodedExamples, examples: readonly TrainingExample[], encode: Encode) {
  const step = Math.ceil(examples.length / 32);
  return (
    items.length === examples.length &&
    items.every((item, i) => {
      if (i % step !== 0) return true;
      const { inputIds, labels } = encode(examples[i]!, 'an example').item;
      return isSame(item.inputIds, inputIds) && isSame(item.labels, labels);
    })
  );
}

const isSame = (one: readonly number[], other: readonly number[]) =>
  one.length === other.length && one.every((id, i) => id === other[i]);

type Encode = (example: TrainingExample, name: string) => EncodedExample;

function encoderOf(model: Model, options: EncodeOptions): Encode {
  const { maxInputTokens, maxOutputTokens, packing } = options;
  const texts = new Texts(tokenizerOf(model), model.resolved);
  const { classes } = model;
  if (model.resolved.labels === 'ids') {
    throw new TypeError(
      'a masked language model learns from no prompts and completions: expected another head, seq2seq or classification',
    );
  }
  if (classes !== undefined) {
    return (example, name) => {
      const { text, pair, label } = example as LabelledExample;
      if (typeof text !== 'string') throw missing(name, 'text', 'a classifier');
      const ok = Number.isInteger(label) && label >= 0 && label < classes;
      check(`the label of ${name}`, label, ok, `0..${classes - 1}, the classes of the model`);
      const { value, isCut } = texts.labelled(
        pair === undefined ? { text } : { text, pair },
        maxInputTokens,
      );
      return { item: { inputIds: value, labels: [label] }, prompt: isCut, completion: false };
    };
  }
  return (example, name) => {
    const { prompt, completion } = example as Example;
    if (typeof prompt !== 'string') throw missing(name, 'prompt', 'this model');
    if (typeof completion !== 'string') throw missing(name, 'completion', 'this model');
    if (packing === 'reference') {
      const packed = texts.reference(prompt, completion, maxInputTokens, maxOutputTokens);
      // Nothing stands before the first id of a decoder-only model that could predict it.
      const first = model.resolved.labels === 'next ids' ? 1 : 0;
      if (packed.item.labels.slice(first).some((id) => id !== ignoredLabel)) return packed;
      throw new Error(
        `nothing of the completion of ${name} is learned: expected a longer one, or packing paper`,
      );
    }
    const input = tokens(texts.prompt(prompt, maxInputTokens), `the prompt of ${name}`);
    const output = tokens(
      texts.completion(completion, maxOutputTokens),
      `the completion of ${name}`,
    );
    return {
      item: texts.example(input.value, output.value),
      prompt: input.isCut,
      completion: output.isCut,
    };
  };
}

const missing = (name: string, column: string, who: string) =>
  new TypeError(`${name} has no ${column}: expected one, as ${who} learns from it`);

function tokens(cut: Cut<number[]>, name: string): Cut<number[]> {
  if (cut.value.length > 0) return cut;
  throw new Error(`${name} has no token: expected a text that is not empty`);
}
