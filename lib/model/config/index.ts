import { check, choose, onOneLine, show } from '../../check.ts';
import { readUtf8 } from '../../data/files.ts';
import { type CausalConfig, causalConfig, causalTypes } from './causal.ts';
import type { ModelConfig } from './fields.ts';
import { type RobertaConfig, type RobertaHead, robertaConfig } from './roberta.ts';
import { type T5Config, t5Config } from './t5.ts';

export type { ModelConfig } from './fields.ts';
export type { RobertaHead } from './roberta.ts';

export type Dtype = 'float32' | 'bfloat16';

/** native/trainer/model.h: what the tensors of a file may be called other than in transformers. */
export interface FileNames {
  /** What a name may begin with, and what it begins with then. */
  prefixes: [string, string][];
  /** A copy, and what it is a copy of. */
  aliases: [string, string][];
  /** Regular expressions of names that nobody reads. */
  ignored: string[];
  /** What names begin with that a file may lack: such weights are drawn by `seed`. */
  fresh: string[];
  seed: number;
  /** What may be one tensor. */
  embedding: string;
  head: string;
}

/** What every architecture says of itself, besides what native code reads. */
export interface CommonConfig {
  vocab_size: number;
  /** Whether the first input is read by an encoder and another one by a decoder. */
  labels: 'decoder ids' | 'next ids' | 'ids' | 'rows';
  /** How many blocks each side has. */
  blocks: { encoder?: number; decoder?: number };
  /** The longest text that has positions, where there is one. */
  longest: number | undefined;
  pad_token_id: number;
  /** What a decoder reads first. */
  decoder_start_token_id?: number;
  eos_token_ids: number[];
  tie_word_embeddings: boolean;
  files: FileNames;
  /** What transformers calls a model with these weights. */
  transformersClass: string;
}

/** A config.json with defaults filled in, in the terms of its architecture in native/trainer. */
export type ResolvedConfig = (T5Config | CausalConfig | RobertaConfig) & {
  /** Of the weights on disk; float16 ones are computed with as float32. */
  dtype: Dtype;
};

export interface HeadOptions {
  /** Of a RoBERTa. Default: by `architectures` in the config. */
  head?: RobertaHead | undefined;
  /** Of the weights of a head that the file lacks. */
  seed?: number | undefined;
}

/** By `model_type`. */
const readers: Readonly<Record<string, (config: ModelConfig, options: HeadOptions) => Resolved>> = {
  t5: t5Config,
  ...Object.fromEntries(causalTypes.map((type) => [type, causalConfig])),
  roberta: robertaConfig,
};

type Resolved = T5Config | CausalConfig | RobertaConfig;

const dtypes: Readonly<Record<string, Dtype>> = {
  float32: 'float32',
  bfloat16: 'bfloat16',
  float16: 'float32',
};

/**
 * What a config.json says, with transformers' defaults where it is silent.
 *
 * @throws RangeError that names the key whose value is unknown or out of range
 */
export function resolveConfig(source: ModelConfig, options: HeadOptions = {}): ResolvedConfig {
  const config = { ...source };
  const read = choose(readers, String(config.model_type), 'model_type');
  const { head } = options;
  const ok = head === undefined || config.model_type === 'roberta';
  check('head', head, ok, `none, as a ${config.model_type} has one of its own`);
  for (const key of ['quantization_config', 'quantization_bit']) {
    const value = config[key] || undefined; // of chatglm 0, where it is not
    check(
      key,
      value,
      value === undefined,
      'none, as the weights of a model that learns are numbers',
    );
  }
  const dtype = String(config.dtype ?? config.torch_dtype ?? 'float32').replace(/^torch\./, '');
  return { ...read(config, options), dtype: choose(dtypes, dtype, 'dtype') };
}

/**
 * The text of the config.json to write beside weights of `dtype`: what was read, and what
 * transformers would otherwise have to guess.
 */
export function configToSave(source: ModelConfig, config: ResolvedConfig, dtype: Dtype): string {
  const written = 'torch_dtype' in source && !('dtype' in source) ? 'torch_dtype' : 'dtype';
  const { decoder_start_token_id: start } = config;
  const ofT5 = { is_encoder_decoder: true, decoder_start_token_id: start };
  const saved = {
    ...(config.architecture === 't5' ? ofT5 : {}),
    ...source,
    ...(config.architecture === 't5' ? { decoder_start_token_id: start } : {}),
    ...(isNamed(source, config) ? {} : { architectures: [config.transformersClass] }),
    [written]: dtype,
  };
  return `${JSON.stringify(saved, null, 2).replace(wholeReal, '$1.0')}\n`;
}

/** Whether the config says what these weights are: one that a head was put on does not. */
function isNamed(source: ModelConfig, { architecture, transformersClass }: ResolvedConfig) {
  const { architectures } = source;
  if (!Array.isArray(architectures)) return false;
  return architecture !== 'roberta' || architectures[0] === transformersClass;
}

/** Keys in which transformers refuses 1 and wants 1.0. */
const wholeReal =
  /^( {2}"(?:initializer_factor|initializer_range|layer_norm_epsilon|layer_norm_eps|rms_norm_eps|rope_theta|dropout_rate|classifier_dropout)": \d+)(?=,?$)/gm;

/** @throws Error, with the path and the place, on a file that is missing or no JSON object */
export async function readJsonObject(path: string): Promise<ModelConfig> {
  const text = (await readUtf8(path)).toString();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const { message } = error as Error;
    const before = text.slice(0, Number(/position (\d+)/.exec(message)?.[1] ?? text.length));
    const line = before.split('\n').length;
    const column = before.length - before.lastIndexOf('\n');
    throw new Error(`${path}, line ${line}, column ${column} is not JSON: ${onOneLine(error)}`, {
      cause: error,
    });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error(`${path} is ${show(text.trim())}: expected an object in braces`);
  }
  return value as ModelConfig;
}
