import { check } from '../../check.ts';
import { activations } from './activations.ts';
import { Fields, type ModelConfig, withoutAliases } from './fields.ts';
import type { CommonConfig } from './index.ts';
import { noRotary, type RotaryConfig, rotaryConfig } from './rotary.ts';

/** What native/trainer/causal.h calls CausalConfig, with its names. */
export interface CausalConfig extends CommonConfig {
  architecture: 'causal';
  width: number;
  layers: number;
  heads: number;
  key_value_heads: number;
  head_width: number;
  inner_width: number;
  rms_norm: boolean;
  norm_epsilon: number;
  activation: string;
  positions: number;
  rotary: RotaryConfig;
  parallel: boolean;
  transposed: boolean;
  qkv: 'separate' | 'fused' | 'codegen';
  gate: 'none' | 'separate' | 'fused';
  qkv_bias: boolean;
  out_bias: boolean;
  feed_forward_bias: boolean;
  head_bias: boolean;
  embedding_dropout: number;
  attention_dropout: number;
  residual_dropout: number;
  initializer_range: number;
  smaller_outputs: boolean;
  padding_index: number;
  names: Readonly<Record<string, string>>;
}

/** What the weights of a family are called. */
interface Names {
  embedding: string;
  positions?: string;
  blocks: string;
  norm1: string;
  q?: string;
  k?: string;
  v?: string;
  qkv?: string;
  out: string;
  norm2?: string;
  gate?: string;
  up: string;
  down: string;
  final_norm: string;
  head: string;
}

/** Keys that a family reads or fixes; the rest follows from them. */
type Family = (config: Fields) => Omit<CausalConfig, keyof Derived>;
type Derived = Pick<
  CausalConfig,
  | 'architecture'
  | 'labels'
  | 'blocks'
  | 'names'
  | 'files'
  | 'transformersClass'
  | 'pad_token_id'
  | 'embedding_dropout'
  | 'attention_dropout'
  | 'residual_dropout'
  | 'initializer_range'
>;

interface Architecture {
  read: Family;
  aliases: Readonly<Record<string, string>>;
  names: Names;
  /** What a file of the model without its head leaves out. */
  prefix: string;
  ignored: string[];
  transformersClass: string;
}

const gptAliases = {
  hidden_size: 'n_embd',
  max_position_embeddings: 'n_positions',
  num_attention_heads: 'n_head',
  num_hidden_layers: 'n_layer',
};

const llamaNames: Names = {
  embedding: 'model.embed_tokens',
  blocks: 'model.layers.',
  norm1: 'input_layernorm',
  q: 'self_attn.q_proj',
  k: 'self_attn.k_proj',
  v: 'self_attn.v_proj',
  out: 'self_attn.o_proj',
  norm2: 'post_attention_layernorm',
  gate: 'mlp.gate_proj',
  up: 'mlp.up_proj',
  down: 'mlp.down_proj',
  final_norm: 'model.norm',
  head: 'lm_head',
};

const gptNames: Names = {
  embedding: 'transformer.wte',
  positions: 'transformer.wpe',
  blocks: 'transformer.h.',
  norm1: 'ln_1',
  qkv: 'attn.c_attn',
  out: 'attn.c_proj',
  norm2: 'ln_2',
  up: 'mlp.c_fc',
  down: 'mlp.c_proj',
  final_norm: 'transformer.ln_f',
  head: 'lm_head',
};

/** By `model_type`. */
const architectures: Readonly<Record<string, Architecture>> = {
  gpt2: {
    read: gpt2,
    aliases: gptAliases,
    names: gptNames,
    prefix: 'transformer.',
    ignored: ['.*\\.attn\\.(bias|masked_bias)'],
    transformersClass: 'GPT2LMHeadModel',
  },
  codegen: {
    read: codegen,
    aliases: gptAliases,
    names: {
      ...gptNames,
      qkv: 'attn.qkv_proj',
      out: 'attn.out_proj',
      up: 'mlp.fc_in',
      down: 'mlp.fc_out',
    },
    prefix: 'transformer.',
    ignored: ['.*\\.attn\\.(causal_mask|bias|masked_bias|scale_attn|embed_positions)'],
    transformersClass: 'CodeGenForCausalLM',
  },
  llama: {
    read: llama,
    aliases: {},
    names: llamaNames,
    prefix: 'model.',
    ignored: ['.*rotary_emb\\.inv_freq'],
    transformersClass: 'LlamaForCausalLM',
  },
  glm: {
    read: glm,
    aliases: {},
    names: { ...llamaNames, up: 'mlp.gate_up_proj' },
    prefix: 'model.',
    ignored: ['.*rotary_emb\\.inv_freq'],
    transformersClass: 'GlmForCausalLM',
  },
  chatglm: {
    read: chatglm,
    aliases: {},
    names: {
      embedding: 'transformer.embedding.word_embeddings',
      blocks: 'transformer.encoder.layers.',
      norm1: 'input_layernorm',
      qkv: 'self_attention.query_key_value',
      out: 'self_attention.dense',
      norm2: 'post_attention_layernorm',
      up: 'mlp.dense_h_to_4h',
      down: 'mlp.dense_4h_to_h',
      final_norm: 'transformer.encoder.final_layernorm',
      head: 'transformer.output_layer',
    },
    prefix: 'transformer.',
    ignored: ['.*rotary_pos_emb\\.inv_freq'],
    transformersClass: 'ChatGLMForConditionalGeneration',
  },
};

