// How much memory two steps of a LLaMA add to what its weights take, in bytes: sent to the parent.
import { peakMemoryBytes, resetPeakMemory } from '../../lib/environment.ts';
import { Model } from '../../lib/model/index.ts';
import { Trainer } from '../../lib/model/trainer.ts';

export interface MemoryCase {
  layers: number;
  width: number;
  inner: number;
  rows: number;
  length: number;
  vocabulary?: number;
  dtype?: 'float32' | 'bfloat16';
  optimizer?: 'adamw' | 'badam';
  checkpoint?: boolean;
}

const settings = JSON.parse(process.argv[2]!) as MemoryCase;
const { layers, width, inner, rows, length, vocabulary = 40 } = settings;
const { dtype = 'float32', optimizer = 'adamw', checkpoint = false } = settings;
using model = Model.create(
  {
    model_type: 'llama',
    vocab_size: vocabulary,
    hidden_size: width,
    intermediate_size: inner,
    num_hidden_layers: layers,
    num_attention_heads: 8,
  },
  { seed: 1, device: 'cpu', dtype },
);
const ids = (count: number) => Array.from({ length: count }, (_, i) => 3 + ((7 * i) % 37));
const batchOf = (of: number, columns: number) => {
  const inputIds = Array.from({ length: of }, () => ids(columns));
  return { inputIds, labels: inputIds };
};
// Before the measurement: what libtorch keeps for each thread.
await model.loss(batchOf(1, 4), { loss: { name: 'ce' } });
using trainer = new Trainer(model, { optimizer, seed: 1 });
await resetPeakMemory();
const before = await peakMemoryBytes();
const step = { loss: { name: 'ce' }, epoch: 1, learningRate: 1e-4 } as const;
for (let i = 0; i < 2; i++) {
  await trainer.step(batchOf(rows, length), { ...step, checkpointActivations: checkpoint });
}
process.send!((await peakMemoryBytes()) - before);
process.disconnect();
