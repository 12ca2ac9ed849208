// Run by life.test.ts, as a process and as a worker thread: ends in the way its second argument says.
import { parentPort } from 'node:worker_threads';
import { Model } from '../../lib/model/index.ts';

const config = {
  model_type: 't5',
  vocab_size: 300,
  d_model: 64,
  d_kv: 16,
  d_ff: 64,
  num_layers: 1,
};
const model = Model.create(config, { seed: 1 });
const inputIds = [[3, 4, 5]];
const compute = (maxNewTokens: number) =>
  model.generateIds({ inputIds }, { maxNewTokens, eosTokenId: [] });
const leave = (delayMs: number) => setTimeout(() => process.exit(0), delayMs);

const mode = process.argv[3]!;
if (parentPort !== null) {
  const port = parentPort;
  if (mode === 'save') {
    const larger = { ...config, vocab_size: 60_000 };
    using saved = Model.create(larger, { seed: Number(process.argv[5]), device: 'cpu' });
    for (let i = 0; i < 5; i++) await saved.save(process.argv[4]!);
    port.postMessage('saved');
  } else if (mode === 'compute') {
    port.postMessage(await compute(20));
  } else {
    const work = compute(1_000_000);
    setTimeout(() => port.postMessage('busy'), 100);
    await work;
  }
} else {
  console.log(mode);
  if (mode === 'exit while computing') {
    void compute(1_000_000);
    leave(200);
  } else if (mode === 'exit while queued') {
    for (let i = 0; i < 50; i++) void compute(10_000);
    leave(0);
  } else if (mode === 'exit after an error') {
    await model.logits({ inputIds: [[1000]] }).catch(() => undefined);
    process.exit(0);
  } else {
    await compute(3);
  }
}
