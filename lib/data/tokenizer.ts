import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Tokenizer as HuggingFace } from '@huggingface/tokenizers';
import { readUtf8, writeWhole } from './files.ts';

/** What tokenizer_config.json may say of a token: its text, or an object that holds it. */
type TokenSetting = string | { content: string } | null | undefined;

interface TokenizerConfig {
  pad_token?: TokenSetting;
  eos_token?: TokenSetting;
  bos_token?: TokenSetting;
  unk_token?: TokenSetting;
  [key: string]: unknown;
}

/**
 * Text to ids and back, by a `tokenizer.json` of any kind that Hugging Face's library reads.
 *
 * Ids of special tokens are those that tokenizer_config.json (or special_tokens_map.json) names, else
 * those of `<pad>`, `</s>`, `<s>` and `<unk>`. Without a padding token, unknown or end stand in.
 */
export class Tokenizer {
  /** One more than the largest id. */
  readonly vocabularySize: number;
  readonly padTokenId: number;
  readonly eosTokenId: number | undefined;
  readonly bosTokenId: number | undefined;
  readonly unkTokenId: number | undefined;
  readonly #tokenizer: HuggingFace;
  readonly #json: object;
  readonly #config: TokenizerConfig;

  private constructor(json: object, config: TokenizerConfig) {
    this.#tokenizer = new HuggingFace(json, config);
    this.#json = json;
    this.#config = config;
    this.vocabularySize = 1 + [...this.#tokenizer.get_vocab().values()].reduce(larger, -1);
    this.eosTokenId = this.#idOf(config.eos_token, '</s>');
    this.bosTokenId = this.#idOf(config.bos_token, '<s>');
    this.unkTokenId = this.#idOf(config.unk_token, '<unk>');
    this.padTokenId =
      this.#idOf(config.pad_token, '<pad>') ?? this.unkTokenId ?? this.eosTokenId ?? 0;
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
    try {
      return new Tokenizer(json, { ...map, ...config });
    } catch (error) {
      throw new Error(`${path} is not a tokenizer that can be read: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  /** @param json what a tokenizer.json holds, such as {@link trainBpe} gives */
  static fromJson(json: object, config: object = {}): Tokenizer {
    return new Tokenizer(json, config as TokenizerConfig);
  }

  /** Ids with the special tokens that the tokenizer's template adds. */
  encode(text: string): number[] {
    return this.#tokenizer.encode(text, { add_special_tokens: true }).ids;
  }

  /** Text without special tokens. Of a byte-level tokenizer, exactly the text that was encoded. */
  decode(ids: readonly number[]): string {
    const kept = ids.filter((id) => this.#tokenizer.id_to_token(id) !== undefined);
    if (kept.length === 0) return '';
    return this.#tokenizer.decode(kept, {
      skip_special_tokens: true,
      clean_up_tokenization_spaces: false,
    });
  }

  /** Writes tokenizer.json and tokenizer_config.json, as transformers loads them. */
  async save(directory: string): Promise<void> {
    await mkdir(directory, { recursive: true });
    const name = (id: number | undefined) =>
      id === undefined ? {} : this.#tokenizer.id_to_token(id);
    const config = {
      tokenizer_class: 'PreTrainedTokenizerFast',
      clean_up_tokenization_spaces: false,
      pad_token: name(this.padTokenId),
      ...(this.eosTokenId !== undefined && { eos_token: name(this.eosTokenId) }),
      ...(this.unkTokenId !== undefined && { unk_token: name(this.unkTokenId) }),
      ...this.#config,
    };
    await writeWhole(join(directory, 'tokenizer.json'), `${JSON.stringify(this.#json, null, 2)}\n`);
    await writeWhole(
      join(directory, 'tokenizer_config.json'),
      `${JSON.stringify(config, null, 2)}\n`,
    );
  }

  #idOf(setting: TokenSetting, usual: string): number | undefined {
    if (setting === null) return undefined;
    const text = typeof setting === 'object' ? setting.content : (setting ?? usual);
    return this.#tokenizer.token_to_id(text);
  }
}

const larger = (a: number, b: number) => Math.max(a, b);

async function readObject(path: string, missing?: object): Promise<object> {
  let text: string;
  try {
    text = (await readUtf8(path)).toString();
  } catch (error) {
    const cause = (error as Error).cause as NodeJS.ErrnoException | undefined;
    if (cause?.code === 'ENOENT' && missing !== undefined) return missing;
    throw error;
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch (error) {
    throw new Error(`${path} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  throw new Error(`${path} is not a JSON object: expected what Hugging Face's libraries write`);
}
