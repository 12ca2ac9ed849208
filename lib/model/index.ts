import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { check, checkKeys, choose } from '../check.ts';
import { readUtf8, writeWhole } from '../data/files.ts';
import { Tokenizer } from '../data/tokenizer.ts';
import { type Batch, labelledBatch, type NativeIds, nativeBatch } from './batch.ts';
import {
  configToSave,
  type Dtype,
  type ModelConfig,
  readJsonObject,
  type T5Config,
  t5Config,
} from './config.ts';
import { defaultLogitsBytes, type LossConfig, nativeLoss } from './loss.ts';
import { addon, type MeanLoss, type ModelHandle, type Tensor, withSignal } from './native.ts';

export type { Batch, Ids } from './batch.ts';
export type { Dtype, ModelConfig } from './config.ts';
export type { MeanLoss, Tensor } from './native.ts';

export interface ModelOptions {
  /** `cpu`, `cuda`, `cuda:N`, or `auto`, the default: CUDA where there is one. */
  device?: string;
  /** Of the weights in memory. Default: as the config says, float32 where it is silent or float16. */
  dtype?: Dtype;
}

export interface CreateOptions extends ModelOptions {
  /** The same seed draws the same weights on every device. */
  seed: number;
  tokenizer?: Tokenizer;
}

export interface LossOptions {
  loss: LossConfig;
  /** Of DeCE: alpha is alphaBase ** epoch. Default 1. */
  epoch?: number;
  signal?: AbortSignal | undefined;
}

export interface GenerateIdsOptions {
  /** At most so many ids for each row. */
  maxNewTokens?: number;
  /** 1, the default, is greedy search. */
  beams?: number;
  /** Default: `eos_token_id` of the config. An empty list: only maxNewTokens ends a row. */
  eosTokenId?: number | readonly number[];
  /** What fills short rows of inputIds; they are masked anyway. */
  padTokenId?: number;
  signal?: AbortSignal;
}

export interface GenerateOptions extends GenerateIdsOptions {
  /** Prompts that are worked on together. */
  batchSize?: number;
  /** Longer prompts lose their end, but not the end token, as in training. Default: none does. */
  maxInputTokens?: number;
  /** Called after each batch. */
  onProgress?: (done: number, total: number) => void;
}

/**
 * A T5 whose weights live in native memory. Every method that computes runs on the addon's own
 * thread, one after the other, and leaves the event loop free.
 *
 * @example
 * using model = await Model.load('codet5-small');
 * const [code] = await model.generate(['sort a list'], { beams: 4 });
 */
export class Model {
  /** The config as it was read or given. */
  readonly config: ModelConfig;
  /** Undefined where the directory had no tokenizer.json. */
  readonly tokenizer: Tokenizer | undefined;
  readonly dtype: Dtype;
  /** `cpu` or `cuda:N`: what `auto` took. */
  readonly device: string;
  readonly parameterCount: number;
  /** For lib/model/trainer.ts. */
  readonly handle: ModelHandle;
  /** The config with defaults filled in. */
  readonly t5: T5Config;
  readonly #generationConfig: string | undefined;
  #disposed = false;

  /** Use Model.load or Model.create. */
  private constructor(handle: ModelHandle, parts: ModelParts) {
    this.handle = handle;
    this.config = parts.config;
    this.t5 = parts.t5;
    this.dtype = parts.dtype;
    this.tokenizer = parts.tokenizer;
    this.#generationConfig = parts.generationConfig;
    this.device = handle.device;
    this.parameterCount = handle.parameters.reduce(
      (count, { shape }) => count + shape.reduce((product, size) => product * size, 1),
      0,
    );
  }

  /**
   * The model in a directory of Hugging Face's layout: config.json, model.safetensors and, where
   * there are, tokenizer.json and generation_config.json.
   *
   * @throws Error, in one sentence, on a directory without weights, on weights that are truncated or
   *   do not fit the config, and on a device that cannot be had
   *
   * @example
   * const model = await Model.load('runs/dece/model', { device: 'cpu' });
   */
  static async load(directory: string, options: ModelOptions = {}): Promise<Model> {
    checkKeys('Model.load', options, ['device', 'dtype']);
    await checkDirectory(directory);
    const config = await readJsonObject(join(directory, 'config.json'));
    const t5 = t5Config(config);
    const dtype = dtypeOf(options, t5);
    const tokenizer = (await exists(join(directory, 'tokenizer.json')))
      ? await Tokenizer.load(directory)
      : undefined;
    const generation = join(directory, 'generation_config.json');
    const generationConfig = (await exists(generation))
      ? (await readUtf8(generation)).toString()
      : undefined;
    const weights = join(directory, 'model.safetensors');
    const handle = await addon().ModelHandle.load(weights, t5, deviceOf(options), dtype);
    return new Model(handle, { config, t5, dtype, tokenizer, generationConfig });
  }

