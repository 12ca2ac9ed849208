import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ModelConfig, Tokenizer } from '../../lib/index.ts';
import { Model, type RobertaHead } from '../../lib/model/index.ts';
import { train } from '../../lib/train.ts';
import { fixturePath } from './fixture.ts';

const test = suite('the models of the study');

interface Published {
  /** Of test/fixtures/tokenizers: the files that the model comes with. */
  tokenizer: string;
  /** Every key of its config.json as published, but for sizes, which are small, and ids, which follow. */
  config: ModelConfig;
  head?: RobertaHead;
}

const roberta = {
  ...{ attention_probs_dropout_prob: 0.1, hidden_act: 'gelu', hidden_dropout_prob: 0.1 },
  ...{ hidden_size: 16, initializer_range: 0.02, intermediate_size: 24, layer_norm_eps: 1e-5 },
  ...{ max_position_embeddings: 514, model_type: 'roberta', num_attention_heads: 4 },
  ...{ num_hidden_layers: 2, output_past: true, type_vocab_size: 1 },
};
const t5 = {
  ...{ architectures: ['T5ForConditionalGeneration'], d_ff: 24, d_kv: 4, d_model: 16 },
  ...{ dropout_rate: 0.1, feed_forward_proj: 'relu', gradient_checkpointing: false },
  ...{ id2label: { 0: 'LABEL_0' }, label2id: { LABEL_0: 0 }, initializer_factor: 1 },
  ...{ is_encoder_decoder: true, layer_norm_epsilon: 1e-6, model_type: 't5', n_positions: 512 },
  ...{ num_decoder_layers: 2, num_heads: 4, num_layers: 2, output_past: true },
  ...{ relative_attention_num_buckets: 32, use_cache: true },
  task_specific_params: { summarization: { early_stopping: true, prefix: 'summarize: ' } },
};
const gpt = {
  ...{ activation_function: 'gelu_new', initializer_range: 0.02, layer_norm_epsilon: 1e-5 },
  ...{ n_ctx: 2048, n_embd: 16, n_head: 4, n_layer: 2, n_positions: 2048 },
  ...{ summary_activation: null, summary_first_dropout: 0.1, summary_proj_to_labels: true },
  ...{ summary_type: 'cls_index', summary_use_proj: true },
  task_specific_params: { 'text-generation': { do_sample: true, max_length: 50 } },
};
const llama = {
  ...{ architectures: ['LlamaForCausalLM'], hidden_act: 'silu', hidden_size: 16 },
  ...{ initializer_range: 0.02, intermediate_size: 24, max_position_embeddings: 16384 },
  ...{ model_type: 'llama', num_attention_heads: 4, num_hidden_layers: 2, num_key_value_heads: 4 },
  ...{ pretraining_tp: 1, tie_word_embeddings: false, torch_dtype: 'bfloat16', use_cache: true },
};
const chatglm = {
  ...{ add_bias_linear: false, add_qkv_bias: true, apply_query_key_layer_scaling: true },
  ...{ apply_residual_connection_post_layernorm: false, attention_dropout: 0 },
  ...{ architectures: ['ChatGLMModel'], attention_softmax_in_fp32: true },
  ...{ bias_dropout_fusion: true, ffn_hidden_size: 24, fp32_residual_connection: false },
  ...{ hidden_dropout: 0, hidden_size: 16, kv_channels: 8, model_type: 'chatglm' },
  ...{ multi_query_attention: true, multi_query_group_num: 2, num_attention_heads: 4 },
  ...{ num_layers: 2, original_rope: true, post_layer_norm: true, rmsnorm: true },
  ...{ tie_word_embeddings: false, torch_dtype: 'bfloat16', use_cache: true },
  auto_map: { AutoModel: 'modeling_chatglm.ChatGLMForConditionalGeneration' },
};

const models: Record<string, Published> = {
  CodeBERT: {
    tokenizer: 'files-roberta',
    config: { ...roberta, architectures: ['RobertaModel'] },
    head: 'seq2seq',
  },
  GraphCodeBERT: {
    tokenizer: 'files-roberta',
    config: { ...roberta, architectures: ['RobertaForMaskedLM'], gradient_checkpointing: false },
    head: 'seq2seq',
  },
  'CodeGen-350M': {
    tokenizer: 'files-codegen',
    config: {
      ...gpt,
      ...{ architectures: ['CodeGenForCausalLM'], model_type: 'codegen', rotary_dim: 2 },
      ...{ attn_pdrop: 0, embd_pdrop: 0, resid_pdrop: 0, n_inner: null, use_cache: true },
      ...{ gradient_checkpointing: false, scale_attn_weights: true, tie_word_embeddings: false },
      ...{ tokenizer_class: 'GPT2Tokenizer', torch_dtype: 'float16' },
    },
  },
  CodeT5: { tokenizer: 'files-codet5', config: t5 },
  'CodeT5+': {
    tokenizer: 'files-codet5',
    config: {
      ...t5,
      ...{ dense_act_fn: 'relu', is_gated_act: false, relative_attention_max_distance: 128 },
      torch_dtype: 'float16',
    },
  },
  CodeGeeX2: {
    tokenizer: 'files-codegeex2',
    config: {
      ...chatglm,
      ...{ interleaved_qkv: false, layernorm_epsilon: 1e-5, quantization_bit: 0 },
      ...{ rotary_percent: 0.5, seq_length: 8192 },
    },
  },
  CodeGeeX4: {
    tokenizer: 'files-glm4',
    config: {
      ...chatglm,
      ...{ classifier_dropout: null, layernorm_epsilon: 1.5625e-7, rope_ratio: 500 },
      seq_length: 131072,
    },
  },
  CodeLlama: {
    tokenizer: 'files-codellama',
    config: { ...llama, rms_norm_eps: 1e-5, rope_scaling: null, rope_theta: 1000000 },
  },
  'DeepSeek-Coder': {
    tokenizer: 'files-deepseek',
    config: {
      ...llama,
      ...{ rms_norm_eps: 1e-6, rope_theta: 100000, rope_scaling: { factor: 4, type: 'linear' } },
    },
  },
  'GPT-2': {
    tokenizer: 'files-gpt2',
    config: {
      ...gpt,
      ...{ architectures: ['GPT2LMHeadModel'], model_type: 'gpt2' },
      ...{ attn_pdrop: 0.1, embd_pdrop: 0.1, resid_pdrop: 0.1 },
    },
  },
};

const examples = Array.from({ length: 6 }, (_, i) => ({
  id: `${i}`,
  prompt: `def add_${i}(x):\n    `,
  completion: `return x + ${i}`,
}));

/** The directory as a user has it: config, tokenizer and weights, which are drawn here. */
async function makeDirectory(
  directory: string,
  { tokenizer, config, head }: Published,
): Promise<ModelConfig> {
  await cp(fixturePath(`tokenizers/${tokenizer}`), directory, { recursive: true });
  await writeFile(join(directory, 'config.json'), JSON.stringify(config));
  const { vocabularySize, padTokenId, bosTokenId, eosTokenId } = await Tokenizer.load(directory);
  const size = config.model_type === 'chatglm' ? 'padded_vocab_size' : 'vocab_size';
  const settings = {
    ...config,
    [size]: vocabularySize + 5,
    ...(padTokenId !== undefined && { pad_token_id: padTokenId }),
    ...(bosTokenId !== undefined && { bos_token_id: bosTokenId }),
    ...(config.model_type === 't5' && { decoder_start_token_id: padTokenId }),
    eos_token_id: eosTokenId,
  };
  using model = Model.create(settings, { seed: 1, ...(head && { head: 'masked-lm' }) });
  await model.save(directory);
  await writeFile(join(directory, 'config.json'), JSON.stringify(settings));
  return settings;
}

for (const [name, published] of Object.entries(models)) {
  test(`${name} is fine-tuned, saved and loaded from the files that it is published as`, async () => {
    const root = await mkdtemp(join(tmpdir(), 'dece-study-'));
    try {
      const settings = await makeDirectory(root, published);
      const { head } = published;
      using model = await Model.load(root, head ? { head, seed: 1 } : {});
      const losses: number[] = [];
      const options = { epochs: 3, batchSize: 3, learningRate: 1e-2, seed: 1 };
      for await (const event of train(model, examples, { ...options, loss: { name: 'dece' } })) {
        if (event.type === 'epoch') losses.push(event.loss);
      }
      assert.ok(losses.at(-1)! < losses[0]!, losses.join());
      const out = join(root, 'out');
      await model.save(out);
      using again = await Model.load(out);
      const prompts = examples.map(({ prompt }) => prompt);
      const write = (one: Model) => one.generate(prompts, { maxNewTokens: 4 });
      assert.equal(await write(again), await write(model));
      const saved = JSON.parse(await readFile(join(out, 'config.json'), 'utf8'));
      const { architectures, torch_dtype, ...kept }: ModelConfig = settings;
      for (const [key, value] of Object.entries(kept)) assert.equal(saved[key], value, key);
      assert.equal(saved.architectures, head ? ['Seq2Seq'] : architectures);
    } finally {
      await rm(root, { recursive: true });
    }
  });
}

test.run();
