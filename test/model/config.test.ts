import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { configToSave, resolveConfig } from '../../lib/model/config/index.ts';

const test = suite('t5Config');

const parse = (changes: object = {}) => {
  const config = resolveConfig({ model_type: 't5', ...changes });
  if (config.architecture !== 't5') throw new Error(config.architecture);
  return config;
};

test('has the defaults of transformers', () => {
  const { labels, blocks, longest, files, transformersClass, ...config } = parse();
  assert.equal(
    { labels, blocks, longest, transformersClass },
    {
      labels: 'decoder ids',
      blocks: { encoder: 6, decoder: 6 },
      longest: undefined,
      transformersClass: 'T5ForConditionalGeneration',
    },
  );
  assert.is(files.embedding, 'shared.weight');
  assert.equal(config, {
    architecture: 't5',
    vocab_size: 32128,
    d_model: 512,
    d_kv: 64,
    d_ff: 2048,
    num_layers: 6,
    num_decoder_layers: 6,
    num_heads: 8,
    relative_attention_num_buckets: 32,
    relative_attention_max_distance: 128,
    dropout_rate: 0.1,
    layer_norm_epsilon: 1e-6,
    initializer_factor: 1,
    gated: false,
    tie_word_embeddings: true,
    scale_decoder_outputs: true,
    pad_token_id: 0,
    decoder_start_token_id: 0,
    eos_token_ids: [1],
    dtype: 'float32',
  });
});

test('takes no quantized weights', () => {
  const fails = (changes: object, message: RegExp) =>
    assert.throws(() => resolveConfig({ model_type: 'chatglm', ...changes }), message);
  fails({ quantization_bit: 4 }, /^quantization_bit is 4: expected none, as the weights of a/);
  const config = { quant_method: 'gptq', bits: 4 };
  fails({ quantization_config: config }, /^quantization_config is .*: expected none, as the weig/);
  resolveConfig({ model_type: 'chatglm', quantization_bit: 0, quantization_config: null });
});

test('reads old and new spellings alike', () => {
  assert.equal(
    parse({ hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4, head_dim: 16 }),
    parse({ d_model: 64, num_layers: 2, num_heads: 4, d_kv: 16 }),
  );
  assert.is(parse({ torch_dtype: 'bfloat16' }).dtype, 'bfloat16');
  assert.is(parse({ dtype: 'torch.float16' }).dtype, 'float32');
  assert.throws(
    () => parse({ d_model: 32, hidden_size: 64 }),
    /^hidden_size is 64: expected 32, as d_model$/,
  );
});

test('takes null for what is not set, as config.json has it', () => {
  const unset = { num_decoder_layers: null, decoder_start_token_id: null, dense_act_fn: null };
  assert.equal(parse({ ...unset, num_layers: 3, pad_token_id: 5, eos_token_id: null }), {
    ...parse({ num_layers: 3, pad_token_id: 5 }),
    num_decoder_layers: 3,
    decoder_start_token_id: 5,
    eos_token_ids: [],
  });
  assert.equal(parse({ eos_token_id: [1, 2] }).eos_token_ids, [1, 2]);
});

test('scales what goes into the head where the embedding is tied, or as it is told', () => {
  assert.is(parse({ tie_word_embeddings: false }).scale_decoder_outputs, false);
  assert.is(parse({ scale_decoder_outputs: false }).scale_decoder_outputs, false);
});

test('names the key whose value it does not know', () => {
  const cases: [object, RegExp][] = [
    [
      { model_type: 'bart' },
      /^model_type is "bart": expected one of t5, gpt2, codegen, llama, glm, chatglm, roberta$/,
    ],
    [
      { feed_forward_proj: 'gated-silu' },
      /^feed_forward_proj is "gated-silu": expected one of relu, gated-gelu$/,
    ],
    [{ feed_forward_proj: 'toString' }, /^feed_forward_proj is "toString": expected one of/],
    [
      { dense_act_fn: 'gelu' },
      /^dense_act_fn is "gelu": expected "relu", as feed_forward_proj "relu" says$/,
    ],
    [
      { feed_forward_proj: 'gated-gelu', is_gated_act: false },
      /^is_gated_act is false: expected true/,
    ],
    [
      { is_encoder_decoder: false },
      /^is_encoder_decoder is false: expected true, as the model_type/,
    ],
    [{ tie_word_embeddings: 'no' }, /^tie_word_embeddings is "no": expected true or false$/],
    [{ d_model: 0 }, /^d_model is 0: expected a whole number, at least 1$/],
    [{ d_model: '512' }, /^d_model is "512": expected a whole number, at least 1$/],
    [{ num_layers: 1.5 }, /^num_layers is 1\.5: expected a whole number, 1\.\.10000$/],
    [{ dropout_rate: 1 }, /^dropout_rate is 1: expected in \[0, 1\)$/],
    [
      { relative_attention_num_buckets: 2 },
      /^relative_attention_num_buckets is 2: expected a whole number, at least 4$/,
    ],
    [
      { relative_attention_max_distance: 16 },
      /^relative_attention_max_distance is 16: expected a whole number, at least 17$/,
    ],
    [{ vocab_size: 100, pad_token_id: 100 }, /^pad_token_id is 100: expected 0\.\.99$/],
    [
      { vocab_size: 100, eos_token_id: [1, 100] },
      /^eos_token_id is 1,100: expected 0\.\.99, a list/,
    ],
    [{ dtype: 'int8' }, /^dtype is "int8": expected one of float32, bfloat16, float16$/],
  ];
  for (const [changes, message] of cases) assert.throws(() => parse(changes), message);
});

