import { join } from 'node:path';
import { check, checkKeys, checkList, checkObject, checkText } from '../check.ts';
import type { LabelledExample } from '../data/examples.ts';
import { makeDirectory, writeWhole } from '../data/files.ts';
import { Tokenizer } from '../data/tokenizer.ts';
import {
  type Adapter,
  adapterConfigText,
  adapterFiles,
  adapterOf,
  type LoraOptions,
  readAdapter,
} from './adapter.ts';
import { type Batch, checkLength, labelledBatch, type NativeIds, nativeBatch } from './batch.ts';
import {
  configToSave,
  type Dtype,
  type ModelConfig,
  type ResolvedConfig,
  readJsonObject,
  resolveConfig,
} from './config/index.ts';
import { checkDirectory, checkNoRun } from './directory.ts';
import {
  endIdsOf,
  type GenerationConfig,
  readGenerationConfig,
  unfollowed,
} from './generation_config.ts';
import { findModel } from './hub/index.ts';
import { inBatches } from './in_batches.ts';
import { defaultLogitsBytes, nativeLoss } from './loss.ts';
import { readModules } from './modules.ts';
import { addon, type MeanLoss, type ModelHandle, type Tensor, withSignal } from './native.ts';
import {
  type ClassifyOptions,
  type CreateOptions,
  deviceOf,
  dtypeOf,
  type GenerateIdsOptions,
  type GenerateOptions,
  generateIdsKeys,
  generateKeys,
  type LoadOptions,
  type LossOptions,
  loadKeys,
  modelKeys,
  type SaveOptions,
} from './options.ts';
import { Texts } from './texts.ts';
import { findWeights, finishShards, outdatedBy, planShards } from './weight_files.ts';

export type { Adapter, LoraOptions } from './adapter.ts';
export type { Batch, Ids } from './batch.ts';
export type { Dtype, ModelConfig, RobertaHead } from './config/index.ts';
export type { MeanLoss, Tensor } from './native.ts';
export type {
  ClassifyOptions,
  CreateOptions,
  GenerateIdsOptions,
  GenerateOptions,
  LoadOptions,
  LossOptions,
  ModelOptions,
  SaveOptions,
} from './options.ts';

/**
 * A model whose weights live in native memory. Every method that computes runs on the addon's own
 * thread, one after the other, and leaves the event loop free.
 *
 * @example
 * using model = await Model.load('codet5-small');
 * const [code] = await model.generate(['sort a list'], { beams: 4 });
 */
export class Model {
  /** The config as it was read or given. */
  readonly config: ModelConfig;
  /** Undefined where the directory had no files of one. */
  readonly tokenizer: Tokenizer | undefined;
  readonly dtype: Dtype;
  /** `cpu` or `cuda:N`: what `auto` took. */
  readonly device: string;
  readonly parameterCount: number;
  /** For lib/model/trainer.ts. */
  readonly handle: ModelHandle;
  /** The config with defaults filled in. */
  readonly resolved: ResolvedConfig;
  readonly #generation: GenerationConfig | undefined;
  readonly #modules: ReadonlyMap<string, Buffer>;
  readonly #endIds: readonly number[];
  /** What is to be warned of before the first generation. */
  #unfollowed: string[];
  #adapter: Adapter | undefined;
  /** Calls that give or take an adapter and are not done. */
  #adapting = 0;
  #disposed = false;

  /** Use Model.load or Model.create. */
  private constructor(handle: ModelHandle, parts: ModelParts) {
    this.handle = handle;
    this.config = parts.config;
    this.resolved = parts.resolved;
    this.dtype = parts.dtype;
    this.tokenizer = parts.tokenizer;
    this.#generation = parts.generation;
    this.#modules = parts.modules ?? new Map();
    this.#endIds = endIdsOf(parts.generation, parts.config, parts.resolved, parts.tokenizer);
    this.#unfollowed = unfollowed(parts.generation, parts.resolved);
    this.device = handle.device;
    this.parameterCount = handle.parameters.reduce(
      (count, { shape }) => count + shape.reduce((product, size) => product * size, 1),
      0,
    );
  }