export const causalTypes = Object.keys(architectures);

/**
 * What a config says of a decoder-only model.
 *
 * @throws RangeError that names the key whose value is unknown or out of range
 */
export function causalConfig(source: ModelConfig): CausalConfig {
  const { read, aliases, names, prefix, ignored, transformersClass } =
    architectures[String(source.model_type)]!;
  const config = new Fields(withoutAliases(source, aliases));
  const own = read(config);
  const { heads, key_value_heads: others } = own;
  check('num_key_value_heads', others, heads % others === 0, `a divisor of ${heads}, the heads`);
  return {
    embedding_dropout: config.rate('embd_pdrop', own.positions > 0 ? 0.1 : 0),
    attention_dropout: config.rate(
      own.positions > 0 || own.parallel ? 'attn_pdrop' : 'attention_dropout',
      own.positions > 0 ? 0.1 : 0,
    ),
    residual_dropout: config.rate('resid_pdrop', own.positions > 0 ? 0.1 : 0),
    initializer_range: config.positive('initializer_range', 0.02),
    ...own,
    architecture: 'causal',
    labels: 'next ids',
    blocks: { decoder: own.layers },
    pad_token_id: config.id('pad_token_id', 0, own.vocab_size),
    names: { ...names },
    files: {
      prefixes: [['', prefix]],
      aliases: [],
      ignored,
      fresh: [],
      seed: 0,
      embedding: `${names.embedding}.weight`,
      head: `${names.head}.weight`,
    },
    transformersClass,
  };
}

function gpt2(config: Fields) {
  config.agree('scale_attn_weights', true, 'as others are not built');
  config.agree('scale_attn_by_inverse_layer_idx', false, 'as others are not built');
  config.agree('reorder_and_upcast_attn', false, 'as others are not built');
  config.agree('add_cross_attention', false, 'as a decoder alone has nothing to read');
  const positions = config.whole('n_positions', 1024);
  return {
    ...gptShape(config, { vocabulary: 50257, width: 768, layers: 12, heads: 12 }),
    positions,
    longest: positions,
    rotary: noRotary,
    parallel: false,
    transposed: true,
    qkv: 'fused' as const,
    qkv_bias: true,
    out_bias: true,
    head_bias: false,
    tie_word_embeddings: config.flag('tie_word_embeddings', true),
    smaller_outputs: true,
  };
}

function codegen(config: Fields) {
  const shape = gptShape(config, { vocabulary: 50400, width: 4096, layers: 28, heads: 16 });
  check('n_head', shape.heads, shape.heads % 4 === 0, 'a multiple of 4');
  const turned = config.whole('rotary_dim', 64, 2);
  // transformers would turn more than a head has then, and fails.
  if (config.isNull('rotary_dim')) check('rotary_dim', null, false, 'a whole number');
  const ok = turned % 2 === 0 && turned <= shape.head_width;
  check('rotary_dim', turned, ok, `even, and at most ${shape.head_width}, the width of a head`);
  return {
    ...shape,
    positions: 0,
    longest: config.whole('n_positions', 2048),
    rotary: { ...noRotary, width: turned, interleaved: true },
    parallel: true,
    transposed: false,
    qkv: 'codegen' as const,
    qkv_bias: false,
    out_bias: false,
    head_bias: true,
    tie_word_embeddings: config.flag('tie_word_embeddings', false),
    smaller_outputs: false,
  };
}

interface Shape {
  vocabulary: number;
  width: number;
  layers: number;
  heads: number;
}

/** What GPT-2 and CodeGen have in common. */
function gptShape(config: Fields, defaults: Shape) {
  const vocabulary = config.whole('vocab_size', defaults.vocabulary, 2);
  const width = config.whole('n_embd', defaults.width);
  const heads = config.whole('n_head', defaults.heads);
  check('n_head', heads, width % heads === 0, `a divisor of ${width}, the n_embd`);
  return {
    vocab_size: vocabulary,
    width,
    layers: config.layers('n_layer', defaults.layers),
    heads,
    key_value_heads: heads,
    head_width: width / heads,
    inner_width: config.whole('n_inner', 4 * width),
    rms_norm: false,
    norm_epsilon: config.positive('layer_norm_epsilon', 1e-5),
    activation: config.choice('activation_function', 'gelu_new', activations),
    gate: 'none' as const,
    feed_forward_bias: true,
    padding_index: -1,
    eos_token_ids: config.endIds([50256], vocabulary),
  };
}

