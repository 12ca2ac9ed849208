import { show } from '../../check.ts';
import { Fields, type ModelConfig, withoutAliases } from './fields.ts';
import type { CommonConfig } from './index.ts';

/** What native/trainer/t5.h calls T5Config, with its names, and what only JavaScript needs. */
export interface T5Config extends CommonConfig {
  architecture: 't5';
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
  scale_decoder_outputs: boolean;
  decoder_start_token_id: number;
}

const aliases: Readonly<Record<string, string>> = {
  hidden_size: 'd_model',
  num_attention_heads: 'num_heads',
  num_hidden_layers: 'num_layers',
  head_dim: 'd_kv',
};

/** The activation that goes with each kind of feed-forward layer. */
const activations = { relu: 'relu', 'gated-gelu': 'gelu_new' } as const;

/**
 * What a config says of a T5. A start token that is not given is the padding token, as T5 has it.
 *
 * @throws RangeError that names the key whose value is unknown or out of range
 */
export function t5Config(source: ModelConfig): T5Config {
  const config = new Fields(withoutAliases(source, aliases));
  const kind = config.get('feed_forward_proj') ?? 'relu';
  const activation = config.choice('feed_forward_proj', 'relu', activations);
  const gated = kind === 'gated-gelu';
  config.agree('dense_act_fn', activation, `as feed_forward_proj ${show(kind)} says`);
  config.agree('is_gated_act', gated, `as feed_forward_proj ${show(kind)} says`);
  config.agree('is_encoder_decoder', true, 'as the model_type t5 says');

  const vocabulary = config.whole('vocab_size', 32128, 2);
  const tied = config.flag('tie_word_embeddings', true);
  const layers = config.layers('num_layers', 6);
  const decoderLayers = config.layers('num_decoder_layers', layers);
  const buckets = config.whole('relative_attention_num_buckets', 32, 4);
  const padding = config.id('pad_token_id', 0, vocabulary);
  return {
    architecture: 't5',
    vocab_size: vocabulary,
    d_model: config.whole('d_model', 512),
    d_kv: config.whole('d_kv', 64),
    d_ff: config.whole('d_ff', 2048),
    num_layers: layers,
    num_decoder_layers: decoderLayers,
    num_heads: config.whole('num_heads', 8),
    relative_attention_num_buckets: buckets,
    relative_attention_max_distance: config.whole(
      'relative_attention_max_distance',
      128,
      // Beyond the distances that have a bucket of their own.
      Math.floor(buckets / 2) + 1,
    ),
    dropout_rate: config.rate('dropout_rate', 0.1),
    layer_norm_epsilon: config.atLeast0('layer_norm_epsilon', 1e-6),
    initializer_factor: config.positive('initializer_factor', 1),
    gated,
    tie_word_embeddings: tied,
    scale_decoder_outputs: config.flag('scale_decoder_outputs', tied),
    pad_token_id: padding,
    decoder_start_token_id: config.id('decoder_start_token_id', padding, vocabulary),
    eos_token_ids: config.endIds([1], vocabulary),
    labels: 'decoder ids',
    blocks: { encoder: layers, decoder: decoderLayers },
    longest: undefined,
    files: {
      prefixes: [],
      aliases: [
        ['encoder.embed_tokens.weight', 'shared.weight'],
        ['decoder.embed_tokens.weight', 'shared.weight'],
      ],
      // Written by old versions, read by none.
      ignored: [
        'decoder\\.block\\.0\\.layer\\.1\\.EncDecAttention\\.relative_attention_bias\\.weight',
      ],
      fresh: [],
      seed: 0,
      embedding: 'shared.weight',
      head: 'lm_head.weight',
    },
    transformersClass: 'T5ForConditionalGeneration',
  };
}