  /**
   * A model with fresh weights, drawn as transformers draws them.
   *
   * @param config in the terms of a T5's config.json; what is missing has transformers' default
   * @throws RangeError that names the key of the config that is out of range
   *
   * @example
   * const model = Model.create({ model_type: 't5', vocab_size: 4096, d_model: 128 }, { seed: 1 });
   */
  static create(config: ModelConfig, options: CreateOptions): Model {
    checkKeys('Model.create', options, ['seed', 'device', 'dtype', 'tokenizer']);
    const { seed, tokenizer } = options;
    check('seed', seed, Number.isSafeInteger(seed) && seed >= 0, 'a whole number, at least 0');
    const t5 = t5Config(config);
    const dtype = dtypeOf(options, t5);
    const handle = addon().ModelHandle.create(t5, deviceOf(options), dtype, seed);
    return new Model(handle, { config: { ...config }, t5, dtype, tokenizer });
  }

  /**
   * Logits [batch, target length, vocabulary], in nats, without dropout.
   *
   * @throws RangeError that names the id that is out of range or the shape that does not fit;
   *   TypeError where there are neither decoderInputIds nor labels
   */
  async logits(batch: Batch): Promise<Tensor> {
    const native = this.#native(batch);
    if (native.decoderInputIds === undefined) {
      throw new TypeError('decoderInputIds is undefined: expected them, or labels to shift right');
    }
    return this.handle.logits(native);
  }

  /**
   * The loss without dropout, in nats: the mean over the labels that count, and how many those are; 0
   * where there are none.
   *
   * @throws RangeError on an id or an option of the loss out of range; TypeError without labels
   *
   * @example
   * const { loss } = await model.loss(batch, { loss: { name: 'ce' } });
   */
  async loss(batch: Batch, options: LossOptions): Promise<MeanLoss> {
    checkKeys('loss', options, ['loss', 'epoch', 'signal']);
    const { loss, epoch = 1, signal } = options;
    const native = labelledBatch(batch, this.t5);
    const formula = nativeLoss(loss, epoch);
    return withSignal(signal, (stop) =>
      addon().meanLoss(this.handle, native, formula, defaultLogitsBytes, stop),
    );
  }

  /**
   * How the loss would change with the share of each word of the vocabulary at the places where `ids` stand
   * in inputIds, summed over those places: [ids, vocabulary], in nats. The lowest is the word that helps
   * the labels most, as far as the gradient tells.
   *
   * @param ids what stands there now; the decoder must not read them
   * @throws RangeError of a model whose head shares its weights with the embedding
   *
   * @example
   * const { data } = await model.wordGradient(batch, [7], { loss: { name: 'ce' } });
   */
  async wordGradient(batch: Batch, ids: readonly number[], options: LossOptions): Promise<Tensor> {
    checkKeys('wordGradient', options, ['loss', 'epoch', 'signal']);
    const { loss, epoch = 1, signal } = options;
    const { tie_word_embeddings: tied } = this.t5;
    check('tie_word_embeddings', tied, !tied, 'false, so that the gradient is that of the input');
    check('ids', ids.length, ids.length > 0, 'at least one id');
    const native = labelledBatch(batch, this.t5);
    const formula = nativeLoss(loss, epoch);
    const places: NativeIds = { data: Int32Array.from(ids), shape: [1, ids.length] };
    return withSignal(signal, (stop) =>
      addon().wordGradient(this.handle, native, formula, places, stop),
    );
  }

  /**
   * Hidden states [batch, length, d_model] of one layer, without dropout: of the decoder where the
   * batch has decoderInputIds or labels, else of the encoder. Layer 0 is the embedding, layer n the
   * output of block n; the last one has been through the final norm, as in transformers.
   */
  async hiddenStates(batch: Batch, layer: number): Promise<Tensor> {
    const native = this.#native(batch);
    const side = native.decoderInputIds === undefined ? 'num_layers' : 'num_decoder_layers';
    const ok = Number.isInteger(layer) && layer >= 0 && layer <= this.t5[side];
    check('layer', layer, ok, `0..${this.t5[side]}`);
    return this.handle.hiddenStates(native, layer);
  }

  /**
   * New ids of each row, without the end token, as transformers' `generate` gives them with
   * do_sample false: greedy, or the best of `beams` (early_stopping false, length_penalty 1).
   *
   * @throws the signal's reason, within a token of its abort
   *
   * @example
   * const [ids] = await model.generateIds({ inputIds: [[37, 5, 1]] }, { maxNewTokens: 32 });
   */
  async generateIds(
    { inputIds, attentionMask }: Pick<Batch, 'inputIds' | 'attentionMask'>,
    options: GenerateIdsOptions = {},
  ): Promise<number[][]> {
    checkKeys('generateIds', options, generateIdsKeys);
    const {
      maxNewTokens = 256,
      beams = 1,
      eosTokenId = this.t5.eos_token_ids,
      padTokenId = this.t5.pad_token_id,
      signal,
    } = options;
    check('maxNewTokens', maxNewTokens, isCount(maxNewTokens), 'a whole number, at least 1');
    check('beams', beams, isCount(beams), 'a whole number, at least 1');
    const eosTokenIds = typeof eosTokenId === 'number' ? [eosTokenId] : eosTokenId;
    const config = { ...this.t5, pad_token_id: padTokenId };
    const masked = attentionMask === undefined ? {} : { attentionMask };
    const batch = nativeBatch({ inputIds, ...masked }, config);
    const rows = await withSignal(signal, (stop) =>
      this.handle.generate(batch, { maxNewTokens, beams, eosTokenIds }, stop),
    );
    return rows.map((row) => [...row]);
  }