function llama(config: Fields) {
  const shape = llamaShape(config, { vocabulary: 32000, width: 4096, layers: 32, heads: 32 });
  const headWidth = config.whole('head_dim', Math.floor(shape.width / shape.heads));
  const bias = config.flag('attention_bias', false);
  return {
    ...shape,
    key_value_heads: config.whole('num_key_value_heads', shape.heads),
    head_width: headWidth,
    inner_width: config.whole('intermediate_size', 11008),
    norm_epsilon: config.positive('rms_norm_eps', 1e-6),
    rotary: rotaryConfig(config, { headWidth, share: 1, interleaved: false }),
    qkv: 'separate' as const,
    gate: 'separate' as const,
    qkv_bias: bias,
    out_bias: bias,
    feed_forward_bias: config.flag('mlp_bias', false),
    padding_index: paddingIndex(config, undefined, shape.vocab_size),
    eos_token_ids: config.endIds([2], shape.vocab_size),
  };
}

function glm(config: Fields) {
  const shape = llamaShape(config, { vocabulary: 151552, width: 4096, layers: 40, heads: 32 });
  const headWidth = config.whole('head_dim', 128);
  return {
    ...shape,
    key_value_heads: config.whole('num_key_value_heads', 2),
    head_width: headWidth,
    inner_width: config.whole('intermediate_size', 13696),
    norm_epsilon: config.positive('rms_norm_eps', 1.5625e-7),
    rotary: rotaryConfig(config, { headWidth, share: 0.5, interleaved: true }),
    qkv: 'separate' as const,
    gate: 'fused' as const,
    qkv_bias: config.flag('attention_bias', true),
    out_bias: false,
    feed_forward_bias: false,
    padding_index: paddingIndex(config, 151329, shape.vocab_size),
    eos_token_ids: config.endIds([151329, 151336, 151338], shape.vocab_size),
  };
}

/** What LLaMA and GLM have in common. */
function llamaShape(config: Fields, defaults: Shape) {
  return {
    vocab_size: config.whole('vocab_size', defaults.vocabulary, 2),
    width: config.whole('hidden_size', defaults.width),
    layers: config.layers('num_hidden_layers', defaults.layers),
    heads: config.whole('num_attention_heads', defaults.heads),
    activation: config.choice('hidden_act', 'silu', activations),
    tie_word_embeddings: config.flag('tie_word_embeddings', false),
    ...rmsNormed,
  };
}

/** What every model with RMSNorm and rotary positions has. */
const rmsNormed = {
  rms_norm: true,
  positions: 0,
  longest: undefined,
  parallel: false,
  transposed: false,
  head_bias: false,
  smaller_outputs: false,
};

/** GLM by the names that its authors' code has (CodeGeeX2 and CodeGeeX4). */
function chatglm(config: Fields) {
  const why = 'as others are not built';
  config.agree('rmsnorm', true, why);
  config.agree('post_layer_norm', true, why);
  config.agree('apply_residual_connection_post_layernorm', false, why);
  config.agree('interleaved_qkv', false, why);
  config.agree('original_rope', true, why);
  const heads = config.whole('num_attention_heads', 32);
  const headWidth = config.whole('kv_channels', 128);
  const shared = config.flag('multi_query_attention', false);
  const bias = config.flag('add_bias_linear', false);
  const vocabulary = config.whole('padded_vocab_size', 65024, 2);
  return {
    vocab_size: vocabulary,
    width: config.whole('hidden_size', 4096),
    layers: config.layers('num_layers', 28),
    heads,
    key_value_heads: shared ? config.whole('multi_query_group_num', 1) : heads,
    head_width: headWidth,
    inner_width: config.whole('ffn_hidden_size', 13696),
    norm_epsilon: config.positive('layernorm_epsilon', 1e-5),
    activation: 'silu',
    rotary: {
      ...noRotary,
      width: headWidth / 2,
      interleaved: true,
      theta: 10_000 * config.positive('rope_ratio', 1),
    },
    qkv: 'fused' as const,
    gate: 'fused' as const,
    qkv_bias: bias || config.flag('add_qkv_bias', false),
    out_bias: bias,
    feed_forward_bias: bias,
    tie_word_embeddings: config.flag('tie_word_embeddings', false),
    residual_dropout: config.rate('hidden_dropout', 0),
    padding_index: -1,
    eos_token_ids: config.endIds([2], vocabulary),
    ...rmsNormed,
  };
}

/** The row of the embedding that learns nothing, where transformers gives the embedding one. */
function paddingIndex(config: Fields, fallback: number | undefined, vocabulary: number): number {
  if (config.get('pad_token_id') !== undefined) return config.id('pad_token_id', 0, vocabulary);
  return fallback !== undefined && fallback < vocabulary ? fallback : -1;
}
