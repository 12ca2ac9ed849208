import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { check, checkKeys, checkObject, checkText, show } from '../check.ts';
import { makeDirectory, writeWhole } from './files.ts';
import { type Codec, codec } from './tokenizer/codec.ts';
import { hasTokenizer, readTokenizer } from './tokenizer/directory.ts';
import type { Part } from './tokenizer/part.ts';

const roles = ['pad', 'eos', 'bos', 'unk', 'cls', 'sep', 'mask'] as const;
type Role = (typeof roles)[number];

/** What special tokens are called where no config says so. */
const usualNames: Record<Role, readonly string[]> = {
  pad: ['<pad>', '[PAD]'],
  eos: ['</s>', '<|endoftext|>'],
  bos: ['<s>', '<|endoftext|>'],
  unk: ['<unk>', '[UNK]'],
  cls: ['[CLS]'],
  sep: ['[SEP]'],
  mask: ['<mask>', '[MASK]'],
};

export interface TokenizerOptions {
  /**
   * What to pad with where the tokenizer names no token for it, as those of GPT-2, CodeGen and Llama do
   * not. Default: `padTokenId` is undefined then.
   */
  pad?: 'eos' | 'bos' | 'unk';
}

export interface DecodeOptions {
  /** Default true. */
  skipSpecialTokens?: boolean;
  /** No space before `.` and the like, as `clean_up_tokenization_spaces` of transformers. Default false. */
  cleanUpSpaces?: boolean;
}

/**
 * Text to ids and back, by a `tokenizer.json` of Hugging Face's, as Python's `tokenizers` gives them.
 *
 * Nothing is cut or padded, whatever the file says about that: it is for whoever knows the limits of
 * the model. The name of a special token inside a text is taken for the token, as in Python.
 *
 * @example
 * const tokenizer = await Tokenizer.load('codet5-small');
 * tokenizer.decode(tokenizer.encode('return None')); // 'return None'
 */
export class Tokenizer {
  /** One more than the largest id: the least a model's vocabulary may be. */
  readonly vocabularySize: number;
  /** What rows are filled up with. */
  readonly padTokenId: number | undefined;
  readonly eosTokenId: number | undefined;
  readonly bosTokenId: number | undefined;
  readonly unkTokenId: number | undefined;
  /** What BERT and RoBERTa put before a text, after it, and in place of a word to be guessed. */
  readonly clsTokenId: number | undefined;
  readonly sepTokenId: number | undefined;
  readonly maskTokenId: number | undefined;
  readonly #codec: Codec;
  /** By id, whether a token has it. */
  readonly #known: readonly boolean[];
  readonly #json: Part;
  readonly #config: Part;
  /** What it was read from. */
  readonly #files: ReadonlyMap<string, Buffer> | undefined;
  #fingerprint: string | undefined;