  /**
   * What the model writes for each prompt, in their order. Prompts of like length share a batch.
   *
   * @throws Error where the model has no tokenizer that fits; the signal's reason, within a token of its abort
   *
   * @example
   * const outputs = await model.generate(prompts, { maxNewTokens: 64, beams: 4 });
   */
  async generate(prompts: readonly string[], options: GenerateOptions = {}): Promise<string[]> {
    checkKeys('generate', options, generateKeys);
    const { batchSize = 32, maxInputTokens = Infinity, onProgress, ...search } = options;
    check('batchSize', batchSize, isCount(batchSize), 'a whole number, at least 1');
    const ok = maxInputTokens === Infinity || (isCount(maxInputTokens) && maxInputTokens > 1);
    check('maxInputTokens', maxInputTokens, ok, 'a whole number, at least 2');
    const tokenizer = tokenizerOf(this);
    const encoded = prompts.map((prompt, index) => ({
      index,
      ids: tokenizer.cut(tokenizer.encode(prompt), maxInputTokens),
    }));
    // The longest first, so that a batch too large for the memory shows at once.
    encoded.sort((a, b) => b.ids.length - a.ids.length);

    const outputs = new Array<string>(prompts.length);
    for (let start = 0; start < encoded.length; start += batchSize) {
      const batch = encoded.slice(start, start + batchSize);
      const rows = await this.generateIds({ inputIds: batch.map(({ ids }) => ids) }, search);
      rows.forEach((row, i) => {
        outputs[batch[i]!.index] = tokenizer.decode(row);
      });
      onProgress?.(start + batch.length, encoded.length);
    }
    return outputs;
  }

  /**
   * Writes a directory that `load` and transformers read. Each file is replaced as a whole or not at
   * all: a full disk leaves what was there.
   */
  async save(directory: string): Promise<void> {
    const { dtype, t5, tokenizer } = this;
    this.#check();
    await mkdir(directory, { recursive: true });
    await this.handle.save(join(directory, 'model.safetensors'));
    await writeWhole(join(directory, 'config.json'), configToSave(this.config, t5, dtype));
    if (this.#generationConfig !== undefined) {
      await writeWhole(join(directory, 'generation_config.json'), this.#generationConfig);
    }
    await tokenizer?.save(directory);
  }

  /** Frees the weights, once work that was begun is done. A second call does nothing. */
  dispose(): void {
    this.#disposed = true;
    this.handle.dispose();
  }

  /** Before anything is written; native code checks by itself. */
  #check(): void {
    if (this.#disposed) throw new Error('the model has been disposed: load or create it again');
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #native(batch: Batch) {
    return nativeBatch(batch, this.t5);
  }
}

interface ModelParts {
  config: ModelConfig;
  t5: T5Config;
  dtype: Dtype;
  tokenizer?: Tokenizer | undefined;
  generationConfig?: string | undefined;
}

const generateIdsKeys = ['maxNewTokens', 'beams', 'eosTokenId', 'padTokenId', 'signal'];
/**
 * The tokenizer of a model that is to read or write texts.
 *
 * @throws Error where there is none, or where it has more ids than the model
 */
export function tokenizerOf({ tokenizer, t5 }: Model): Tokenizer {
  if (tokenizer === undefined) {
    throw new Error('the model has no tokenizer: put a tokenizer.json into its directory');
  }
  if (tokenizer.vocabularySize > t5.vocab_size) {
    throw new Error(
      `the tokenizer has ${tokenizer.vocabularySize} ids: expected at most ${t5.vocab_size}, the vocab_size of the model`,
    );
  }
  return tokenizer;
}

const generateKeys = [...generateIdsKeys, 'batchSize', 'maxInputTokens', 'onProgress'];

const isCount = (value: number) => Number.isSafeInteger(value) && value >= 1;

function deviceOf({ device = 'auto' }: ModelOptions): string {
  check('device', device, /^(cpu|auto|cuda(:\d{1,3})?)$/.test(device), 'cpu, cuda, cuda:N or auto');
  return device;
}

function dtypeOf({ dtype }: ModelOptions, config: T5Config): Dtype {
  return dtype === undefined
    ? config.dtype
    : choose({ float32: 'float32', bfloat16: 'bfloat16' } as const, dtype, 'dtype');
}

/** Says what is missing before anything is read. */
async function checkDirectory(directory: string): Promise<void> {
  const found = await stat(directory).catch(() => undefined);
  if (!found?.isDirectory()) {
    throw new Error(
      `${directory} is ${found ? 'a file' : 'not there'}: expected a directory with config.json and model.safetensors`,
    );
  }
  for (const name of ['config.json', 'model.safetensors']) {
    if (!(await exists(join(directory, name)))) {
      throw new Error(
        `${directory} has no ${name}: expected a directory that Model.save or save_pretrained wrote`,
      );
    }
  }
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );
