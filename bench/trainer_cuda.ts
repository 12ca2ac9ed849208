// Whether training and generation on a GPU give what they give on the CPU:
//
//     node --import tsx bench/trainer_cuda.ts [device]     cuda by default
//
// For a small model of each architecture and both dtypes: the first step's loss and gradient norm, without
// dropout, with the logits as a whole and in chunks, with activation checkpointing, and the loss after five
// steps. Ends with 1 where one differs by more than the dtype's roundings. Whether the same is generated is only
// told: roundings can tip a word over.

import { type Dtype, Model } from '../lib/model/index.ts';
import { Trainer } from '../lib/model/trainer.ts';
import { seeded } from '../lib/random.ts';

const [device = 'cuda'] = process.argv.slice(2);
const vocabulary = 509;
const gpt = {
  vocab_size: vocabulary,
  n_embd: 64,
  n_layer: 2,
  n_head: 4,
  n_positions: 64,
  n_ctx: 64,
};
const noDropout = { resid_pdrop: 0, embd_pdrop: 0, attn_pdrop: 0 };
const rms = {
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 2,
  num_attention_heads: 4,
};
const configs: Record<string, Record<string, unknown>> = {
  t5: {
    ...{ model_type: 't5', vocab_size: vocabulary, d_model: 64, d_kv: 16, num_heads: 4, d_ff: 128 },
    ...{ num_layers: 2, dropout_rate: 0 },
  },
  gpt2: { model_type: 'gpt2', ...gpt, ...noDropout, bos_token_id: 0, eos_token_id: 1 },
  llama: { model_type: 'llama', vocab_size: vocabulary, num_key_value_heads: 2, ...rms },
};

const random = seeded(1);
const ids = (length: number) => Array.from({ length }, () => 3 + random.below(vocabulary - 3));
const rows = [24, 24, 24, 24].map(ids);
const loss = { name: 'dece', alphaBase: 0.8, labelSmoothing: 0.05 } as const;
const ways = {
  whole: {},
  chunks: { logitsBytes: 2 ** 14 },
  recomputed: { checkpointActivations: true },
};
const tolerance: Record<Dtype, number> = { float32: 2e-4, bfloat16: 3e-2 };

async function numbersOf(config: Record<string, unknown>, dtype: Dtype, on: string) {
  const numbers: Record<string, number> = {};
  let outputs: unknown;
  for (const [way, options] of Object.entries(ways)) {
    const model = Model.create(config, { seed: 1, dtype, device: on });
    const trainer = new Trainer(model, { seed: 1 });
    const batch = { inputIds: rows, labels: rows };
    for (let step = 1; step <= 5; step++) {
      const result = await trainer.step(batch, { loss, epoch: 1, learningRate: 1e-3, ...options });
      if (step === 1) numbers[`${way} norm`] = result.gradientNorm;
      if (step === 1 || step === 5) numbers[`${way} loss ${step}`] = result.loss;
    }
    outputs = await model.generateIds(
      { inputIds: rows.slice(0, 2) },
      { maxNewTokens: 8, beams: 2 },
    );
  }
  return { numbers, outputs };
}

let wrong = 0;
for (const [name, config] of Object.entries(configs)) {
  for (const dtype of ['float32', 'bfloat16'] as const) {
    const expected = await numbersOf(config, dtype, 'cpu');
    const found = await numbersOf(config, dtype, device);
    for (const [what, value] of Object.entries(expected.numbers)) {
      const error = Math.abs(found.numbers[what]! - value) / Math.abs(value);
      if (error <= tolerance[dtype]) continue;
      wrong++;
      console.log(`WRONG ${name} ${dtype}, ${what}: ${found.numbers[what]}, on the CPU ${value}`);
    }
    const same = JSON.stringify(found.outputs) === JSON.stringify(expected.outputs);
    console.log(
      `${name} ${dtype}: loss ${found.numbers['whole loss 5']}, generates ${same ? 'the same' : 'otherwise'}`,
    );
  }
}
console.log(`${wrong} wrong`);
process.exitCode = wrong > 0 ? 1 : 0;
