import { check, choose, show } from '../check.ts';
import { readUtf8 } from '../data/files.ts';

/** A config.json, as Hugging Face writes it; keys that the package does not know are kept. */
export type ModelConfig = Readonly<Record<string, unknown>>;

export type Dtype = 'float32' | 'bfloat16';

/** What native/trainer/t5.h calls T5Config, with its names, and what only JavaScript needs. */
export interface T5Config {
  vocab_size: number;
  d_model: number;
  d_kv: number;
  d_ff: number;
  num_layers: number;
  num_decoder_layers: number;
  num_heads: number;
  relative_attention_num_buckets: number;
  relative_attention_max_distance: number;
  dropout_rate: number;
  layer_norm_epsilon: number;
  initializer_factor: number;
  gated: boolean;
  tie_word_embeddings: boolean;
  scale_decoder_outputs: boolean;
  pad_token_id: number;
  decoder_start_token_id: number;
  eos_token_ids: number[];
  /** Of the weights on disk; float16 ones are computed with as float32. */
  dtype: Dtype;
}

/** Other names that transformers takes for a key. */
const aliases: Readonly<Record<string, string>> = {
  hidden_size: 'd_model',
  num_attention_heads: 'num_heads',
  num_hidden_layers: 'num_layers',
  head_dim: 'd_kv',
  torch_dtype: 'dtype',
};

/** The activation that goes with each kind of feed-forward layer. */
const activations = { relu: 'relu', 'gated-gelu': 'gelu_new' } as const;

const dtypes: Readonly<Record<string, Dtype>> = {
  float32: 'float32',
  bfloat16: 'bfloat16',
  float16: 'float32',
};

/**
 * What a config says of a T5, with transformers' defaults where it is silent. A start token that is
 * not given is the padding token, as T5 has it.
 *
 * @throws RangeError that names the key whose value is unknown or out of range
 */
export function t5Config(source: ModelConfig): T5Config {
  const config = withoutAliases(source);
  check('model_type', config.model_type, config.model_type === 't5', 't5');
  const whole = (key: string, fallback: number, least = 1) =>
    number(config, key, fallback, (x) => Number.isSafeInteger(x) && x >= least, atLeast(least));
  const flag = (key: string, fallback: boolean) => boolean(config, key, fallback);

  const kind = config.feed_forward_proj ?? 'relu';
  const activation = choose(activations, String(kind), 'feed_forward_proj');
  const gated = kind === 'gated-gelu';
  agree(config, 'dense_act_fn', activation, `feed_forward_proj ${show(kind)}`);
  agree(config, 'is_gated_act', gated, `feed_forward_proj ${show(kind)}`);
  agree(config, 'is_encoder_decoder', true, 'the model_type t5');

  const vocabulary = whole('vocab_size', 32128, 2);
  const id = (key: string, fallback: number) =>
    number(config, key, fallback, isId(vocabulary), `0..${vocabulary - 1}`);
  const tied = flag('tie_word_embeddings', true);
  const layers = whole('num_layers', 6);
  const buckets = whole('relative_attention_num_buckets', 32, 4);
  const padding = id('pad_token_id', 0);
  return {
    vocab_size: vocabulary,
    d_model: whole('d_model', 512),
    d_kv: whole('d_kv', 64),
    d_ff: whole('d_ff', 2048),
    num_layers: layers,
    num_decoder_layers: whole('num_decoder_layers', layers),
    num_heads: whole('num_heads', 8),
    relative_attention_num_buckets: buckets,
    relative_attention_max_distance: whole(
      'relative_attention_max_distance',
      128,
      // Beyond the distances that have a bucket of their own.
      Math.floor(buckets / 2) + 1,
    ),
    dropout_rate: number(config, 'dropout_rate', 0.1, (x) => x >= 0 && x < 1, 'in [0, 1)'),
    layer_norm_epsilon: number(config, 'layer_norm_epsilon', 1e-6, (x) => x >= 0, atLeast(0)),
    initializer_factor: number(config, 'initializer_factor', 1, (x) => x > 0, 'above 0'),
    gated,
    tie_word_embeddings: tied,
    scale_decoder_outputs: flag('scale_decoder_outputs', tied),
    pad_token_id: padding,
    decoder_start_token_id: id('decoder_start_token_id', padding),
    eos_token_ids: endIds(config, vocabulary),
    dtype: choose(dtypes, String(config.dtype ?? 'float32').replace(/^torch\./, ''), 'dtype'),
  };
}

/**
 * The text of the config.json to write beside weights of `dtype`: what was read, and what
 * transformers would otherwise have to guess.
 */
export function configToSave(source: ModelConfig, config: T5Config, dtype: Dtype): string {
  const written = 'torch_dtype' in source && !('dtype' in source) ? 'torch_dtype' : 'dtype';
  const saved = {
    architectures: ['T5ForConditionalGeneration'],
    is_encoder_decoder: true,
    ...source,
    decoder_start_token_id: config.decoder_start_token_id,
    [written]: dtype,
  };
  return `${JSON.stringify(saved, null, 2).replace(wholeReal, '$1.0')}\n`;
}

/** Keys in which transformers refuses 1 and wants 1.0. */
const wholeReal =
  /^( {2}"(?:initializer_factor|layer_norm_epsilon|dropout_rate|classifier_dropout)": \d+)(?=,?$)/gm;

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
    throw new Error(`${path}, line ${line}, column ${column} is not JSON: ${message}`, {
      cause: error,
    });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error(`${path} is ${show(text.trim())}: expected an object in braces`);
  }
  return value as ModelConfig;
}

function withoutAliases(source: ModelConfig): Record<string, unknown> {
  const config: Record<string, unknown> = { ...source };
  for (const [alias, key] of Object.entries(aliases)) {
    if (config[alias] === undefined) continue;
    const ok = config[key] === undefined || config[key] === config[alias];
    check(alias, config[alias], ok, `${show(config[key])}, as ${key}`);
    config[key] = config[alias];
    delete config[alias];
  }
  return config;
}

function number(
  config: ModelConfig,
  key: string,
  fallback: number,
  ok: (value: number) => boolean,
  expected: string,
): number {
  const value = config[key] ?? fallback;
  check(key, value, typeof value === 'number' && ok(value), expected);
  return value as number;
}

function boolean(config: ModelConfig, key: string, fallback: boolean): boolean {
  const value = config[key] ?? fallback;
  check(key, value, typeof value === 'boolean', 'true or false');
  return value as boolean;
}

/** A key that another one decides: where it is written, it must say the same. */
function agree(config: ModelConfig, key: string, expected: unknown, decidedBy: string): void {
  const value = config[key];
  const ok = value === undefined || value === null || value === expected;
  check(key, value, ok, `${show(expected)}, as ${decidedBy} says`);
}

function endIds(config: ModelConfig, vocabulary: number): number[] {
  const value = config.eos_token_id === undefined ? 1 : config.eos_token_id;
  const ids = Array.isArray(value) ? value : value === null ? [] : [value];
  const ok = ids.every((id) => typeof id === 'number' && isId(vocabulary)(id));
  check('eos_token_id', value, ok, `0..${vocabulary - 1}, a list of such, or null`);
  return ids;
}

const atLeast = (least: number) => `at least ${least}`;
const isId = (vocabulary: number) => (x: number) => Number.isInteger(x) && x >= 0 && x < vocabulary;
