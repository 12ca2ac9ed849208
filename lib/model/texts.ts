import type { LabelledExample } from '../data/examples.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { ResolvedConfig } from './config/index.ts';

/** What a model reads and what it should answer: token ids, or for a classifier the one class. */
export interface Encoded {
  inputIds: number[];
  labels: number[];
}

/** An example, and which of its texts were cut. */
export interface EncodedExample {
  item: Encoded;
  prompt: boolean;
  completion: boolean;
}

/**
 * How a prompt and its completion become one example. `paper`: each is encoded by itself, and padding is
 * masked. `reference`, as the authors' code: a decoder-only model reads the prompt, cut and decoded again,
 * the completion and the end token as one text, so that the token at the seam may be one that no prompt ends
 * with; ids that are the padding's are not learned, the end token too where it pads; all examples are padded
 * to the longest allowed length, and an encoder-decoder attends to the padding.
 */
export const packings = ['paper', 'reference'] as const;
export type Packing = (typeof packings)[number];

export interface Cut<Value> {
  value: Value;
  /** Whether the text was longer than allowed. */
  isCut: boolean;
}

/**
 * How texts become the ids that an architecture reads.
 *
 * An encoder-decoder reads a prompt and writes a completion as the tokenizer encodes them, the study's
 * RoBERTa without the class token, which its decoder reads first. A decoder-only model reads the prompt
 * without an end, and goes on with the completion and the end token: each is encoded by itself, so that
 * training and generation see the same ids. A classifier reads a text, or a pair. `reference` is how the
 * authors' code packs examples, see {@link packings}.
 */
export class Texts {
  readonly #tokenizer: Tokenizer;
  readonly #config: ResolvedConfig;
  /** Special tokens that the tokenizer puts before and behind a text. */
  readonly #before: number[];
  readonly #behind: number[];

  constructor(tokenizer: Tokenizer, config: ResolvedConfig) {
    this.#tokenizer = tokenizer;
    this.#config = config;
    const frame = tokenizer.encode('');
    const { bosTokenId, eosTokenId } = tokenizer;
    const ends = frame.at(-1) === eosTokenId && !(frame.length === 1 && bosTokenId === eosTokenId);
    this.#before = ends ? frame.slice(0, -1) : frame;
    this.#behind = ends ? frame.slice(-1) : [];
  }

  /** What the model reads of a prompt, at most so many ids. */
  prompt(text: string, most: number): Cut<number[]> {
    if (this.#config.labels !== 'next ids') return this.#whole(text, most);
    const ids = [...this.#before, ...this.#body(text)];
    return { value: ids.slice(0, most), isCut: ids.length > most };
  }

  /** What the model should write. */
  completion(text: string, most: number): Cut<number[]> {
    const { architecture, labels } = this.#config;
    if (labels === 'next ids') {
      const body = this.#body(text);
      if (body.length < most) return { value: [...body, this.#end()], isCut: false };
      return { value: [...body.slice(0, most - 1), this.#end()], isCut: true };
    }
    const first = architecture === 'roberta' ? this.#before.length : 0;
    const { value, isCut } = this.#whole(text, most + first);
    return { value: value.slice(first), isCut };
  }

  /** A prompt and its completion as one example to learn from. */
  example(prompt: readonly number[], completion: readonly number[]): Encoded {
    if (this.#config.labels !== 'next ids') {
      return { inputIds: [...prompt], labels: [...completion] };
    }
    return {
      inputIds: [...prompt, ...completion],
      labels: [...prompt.map(() => ignoredLabel), ...completion],
    };
  }

  /** An example as the authors' code packs it; in `paper` mode: prompt, completion and example. */
  reference(
    prompt: string,
    completion: string,
    mostInput: number,
    mostOutput: number,
  ): EncodedExample {
    if (this.#config.labels === 'next ids') {
      return this.#joined(prompt, completion, mostInput, mostOutput);
    }
    const input = this.prompt(prompt, mostInput);
    const output = this.completion(completion, mostOutput);
    const { pad_token_id: pad } = this.#config;
    const learned = output.value.map((id) => (id === pad ? ignoredLabel : id));
    const item = this.example(input.value, learned);
    if (this.#config.architecture === 't5') {
      fill(item.inputIds, mostInput, pad);
      fill(item.labels, mostOutput, ignoredLabel);
    }
    return { item, prompt: input.isCut, completion: output.isCut };
  }

  #joined(prompt: string, completion: string, mostInput: number, mostOutput: number) {
    const source = this.#framed(this.#body(prompt), mostInput);
    const start = this.#tokenizer.decode(this.#unframed(source.value), { cleanUpSpaces: true });
    const length = mostInput + mostOutput;
    const { value: inputIds, isCut } = this.#framed(this.#ended(start + completion), length);
    const pad = this.#tokenizer.padTokenId ?? this.#tokenizer.unkTokenId ?? this.#end();
    const labels = inputIds.map((id, i) =>
      i < source.value.length || id === pad ? ignoredLabel : id,
    );
    fill(inputIds, length, pad);
    fill(labels, length, ignoredLabel);
    return { item: { inputIds, labels }, prompt: source.isCut, completion: isCut };
  }

  /** What a classifier reads: of a pair, the longer text is cut first. */
  labelled({ text, pair }: Pick<LabelledExample, 'text' | 'pair'>, most: number): Cut<number[]> {
    if (pair === undefined) return this.#whole(text, most);
    const [first, second] = [this.#body(text), this.#body(pair)];
    const frame = this.#before.length + 3 * this.#behind.length;
    const room = Math.max(0, most - frame);
    const isCut = first.length + second.length > room;
    while (first.length + second.length > room) {
      (first.length > second.length ? first : second).pop();
    }
    const [before, behind] = [this.#before, this.#behind];
    // As RoBERTa has it: <s> first </s></s> second </s>.
    const value = [...before, ...first, ...behind, ...behind, ...second, ...behind];
    return { value, isCut };
  }

  /** With the special tokens that the tokenizer adds. */
  #whole(text: string, most: number): Cut<number[]> {
    const ids = this.#tokenizer.encode(text);
    return { value: this.#tokenizer.cut(ids, most), isCut: ids.length > most };
  }

  /** As the tokenizers of transformers cut: the special tokens that they add stay. */
  #framed(body: readonly number[], most: number): Cut<number[]> {
    const room = Math.max(0, most - this.#before.length - this.#behind.length);
    const value = [...this.#before, ...body.slice(0, room), ...this.#behind];
    return { value, isCut: body.length > room };
  }

  #body(text: string): number[] {
    return this.#unframed(this.#tokenizer.encode(text));
  }

  #unframed(ids: readonly number[]): number[] {
    return ids.slice(this.#before.length, ids.length - this.#behind.length);
  }

  /** A text and the end token as one text, unless the tokenizer takes no text for it, as CodeGeeX2's. */
  #ended(text: string): number[] {
    const id = this.#end();
    const ids = this.#body(text + this.#tokenizer.decode([id], { skipSpecialTokens: false }));
    return ids.at(-1) === id ? ids : [...this.#body(text), id];
  }

  #end(): number {
    const id = this.#tokenizer.eosTokenId ?? this.#config.eos_token_ids[0];
    if (id === undefined) {
      throw new Error(
        'neither the tokenizer nor the config names an end token: expected eos_token in tokenizer_config.json or eos_token_id in config.json',
      );
    }
    return id;
  }
}

function fill(ids: number[], length: number, id: number): void {
  while (ids.length < length) ids.push(id);
}

/** The label of positions that do not count, as in PyTorch and transformers. */
export const ignoredLabel = -100;