  private constructor(what: string, { json, config, files }: Content, { pad }: TokenizerOptions) {
    this.#codec = codecOf(what, json, config);
    this.#json = json;
    this.#config = config;
    this.#files = files;
    const known: boolean[] = [];
    for (const id of this.#codec.vocabulary.values()) known[id] = true;
    this.#known = known;
    this.vocabularySize = known.length;
    this.eosTokenId = this.#idOf('eos');
    this.bosTokenId = this.#idOf('bos');
    this.unkTokenId = this.#idOf('unk');
    this.clsTokenId = this.#idOf('cls');
    this.sepTokenId = this.#idOf('sep');
    this.maskTokenId = this.#idOf('mask');
    this.padTokenId = this.#idOf('pad') ?? this.#padWith(pad);
  }

  /**
   * Reads the tokenizer.json of a directory, or the older vocab.json and merges.txt (GPT-2, CodeGen,
   * RoBERTa, CodeT5) or tokenizer.model (Llama, CodeGeeX2, GLM-4), with the settings and special tokens beside them.
   *
   * @throws Error, in one sentence with the path, on a file that is missing or is no tokenizer
   */
  static async load(directory: string, options: TokenizerOptions = {}): Promise<Tokenizer> {
    checkText('directory', directory, 'a path');
    checkKeys('Tokenizer.load', options, ['pad']);
    const { path, ...content } = await readTokenizer(directory);
    return new Tokenizer(path, content, options);
  }

  /** As {@link Tokenizer.load}; undefined where a directory has none of these files. */
  static async find(directory: string): Promise<Tokenizer | undefined> {
    checkText('directory', directory, 'a path');
    return (await hasTokenizer(directory)) ? Tokenizer.load(directory) : undefined;
  }

  /**
   * @param json the content of a tokenizer.json, as {@link trainBpe} gives it
   * @param config the content of a tokenizer_config.json; without it, special tokens are known by
   *   their usual names, such as `<pad>` and `</s>`
   * @throws Error on what is no tokenizer
   */
  static fromJson(json: object, config: object = {}, options: TokenizerOptions = {}): Tokenizer {
    checkObject('json', json, 'the content of a tokenizer.json');
    checkObject('config', config, 'the content of a tokenizer_config.json');
    checkKeys('Tokenizer.fromJson', options, ['pad']);
    return new Tokenizer('json', { json: json as Part, config: config as Part }, options);
  }

  /**
   * The ids of a text, with the special tokens that the tokenizer adds, as T5's `</s>` at the end. Half
   * of a surrogate pair, which is no character, is read as U+FFFD.
   */
  encode(text: string): number[] {
    if (typeof text !== 'string') throw new TypeError(`text is ${show(text)}: expected text`);
    return this.#codec.encode(text.replace(loneSurrogates, '\ufffd'));
  }

  /** Ids that are not more than `most`: the end is taken off, but for an end token. */
  cut(ids: number[], most: number): number[] {
    if (ids.length <= most) return ids;
    const last = ids.at(-1)!;
    return last === this.eosTokenId ? [...ids.slice(0, most - 1), last] : ids.slice(0, most);
  }

  /**
   * The text of ids, without special tokens: of a byte-level tokenizer, exactly what was encoded. Ids
   * that the vocabulary lacks, which larger models can give, are left out, as in Python.
   */
  decode(ids: readonly number[], options: DecodeOptions = {}): string {
    checkKeys('decode', options, ['skipSpecialTokens', 'cleanUpSpaces']);
    const { skipSpecialTokens = true, cleanUpSpaces = false } = options;
    for (const [i, id] of ids.entries()) {
      check(`ids[${i}]`, id, Number.isInteger(id) && id >= 0, 'a whole number, at least 0');
    }
    const known = ids.filter((id) => this.#known[id]);
    const text = this.#codec.decode(known, skipSpecialTokens);
    return cleanUpSpaces ? withoutSpaces(text) : text;
  }

  /**
   * Writes the files that were read, byte for byte, or else tokenizer.json and tokenizer_config.json, as
   * transformers loads them, into a directory that is made where it is missing.
   *
   * @throws Error, in one sentence with the path, where that fails
   */
  async save(directory: string): Promise<void> {
    await makeDirectory(directory);
    if (this.#files !== undefined) {
      for (const [name, bytes] of this.#files) await writeWhole(join(directory, name), bytes);
      return;
    }
    await writeObject(join(directory, 'tokenizer.json'), this.#json);
    await writeObject(join(directory, 'tokenizer_config.json'), {
      tokenizer_class: 'PreTrainedTokenizerFast',
      clean_up_tokenization_spaces: false,
      ...Object.fromEntries(
        roles
          .map((role) => [`${role}_token`, this.#tokenOf(role)] as const)
          .filter(([, token]) => token !== undefined),
      ),
      ...this.#config,
    });
  }

  /** SHA-256 of what decides which ids a text gets. */
  get fingerprint(): string {
    this.#fingerprint ??= createHash('sha256')
      .update(JSON.stringify([this.#json, this.#config]))
      .digest('hex');
    return this.#fingerprint;
  }

  #padWith(role: TokenizerOptions['pad']): number | undefined {
    if (role === undefined) return undefined;
    const id = ['eos', 'bos', 'unk'].includes(role) ? this.#idOf(role) : undefined;
    check('pad', role, id !== undefined, 'eos, bos or unk, of which the tokenizer has that token');
    return id;
  }

  #idOf(role: Role): number | undefined {
    const token = this.#tokenOf(role);
    return token === undefined ? undefined : this.#codec.vocabulary.get(token);
  }

  #tokenOf(role: Role): string | undefined {
    const setting = this.#config[`${role}_token`];
    if (setting === null) return undefined;
    if (typeof setting === 'string') return setting;
    if (typeof setting === 'object' && 'content' in setting) return String(setting.content);
    const framing = (this.#json.post_processor as Part | null)?.[role];
    if (Array.isArray(framing)) return framing[0];
    return usualNames[role].find((name) => this.#codec.vocabulary.has(name));
  }
}

interface Content {
  /** What tokenizer.json holds. */
  json: Part;
  /** What tokenizer_config.json holds. It says of a token its text, or an object that has it. */
  config: Part;
  files?: ReadonlyMap<string, Buffer>;
}

function codecOf(what: string, json: Part, config: Part): Codec {
  try {
    return codec(json, config);
  } catch (error) {
    const [reason] = (error as Error).message.split('\n');
    throw new Error(`${what} is not a tokenizer that can be read: ${reason}`, { cause: error });
  }
}

const loneSurrogates = /\p{Surrogate}/gu;

/** One after the other, as in transformers: a space that one of them took is not there for the next. */
const withoutSpaces = (text: string) =>
  [' .', ' ?', ' !', ' ,', " ' ", " n't", " 'm", " 's", " 've", " 're"].reduce(
    (cleaned, spaced) => cleaned.replaceAll(spaced, spaced.trim()),
    text,
  );

const writeObject = (path: string, value: object) =>
  writeWhole(path, `${JSON.stringify(value, null, 2)}\n`);