  /**
   * The model in a directory of Hugging Face's layout: config.json, model.safetensors or its shards
   * and index or pytorch_model.bin and, where there are, the files of a tokenizer and
   * generation_config.json. A name such as `owner/name` or `owner/name@revision` that is no directory is
   * looked for on the Hugging Face Hub, as `findModel` says.
   *
   * @throws Error, in one sentence, on a directory without weights, on weights that are truncated or
   *   do not fit the config, and on a device that cannot be had
   *
   * @example
   * const model = await Model.load('runs/dece/model', { device: 'cpu' });
   */
  static async load(name: string, options: LoadOptions = {}): Promise<Model> {
    checkText('name', name, 'a directory, or owner/name');
    checkKeys('Model.load', options, loadKeys);
    const { revision, log, onDownload, signal, mmap = true } = options;
    check('mmap', mmap, typeof mmap === 'boolean', 'true or false');
    const { directory } = await findModel(name, {
      revision,
      ...(log && { log }),
      ...(onDownload && { onDownload }),
      ...(signal && { signal }),
    });
    await checkDirectory(directory);
    const config = await readJsonObject(join(directory, 'config.json'));
    if (config.model_type === undefined) await checkNoRun(directory);
    const resolved = resolveConfig(config, options);
    const dtype = dtypeOf(options, resolved);
    const tokenizer = await Tokenizer.find(directory);
    const generation = await readGenerationConfig(directory);
    const modules = await readModules(directory, config);
    const weights = await findWeights(directory);
    const device = deviceOf(options);
    const handle = await withSignal(signal, (stop) =>
      addon().ModelHandle.load(weights, resolved, device, dtype, mmap, stop),
    );
    return new Model(handle, { config, resolved, dtype, tokenizer, generation, modules });
  }

  /**
   * A model with fresh weights, drawn as transformers draws them.
   *
   * @param config in the terms of a config.json of its `model_type`; what is missing has transformers' default
   * @throws RangeError that names the key of the config that is out of range
   *
   * @example
   * const model = Model.create({ model_type: 't5', vocab_size: 4096, d_model: 128 }, { seed: 1 });
   */
  static create(config: ModelConfig, options: CreateOptions): Model {
    checkObject('config', config, 'one in the terms of config.json');
    checkKeys('Model.create', options, [...modelKeys, 'tokenizer']);
    const { seed, tokenizer } = options;
    check('seed', seed, Number.isSafeInteger(seed) && seed >= 0, 'a whole number, at least 0');
    const resolved = resolveConfig(config, options);
    const dtype = dtypeOf(options, resolved);
    const handle = addon().ModelHandle.create(resolved, deviceOf(options), dtype, seed);
    return new Model(handle, { config: { ...config }, resolved, dtype, tokenizer });
  }

