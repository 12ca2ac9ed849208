import { check, choose } from '../../check.ts';
import { activations } from './activations.ts';
import { Fields, type ModelConfig } from './fields.ts';
import type { CommonConfig, FileNames, HeadOptions } from './index.ts';

export type RobertaHead = 'masked-lm' | 'classification' | 'seq2seq';

/** What native/trainer/roberta.h calls RobertaConfig, with its names. */
export interface RobertaConfig extends CommonConfig {
  architecture: 'roberta';
  hidden_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  intermediate_size: number;
  hidden_act: string;
  hidden_dropout: number;
  attention_dropout: number;
  classifier_dropout: number;
  max_position_embeddings: number;
  type_vocab_size: number;
  layer_norm_eps: number;
  initializer_range: number;
  head: RobertaHead;
  num_labels: number;
  decoder_layers: number;
  decoder_ffn_dim: number;
  decoder_dropout: number;
  decoder_start_token_id: number;
}

interface Head {
  transformersClass: string;
  labels: CommonConfig['labels'];
  /** What the encoder's names begin with. */
  prefix: string;
  /** What the head's names begin with. */
  own: string[];
  /** Of other heads. */
  ignored: string;
}

const heads: Readonly<Record<RobertaHead, Head>> = {
  'masked-lm': {
    transformersClass: 'RobertaForMaskedLM',
    labels: 'ids',
    prefix: 'roberta.',
    own: ['lm_head.'],
    ignored: 'classifier\\..*',
  },
  classification: {
    transformersClass: 'RobertaForSequenceClassification',
    labels: 'rows',
    prefix: 'roberta.',
    own: ['classifier.'],
    ignored: 'lm_head\\..*',
  },
  // The authors' class; transformers has none.
  seq2seq: {
    transformersClass: 'Seq2Seq',
    labels: 'decoder ids',
    prefix: 'encoder.',
    own: ['decoder.', 'dense.'],
    ignored: '(classifier\\..*|lm_head\\.(bias|(dense|layer_norm|decoder)\\..*)|bias)',
  },
};

/**
 * What a config says of a RoBERTa (CodeBERT, GraphCodeBERT), and which head is on it: `head`, or what
 * `architectures` names, or a masked language model.
 *
 * With seq2seq the decoder is the study's: six layers of PyTorch's TransformerDecoder with its 2048
 * inner units and dropout 0.1 (the config may say otherwise: `decoder_layers`, `decoder_ffn_dim`,
 * `decoder_dropout`), its output multiplied with the embedding after one more layer and tanh.
 *
 * @throws RangeError that names the key whose value is unknown or out of range
 */
export function robertaConfig(source: ModelConfig, options: HeadOptions = {}): RobertaConfig {
  const config = new Fields(source);
  config.agree('position_embedding_type', 'absolute', 'as others are not built');
  config.agree('is_decoder', false, 'as a RoBERTa reads both sides');
  config.agree('add_cross_attention', false, 'as a RoBERTa reads both sides');
  const name = options.head ?? headOf(source);
  const head = choose(heads, name, 'head');
  // An untied head has two biases in transformers, of which it reads one.
  if (name === 'masked-lm') {
    config.agree('tie_word_embeddings', true, 'as a masked language model is built with one table');
  }

  const vocabulary = config.whole('vocab_size', 50265, 2);
  const width = config.whole('hidden_size', 768);
  const attentionHeads = config.whole('num_attention_heads', 12);
  const divides = width % attentionHeads === 0;
  check('num_attention_heads', attentionHeads, divides, `a divisor of ${width}, the hidden_size`);
  const layers = config.layers('num_hidden_layers', 12);
  const padding = config.id('pad_token_id', 1, vocabulary);
  const positions = config.whole('max_position_embeddings', 512, padding + 2);
  const dropout = config.rate('hidden_dropout_prob', 0.1);
  const decoderLayers = config.layers('decoder_layers', 6);
  const first = config.id('bos_token_id', 0, vocabulary);
  check(
    'bos_token_id',
    first,
    name !== 'seq2seq' || first !== padding,
    'another id than pad_token_id',
  );
  return {
    architecture: 'roberta',
    vocab_size: vocabulary,
    hidden_size: width,
    num_hidden_layers: layers,
    num_attention_heads: attentionHeads,
    intermediate_size: config.whole('intermediate_size', 3072),
    hidden_act: config.choice('hidden_act', 'gelu', activations),
    hidden_dropout: dropout,
    attention_dropout: config.rate('attention_probs_dropout_prob', 0.1),
    classifier_dropout: config.rate('classifier_dropout', dropout),
    max_position_embeddings: positions,
    type_vocab_size: config.whole('type_vocab_size', 2),
    layer_norm_eps: config.positive('layer_norm_eps', 1e-12),
    initializer_range: config.positive('initializer_range', 0.02),
    head: name,
    num_labels: labelCount(config, name),
    decoder_layers: decoderLayers,
    decoder_ffn_dim: config.whole('decoder_ffn_dim', 2048),
    decoder_dropout: config.rate('decoder_dropout', 0.1),
    tie_word_embeddings: name === 'seq2seq' || config.flag('tie_word_embeddings', true),
    pad_token_id: padding,
    decoder_start_token_id: first,
    eos_token_ids: config.endIds([2], vocabulary),
    labels: head.labels,
    blocks: name === 'seq2seq' ? { encoder: layers, decoder: decoderLayers } : { encoder: layers },
    // The first one is number pad + 1 of the table.
    longest: positions - padding - 1,
    files: fileNames(head, options),
    transformersClass: head.transformersClass,
  };
}

function headOf({ architectures }: ModelConfig): RobertaHead {
  if (!Array.isArray(architectures) || architectures.length === 0) return 'masked-lm';
  const classes = Object.values(heads).map(({ transformersClass }) => transformersClass);
  const at = classes.indexOf(String(architectures[0]));
  // A bare encoder, as CodeBERT is published, becomes whatever one asks for.
  const expected = `one of ${classes.join(', ')}, or a head: ${Object.keys(heads).join(', ')}`;
  check('architectures[0]', architectures[0], at >= 0, expected);
  return Object.keys(heads)[at] as RobertaHead;
}

function labelCount(config: Fields, head: RobertaHead): number {
  if (head === 'classification') {
    const only = 'as a text has one class of several here';
    config.agree('problem_type', 'single_label_classification', only);
  }
  const names = config.get('id2label');
  const named = typeof names === 'object' ? Object.keys(names as object).length : undefined;
  return config.whole('num_labels', named ?? 2, head === 'classification' ? 2 : 1);
}

function fileNames({ prefix, own, ignored }: Head, { head, seed = 0 }: HeadOptions): FileNames {
  const embedding = `${prefix}embeddings.word_embeddings.weight`;
  const decodes = own.includes('decoder.');
  return {
    prefixes: [
      ['roberta.', prefix],
      ['', prefix],
    ],
    aliases: [
      ['lm_head.decoder.bias', 'lm_head.bias'],
      ...(decodes ? ([['lm_head.weight', embedding]] as [string, string][]) : []),
    ],
    ignored: [
      '.*pooler\\..*',
      '.*embeddings\\.position_ids',
      ...(head === undefined && !decodes ? [] : [ignored]),
    ],
    // A head that was asked for may be new; one that the config names must be there.
    fresh: head === undefined ? [] : own,
    seed,
    embedding,
    head: decodes ? '' : 'lm_head.decoder.weight',
  };
}
