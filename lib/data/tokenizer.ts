import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Tokenizer as HuggingFace } from '@huggingface/tokenizers';
import { check, show } from '../check.ts';
import { readUtf8, writeWhole } from './files.ts';

const roles = ['pad', 'eos', 'bos', 'unk'] as const;
type Role = (typeof roles)[number];

/** What special tokens are called where no config says so. */
const usualNames: Record<Role, readonly string[]> = {
  pad: ['<pad>', '[PAD]'],
  eos: ['</s>', '<|endoftext|>'],
  bos: ['<s>', '<|endoftext|>'],
  unk: ['<unk>', '[UNK]'],
};

/** What tokenizer_config.json holds. It says of a token its text, or an object that has it. */
type TokenizerConfig = Readonly<Record<string, unknown>>;

/**
 * Text to ids and back, by a `tokenizer.json` of any kind that Hugging Face's library reads.
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
  /** What rows are filled up with. Where the tokenizer names none: its `unk`, else its `eos`, else 0. */
  readonly padTokenId: number;
  readonly eosTokenId: number | undefined;
  readonly bosTokenId: number | undefined;
  readonly unkTokenId: number | undefined;
  readonly #tokenizer: HuggingFace;
  readonly #json: object;
  readonly #config: TokenizerConfig;

  private constructor(json: object, config: TokenizerConfig) {
    checkKind(json);
    this.#tokenizer = new HuggingFace(json, config);
    this.#json = json;
    this.#config = config;
    const ids = [...this.#tokenizer.get_vocab().values()];
    this.vocabularySize = ids.reduce((largest, id) => Math.max(largest, id), -1) + 1;
    this.eosTokenId = this.#idOf('eos');
    this.bosTokenId = this.#idOf('bos');
    this.unkTokenId = this.#idOf('unk');
    this.padTokenId = this.#idOf('pad') ?? this.unkTokenId ?? this.eosTokenId ?? 0;
  }

  /**
   * Reads tokenizer.json of a directory, with tokenizer_config.json and special_tokens_map.json where
   * they are.
   *
   * @throws Error, in one sentence with the path, on a file that is missing or is no tokenizer
   */
  static async load(directory: string): Promise<Tokenizer> {
    const path = join(directory, 'tokenizer.json');
    const json = await readObject(path);
    const map = await readObject(join(directory, 'special_tokens_map.json'), {});
    const config = await readObject(join(directory, 'tokenizer_config.json'), {});
    return create(path, () => new Tokenizer(json, { ...map, ...config }));
  }

  /**
   * @param json the content of a tokenizer.json, as {@link trainBpe} gives it
   * @param config the content of a tokenizer_config.json; without it, special tokens are known by
   *   their usual names, such as `<pad>` and `</s>`
   * @throws Error on what is no tokenizer
   */
  static fromJson(json: object, config: object = {}): Tokenizer {
    return create('json', () => new Tokenizer(json, config as TokenizerConfig));
  }

  /** The ids of a text, with the special tokens that the tokenizer adds, as T5's `</s>` at the end. */
  encode(text: string): number[] {
    if (typeof text !== 'string') throw new TypeError(`text is ${show(text)}: expected text`);
    return this.#tokenizer.encode(text).ids;
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
  decode(ids: readonly number[]): string {
    for (const [i, id] of ids.entries()) {
      check(`ids[${i}]`, id, Number.isInteger(id) && id >= 0, 'a whole number, at least 0');
    }
    const known = ids.filter((id) => this.#tokenizer.id_to_token(id) !== undefined);
    if (known.length === 0) return '';
    return this.#tokenizer.decode(known, {
      skip_special_tokens: true,
      clean_up_tokenization_spaces: false,
    });
  }

  /**
   * Writes tokenizer.json and tokenizer_config.json, as transformers loads them, into a directory that
   * is made where it is missing.
   *
   * @throws Error, in one sentence with the path, where that fails
   */
  async save(directory: string): Promise<void> {
    await mkdir(directory, { recursive: true });
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

  #idOf(role: Role): number | undefined {
    const token = this.#tokenOf(role);
    return token === undefined ? undefined : this.#tokenizer.token_to_id(token);
  }

  #tokenOf(role: Role): string | undefined {
    const setting = this.#config[`${role}_token`];
    if (setting === null) return undefined;
    if (typeof setting === 'string') return setting;
    if (typeof setting === 'object' && 'content' in setting) return String(setting.content);
    return usualNames[role].find((name) => this.#tokenizer.token_to_id(name) !== undefined);
  }
}

function create(what: string, make: () => Tokenizer): Tokenizer {
  try {
    return make();
  } catch (error) {
    const [reason] = (error as Error).message.split('\n');
    throw new Error(`${what} is not a tokenizer that can be read: ${reason}`, { cause: error });
  }
}

/** The library takes a kind that it does not know for a plain list of words. */
function checkKind(json: { model?: { type?: unknown } }): void {
  const type = json.model?.type;
  const known = ['BPE', 'Unigram', 'WordPiece', undefined].includes(type as string);
  check('model.type', type, known, 'BPE, Unigram or WordPiece');
}

async function readObject(path: string, missing?: object): Promise<object> {
  let text: string;
  try {
    text = (await readUtf8(path)).toString();
  } catch (error) {
    const cause = (error as Error).cause as NodeJS.ErrnoException | undefined;
    if (cause?.code === 'ENOENT' && missing !== undefined) return missing;
    throw error;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`${path} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new Error(`${path} holds ${show(text)}: expected a JSON object`);
}

const writeObject = (path: string, value: object) =>
  writeWhole(path, `${JSON.stringify(value, null, 2)}\n`);