  /**
   * Logits [batch, length, vocabulary], in nats, without dropout: of the decoder where there is one; of a
   * classifier [batch, classes]. What a model makes of padding means nothing.
   *
   * @throws RangeError that names the id that is out of range or the shape that does not fit;
   *   TypeError where there are neither decoderInputIds nor labels
   */
  async logits(batch: Batch): Promise<Tensor> {
    const native = this.#native(batch);
    const { labels } = this.resolved;
    if (labels === 'decoder ids' && native.decoderInputIds === undefined) {
      throw new TypeError('decoderInputIds is undefined: expected them, or labels to shift right');
    }
    const { data, shape } = await this.handle.logits(native);
    return { data, shape: labels === 'rows' ? [shape[0]!, shape[2]!] : shape };
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
    const native = labelledBatch(batch, this.resolved);
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
   * @throws RangeError of another model than a T5 whose head has weights of its own
   *
   * @example
   * const { data } = await model.wordGradient(batch, [7], { loss: { name: 'ce' } });
   */
  async wordGradient(batch: Batch, ids: readonly number[], options: LossOptions): Promise<Tensor> {
    checkKeys('wordGradient', options, ['loss', 'epoch', 'signal']);
    const { loss, epoch = 1, signal } = options;
    const names = this.handle.parameters.map(({ name }) => name);
    const isOwn = names.includes('shared.weight') && names.includes('lm_head.weight');
    const { model_type: type } = this.config;
    check(
      'the model',
      type,
      isOwn,
      'a t5 with tie_word_embeddings false, whose embedding only reads',
    );
    check('ids', ids.length, ids.length > 0, 'at least one id');
    const native = labelledBatch(batch, this.resolved);
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
    const { encoder, decoder } = this.resolved.blocks;
    const reads = native.decoderInputIds === undefined && encoder !== undefined;
    const last = (reads ? encoder : decoder)!;
    check('layer', layer, Number.isInteger(layer) && layer >= 0 && layer <= last, `0..${last}`);
    return this.handle.hiddenStates(native, layer);
  }

  /**
   * New ids of each row, without the end token, as transformers' `generate` gives them with
   * do_sample false: greedy, or the best of `beams` (early_stopping false, length_penalty 1). Of
   * generation_config.json the end tokens alone count: penalties, forced and suppressed tokens are warned
   * of, once.
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
      eosTokenId = this.#endIds,
      padTokenId = this.resolved.pad_token_id,
      signal,
    } = options;
    check('maxNewTokens', maxNewTokens, isCount(maxNewTokens), 'a whole number, at least 1');
    check('beams', beams, isCount(beams), 'a whole number, at least 1');
    const eosTokenIds = typeof eosTokenId === 'number' ? [eosTokenId] : eosTokenId;
    checkList('eosTokenId', eosTokenIds, 'token ids, or one');
    const config = { ...this.resolved, pad_token_id: padTokenId };
    const masked = attentionMask === undefined ? {} : { attentionMask };
    const batch = nativeBatch({ inputIds, ...masked }, config);
    const follows = config.labels === 'next ids';
    checkLength('inputIds', batch.inputIds, config, follows ? maxNewTokens : 0);
    this.#warn();
    const rows = await withSignal(signal, (stop) =>
      this.handle.generate(batch, { maxNewTokens, beams, eosTokenIds }, stop),
    );
    return rows.map((row) => [...row]);
  }

  /**
   * What the model reads of each prompt.
   *
   * @param maxInputTokens longer ones are cut, as in training
   * @throws Error where the model has no tokenizer that fits
   */
  promptIds(prompts: readonly string[], maxInputTokens = Number.POSITIVE_INFINITY): number[][] {
    const texts = new Texts(tokenizerOf(this), this.resolved);
    return prompts.map((prompt) => texts.prompt(prompt, maxInputTokens).value);
  }

  /** What a classifier reads of each text, or pair of texts; otherwise as promptIds. */
  textIds(
    examples: readonly Pick<LabelledExample, 'text' | 'pair'>[],
    maxInputTokens = Number.POSITIVE_INFINITY,
  ): number[][] {
    const texts = new Texts(tokenizerOf(this), this.resolved);
    return examples.map((example) => texts.labelled(example, maxInputTokens).value);
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
    checkList('prompts', prompts, 'texts');
    checkKeys('generate', options, generateKeys);
    const { batchSize = 32, maxInputTokens = Infinity, onProgress, ...search } = options;
    check('batchSize', batchSize, isCount(batchSize), 'a whole number, at least 1');
    const { labels } = this.resolved;
    if (labels === 'rows')
      throw new TypeError(
        'a classifier writes no texts: expected `dece evaluate`, or classify from a program',
      );
    if (labels === 'ids') throw new TypeError('a masked language model writes no texts');
    const ok = maxInputTokens === Infinity || (isCount(maxInputTokens) && maxInputTokens > 1);
    check('maxInputTokens', maxInputTokens, ok, 'a whole number, at least 2');
    const tokenizer = tokenizerOf(this);
    const rows = this.promptIds(prompts, maxInputTokens);
    const blank = rows.findIndex((ids) => ids.length === 0);
    check(`prompts[${blank}]`, prompts[blank], blank < 0, 'a text of at least one token');
    return inBatches(
      rows,
      async (inputIds) => {
        const written = await this.generateIds({ inputIds }, search);
        return written.map((ids) => tokenizer.decode(ids));
      },
      { batchSize, onProgress },
    );
  }

  /**
   * The class that a classifier finds most likely for each text, or pair of texts, in their order. Texts
   * of like length share a batch.
   *
   * @throws Error where the model is no classifier or has no tokenizer that fits, or its logits are not
   *   finite; the signal's reason
   *
   * @example
   * using model = await Model.load('codebert-satd', { head: 'classification' });
   * const classes = await model.classify([{ text: 'TODO: fix this hack' }]);
   */
  async classify(
    examples: readonly Pick<LabelledExample, 'text' | 'pair'>[],
    options: ClassifyOptions = {},
  ): Promise<number[]> {
    checkList('examples', examples, 'texts');
    checkKeys('classify', options, ['batchSize', 'maxInputTokens', 'signal', 'onProgress']);
    const { batchSize = 32, maxInputTokens = 256, signal, onProgress } = options;
    check('batchSize', batchSize, isCount(batchSize), 'a whole number, at least 1');
    check('maxInputTokens', maxInputTokens, isCount(maxInputTokens), 'a whole number, at least 1');
    const { classes } = this;
    if (classes === undefined) {
      throw new TypeError("the model is no classifier: load it with { head: 'classification' }");
    }
    return inBatches(
      this.textIds(examples, maxInputTokens),
      async (inputIds, places) => {
        signal?.throwIfAborted();
        const { data } = await this.logits({ inputIds });
        return places.map((place, row) => {
          const scores = data.subarray(row * classes, (row + 1) * classes);
          if (!scores.every(Number.isFinite)) throw new Error(diverged(place, scores));
          return scores.indexOf(Math.max(...scores));
        });
      },
      { batchSize, onProgress },
    );
  }

  /**
   * Writes a directory that `load` and transformers read. Each file is replaced as a whole or not at
   * all: a full disk leaves what was there. Weights above `maxShardBytes` go into several files with
   * an index, laid out as save_pretrained does; shards of an earlier save are removed. Where several
   * files are being put in their places, the directory has no model: never a mixture of two.
   *
   * @throws Error where the model has an adapter, which these files have no place for
   *
   * @example
   * await model.save('runs/dece/model', { maxShardBytes: 5e9 });
   */
  async save(directory: string, options: SaveOptions = {}): Promise<void> {
    checkKeys('Model.save', options, ['maxShardBytes']);
    const { maxShardBytes = 50e9 } = options;
    check('maxShardBytes', maxShardBytes, maxShardBytes >= 1, 'a number of bytes, at least 1');
    const { dtype, resolved, tokenizer } = this;
    this.#check();
    if (this.#adapter !== undefined) {
      throw new Error(
        'the model has an adapter: saveAdapter writes it, mergeAdapter makes it part of what save writes',
      );
    }
    await makeDirectory(directory);
    const { parameters } = this.handle;
    const itemBytes = dtype === 'float32' ? 4 : 2;
    const shards = planShards(parameters, itemBytes, maxShardBytes);
    const files = [...shards].map(([name, names]) => ({ path: join(directory, name), names }));
    await this.handle.save(files, outdatedBy(shards, directory));
    await finishShards(directory, shards, parameters, itemBytes);
    await writeWhole(join(directory, 'config.json'), configToSave(this.config, resolved, dtype));
    if (this.#generation !== undefined) {
      await writeWhole(join(directory, 'generation_config.json'), this.#generation.text);
    }
    for (const [name, bytes] of this.#modules) await writeWhole(join(directory, name), bytes);
    await tokenizer?.save(directory);
  }

  /**
   * Gives linear layers adapters of low rank (LoRA), which are then all that training changes. At first
   * they add nothing.
   *
   * @throws RangeError or TypeError on an option, Error where a target names no layer or where there is
   *   an adapter already
   * @see Hu et al., 2021, https://arxiv.org/abs/2106.09685
   *
   * @example
   * await model.addAdapter({ rank: 8, alpha: 16, seed: 42 });
   */
  async addAdapter({ seed, ...options }: LoraOptions & { seed: number }): Promise<void> {
    const adapter = adapterOf(this.config, options);
    check('seed', seed, Number.isSafeInteger(seed) && seed >= 0, 'a whole number, at least 0');
    await this.#adapt(this.handle.addAdapter({ ...adapter, seed }), adapter);
  }

  /**
   * The adapter in a directory as PEFT writes it: adapter_config.json and adapter_model.safetensors.
   *
   * @throws Error, in one sentence, where it does not fit the model or is no plain LoRA
   */
  async loadAdapter(directory: string): Promise<void> {
    const adapter = await readAdapter(directory, this.config);
    const { weights } = adapterFiles(directory);
    await this.#adapt(this.handle.loadAdapter(weights, { ...adapter, seed: 0 }), adapter);
  }

  /** Writes a directory that `loadAdapter` and PEFT read. */
  async saveAdapter(directory: string): Promise<void> {
    const adapter = this.#needAdapter();
    const { weights, config } = adapterFiles(directory);
    await makeDirectory(directory);
    await this.handle.saveAdapter(weights);
    await writeWhole(config, adapterConfigText(adapter, this.config, this.resolved.labels));
  }

  /** Makes the adapter part of the weights; the model has none then. */
  async mergeAdapter(): Promise<void> {
    this.#needAdapter();
    await this.#adapt(this.handle.mergeAdapter(), undefined);
  }

  /** Takes the adapter away; the weights are as they were before it. */
  async dropAdapter(): Promise<void> {
    this.#needAdapter();
    await this.#adapt(this.handle.dropAdapter(), undefined);
  }

  /** How many classes a classifier tells apart; undefined where the model is none. */
  get classes(): number | undefined {
    return this.resolved.architecture === 'roberta' && this.resolved.labels === 'rows'
      ? this.resolved.num_labels
      : undefined;
  }

  /** What was added or loaded; undefined where there is none. */
  get adapter(): Adapter | undefined {
    return this.#adapter;
  }

  /**
   * Names and shapes of what training changes, for lib/model/trainer.ts.
   *
   * @throws Error while an adapter comes or goes: native code must not read what it is writing
   */
  get trained(): ModelHandle['trained'] {
    if (this.#adapting === 0) return this.handle.trained;
    throw new Error("the model's adapter is being changed: await that before you train");
  }

  async #adapt(change: Promise<void>, adapter: Adapter | undefined): Promise<void> {
    this.#adapting++;
    try {
      await change;
      this.#adapter = adapter;
    } finally {
      this.#adapting--;
    }
  }

  #needAdapter(): Adapter {
    this.#check();
    if (this.#adapter === undefined) {
      throw new Error('the model has no adapter: addAdapter or loadAdapter gives it one');
    }
    return this.#adapter;
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

  #warn(): void {
    const settings = this.#unfollowed.splice(0).join(', ');
    if (settings === '') return;
    process.emitWarning(`generation_config.json has ${settings}: generate does not follow that`, {
      type: 'DeceGeneration',
    });
  }

  #native(batch: Batch) {
    return nativeBatch(batch, this.resolved);
  }
}

interface ModelParts {
  config: ModelConfig;
  resolved: ResolvedConfig;
  dtype: Dtype;
  tokenizer?: Tokenizer | undefined;
  generation?: GenerationConfig | undefined;
  modules?: ReadonlyMap<string, Buffer>;
}

const diverged = (index: number, logits: Float32Array) =>
  `the logits of text ${index} are ${[...logits].slice(0, 8).join(', ')}: the weights are damaged, or diverged in training`;

/**
 * The tokenizer of a model that is to read or write texts.
 *
 * @throws Error where there is none, or where it has more ids than the model
 */
export function tokenizerOf({ tokenizer, resolved }: Model): Tokenizer {
  if (tokenizer === undefined) {
    throw new Error('the model has no tokenizer: put a tokenizer.json into its directory');
  }
  if (tokenizer.vocabularySize > resolved.vocab_size) {
    throw new Error(
      `the tokenizer has ${tokenizer.vocabularySize} ids: expected at most ${resolved.vocab_size}, the vocab_size of the model`,
    );
  }
  return tokenizer;
}

const isCount = (value: number) => Number.isSafeInteger(value) && value >= 1;
