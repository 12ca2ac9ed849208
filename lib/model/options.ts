import { check, choose } from '../check.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { Dtype, ResolvedConfig, RobertaHead } from './config/index.ts';
import type { FindOptions } from './hub/index.ts';
import type { LossConfig } from './loss.ts';

export interface ModelOptions {
  /** `cpu`, `cuda`, `cuda:N`, or `auto`, the default: CUDA where there is one. */
  device?: string;
  /** Of the weights in memory. Default: as the config says, float32 where it is silent or float16. */
  dtype?: Dtype;
  /**
   * Of a RoBERTa: a masked language model, a classifier, or the study's encoder with a decoder of six
   * layers. Default: what `architectures` of the config names. Weights of this head that the file lacks
   * are drawn by `seed`.
   */
  head?: RobertaHead;
}

export interface LoadOptions
  extends ModelOptions,
    Pick<FindOptions, 'revision' | 'log' | 'onDownload' | 'signal'> {
  /** Of a head that the file lacks. Default 0. */
  seed?: number;
  /**
   * On a CPU: whether weights of safetensors that have the model's dtype stay in the mapped file, as in
   * transformers, and only what training changes is copied. A program that writes into the file meanwhile,
   * instead of replacing it, changes them or ends this process by a bus error. Default true.
   */
  mmap?: boolean;
}

export interface CreateOptions extends ModelOptions {
  /** The same seed draws the same weights on every device. */
  seed: number;
  tokenizer?: Tokenizer;
}

export interface SaveOptions {
  /** Of a file of weights, unless one tensor alone is larger. Default 50e9, as in transformers. */
  maxShardBytes?: number;
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
  /**
   * Default: `eos_token_id` of generation_config.json, else of the config, else the tokenizer's. An empty
   * list: only maxNewTokens ends a row.
   */
  eosTokenId?: number | readonly number[];
  /** What fills short rows of inputIds; they are masked anyway. */
  padTokenId?: number;
  signal?: AbortSignal;
}

export interface ClassifyOptions {
  /** Texts that are worked on together. 32. */
  batchSize?: number;
  /** Longer texts lose their end. 256. */
  maxInputTokens?: number;
  signal?: AbortSignal;
  /** Called after each batch. */
  onProgress?: (done: number, total: number) => void;
}

export interface GenerateOptions extends GenerateIdsOptions {
  /** Prompts that are worked on together. */
  batchSize?: number;
  /** Longer prompts lose their end, but not the end token, as in training. Default: none does. */
  maxInputTokens?: number;
  /** Called after each batch. */
  onProgress?: (done: number, total: number) => void;
}

export const modelKeys = ['seed', 'device', 'dtype', 'head'];
export const loadKeys = [...modelKeys, 'mmap', 'revision', 'log', 'onDownload', 'signal'];
export const generateIdsKeys = ['maxNewTokens', 'beams', 'eosTokenId', 'padTokenId', 'signal'];
export const generateKeys = [...generateIdsKeys, 'batchSize', 'maxInputTokens', 'onProgress'];

export function deviceOf({ device = 'auto' }: ModelOptions): string {
  check('device', device, /^(cpu|auto|cuda(:\d{1,3})?)$/.test(device), 'cpu, cuda, cuda:N or auto');
  return device;
}

export function dtypeOf({ dtype }: ModelOptions, config: ResolvedConfig): Dtype {
  return dtype === undefined
    ? config.dtype
    : choose({ float32: 'float32', bfloat16: 'bfloat16' } as const, dtype, 'dtype');
}