test('writes numbers as transformers wants them: 1.0 where it takes no 1', () => {
  const source = { model_type: 't5', initializer_factor: 1, d_model: 64, dropout_rate: 0 };
  const text = configToSave(source, resolveConfig(source), 'float32');
  assert.match(text, /"initializer_factor": 1\.0,\n/);
  assert.match(text, /"dropout_rate": 0\.0,\n/);
  assert.match(text, /"d_model": 64,\n/);
  assert.equal(JSON.parse(text), {
    architectures: ['T5ForConditionalGeneration'],
    is_encoder_decoder: true,
    ...source,
    decoder_start_token_id: 0,
    dtype: 'float32',
  });
});

test('reads rotary positions by old keys and by new ones', () => {
  const read = (changes: object) => {
    const config = resolveConfig({ model_type: 'llama', head_dim: 64, ...changes });
    if (config.architecture !== 'causal') throw new Error(config.architecture);
    return config.rotary;
  };
  // DeepSeek-Coder, as its config.json has it, and as transformers 5 writes it.
  const old = read({ rope_theta: 100_000, rope_scaling: { factor: 4, type: 'linear' } });
  const now = { rope_type: 'linear', rope_theta: 100_000, factor: 4 };
  assert.equal(read({ rope_parameters: now }), old);
  assert.is(old.scaling, 'linear');
  assert.is(old.theta, 100_000);
  assert.is(old.width, 64);
  assert.is(read({ partial_rotary_factor: 0.5 }).width, 32);
  // Both: as LlamaConfig of transformers 5.23 answers.
  const kept = { rope_type: 'default', rope_theta: 5e5 };
  const both = read({ rope_parameters: kept, rope_scaling: { type: 'linear', factor: 2 } });
  assert.equal([both.scaling, both.factor, both.theta], ['linear', 2, 10_000]);
});

test('names what it does not know of a decoder-only model or an encoder', () => {
  const classifies = { architectures: ['RobertaForSequenceClassification'] };
  const cases: [object, RegExp][] = [
    [
      { model_type: 'llama', rope_scaling: { rope_type: 'yarn', factor: 4 } },
      /^rope_scaling\.rope_type is "yarn": expected one of default, linear, dynamic, llama3$/,
    ],
    [
      { model_type: 'llama', rope_scaling: { type: 'linear' } },
      /^rope_scaling\.factor is undefined: expected above 0$/,
    ],
    [
      { model_type: 'llama', rope_scaling: { type: 'linear', rope_type: 'default', factor: 2 } },
      /^rope_scaling\.rope_type is "default": expected "linear", as its type$/,
    ],
    [
      { model_type: 'llama', hidden_size: 18, num_attention_heads: 6 },
      /^head_dim is 3: expected one of which an even count of numbers turns$/,
    ],
    [
      { model_type: 'roberta', ...classifies, num_labels: 1 },
      /^num_labels is 1: expected a whole number, at least 2$/,
    ],
    [
      { model_type: 'roberta', ...classifies, problem_type: 'regression' },
      /^problem_type is "regression": expected "single_label_classification", as a text has one class/,
    ],
    [
      { model_type: 'llama', num_hidden_layers: 1e9 },
      /^num_hidden_layers is 1000000000: expected a whole number, 1\.\.10000$/,
    ],
    [{ model_type: 'llama', hidden_act: 'mish' }, /^hidden_act is "mish": expected one of gelu/],
    [
      { model_type: 'llama', num_attention_heads: 6, num_key_value_heads: 4 },
      /^num_key_value_heads is 4: expected a divisor of 6, the heads$/,
    ],
    [
      { model_type: 'gpt2', n_embd: 10, n_head: 4 },
      /^n_head is 4: expected a divisor of 10, the n_embd$/,
    ],
    [{ model_type: 'gpt2', hidden_size: 8, n_embd: 16 }, /^hidden_size is 8: expected 16, as/],
    [
      { model_type: 'gpt2', scale_attn_weights: false },
      /^scale_attn_weights is false: expected true, as others are not built$/,
    ],
    [{ model_type: 'codegen', n_head: 6, n_embd: 12 }, /^n_head is 6: expected a multiple of 4$/],
    [
      { model_type: 'codegen', n_embd: 16, n_head: 4, rotary_dim: null },
      /^rotary_dim is null: expected a whole number$/,
    ],
    [
      { model_type: 'codegen', n_embd: 16, n_head: 4, rotary_dim: 64 },
      /^rotary_dim is 64: expected even, and at most 4, the width of a head$/,
    ],
    [{ model_type: 'chatglm', rmsnorm: false }, /^rmsnorm is false: expected true/],
    [
      { model_type: 'roberta', position_embedding_type: 'relative_key' },
      /^position_embedding_type is "relative_key": expected "absolute"/,
    ],
    [
      { model_type: 'roberta', tie_word_embeddings: false },
      /^tie_word_embeddings is false: expected true, as a masked language model is built with one/,
    ],
    [
      { model_type: 'roberta', architectures: ['RobertaForTokenClassification'] },
      /^architectures\[0\] is "RobertaForTokenClassification": expected one of RobertaForMaskedLM, .*, or a head: masked-lm, classification, seq2seq$/,
    ],
  ];
  for (const [config, message] of cases) {
    assert.throws(() => resolveConfig(config as { model_type: string }), message);
  }
  assert.throws(
    () => resolveConfig({ model_type: 'gpt2' }, { head: 'seq2seq' }),
    /^head is "seq2seq": expected none, as a gpt2 has one of its own$/,
  );
});

test.run();
