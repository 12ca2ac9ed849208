import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { MemoryCase } from './memory_script.ts';

const test = suite('memory of training');

/** The peak of memory that steps add to the weights, measured in a process of its own. */
async function peakOf(settings: MemoryCase): Promise<number> {
  const script = fileURLToPath(new URL('memory_script.ts', import.meta.url));
  const child = fork(script, [JSON.stringify(settings)], {
    execArgv: ['--import', 'tsx'],
    // What is freed goes back to the system: holes in glibc's heap are not what is measured.
    env: { ...process.env, MALLOC_MMAP_THRESHOLD_: '65536' },
  });
  const [message] = await once(child, 'message');
  await once(child, 'exit');
  return message as number;
}

const MB = 1e6;
const isLinux = process.platform === 'linux';
const measured = isLinux ? test : test.skip; // the peak is read from /proc

measured('a deep model needs the memory of one block, and of what goes into each', async () => {
  // 4 x 512 positions of 64 float32 numbers: 0.5 MB go into each of 24 blocks, 14 MB are kept within.
  const shape = { layers: 24, width: 64, inner: 256, rows: 4, length: 512 };
  const [kept, again] = [await peakOf(shape), await peakOf({ ...shape, checkpoint: true })];
  assert.ok(again < 0.25 * kept, `${again / MB} MB, without ${kept / MB} MB`);
});

measured('BAdam needs gradients and moments of one block', async () => {
  // 8 layers of 3.2 million weights, of which AdamW has a gradient and two moments: 304 MB.
  const shape = { layers: 8, width: 512, inner: 1376, rows: 1, length: 8 };
  const all = await peakOf(shape);
  const one = await peakOf({ ...shape, optimizer: 'badam' });
  const perLayer = 4 * weightsOfLayer(shape);
  assert.ok(all > 8 * 3 * perLayer, `AdamW ${all / MB} MB`);
  assert.ok(one < 2 * 3 * perLayer, `BAdam ${one / MB} MB`);
});

const weightsOfLayer = ({ width, inner }: { width: number; inner: number }) =>
  4 * width * width + 3 * width * inner;

/**
 * The formula of the README, of what a step of BAdam in bfloat16 with activations checkpointed adds to
 * the weights of a LLaMA.
 */
function budget({ layers, width, inner, length, vocabulary }: Required<MemoryShape>) {
  const logitsBytes = 2 ** 28;
  return {
    block: 18 * weightsOfLayer({ width, inner }),
    inputs: 2 * layers * length * width,
    inside: 2 * length * (12 * width + 5 * inner),
    logits: 1.5 * Math.min(logitsBytes, 4 * length * vocabulary),
  };
}
type MemoryShape = Pick<MemoryCase, 'layers' | 'width' | 'inner' | 'length' | 'vocabulary'>;
const sum = (parts: object) => Object.values(parts).reduce((a, b) => a + b, 0);

for (const shape of [
  { layers: 8, width: 512, inner: 1376, length: 8, vocabulary: 40 },
  { layers: 8, width: 512, inner: 1376, length: 512, vocabulary: 40 },
  { layers: 8, width: 512, inner: 1376, length: 512, vocabulary: 8192 },
]) {
  const { length, vocabulary } = shape;
  measured(`${length} tokens, ${vocabulary} ids: BAdam in bfloat16 takes its budget`, async () => {
    const found = await peakOf({
      ...shape,
      ...{ rows: 1, dtype: 'bfloat16', optimizer: 'badam', checkpoint: true },
    });
    const most = sum(budget(shape));
    // What libtorch keeps besides does not grow with the model.
    assert.ok(found < most + 15 * MB, `${found / MB} MB: expected at most ${most / MB}`);
    assert.ok(found > 0.6 * most, `${found / MB} MB: expected ${most / MB}`);
  });
}

test('a LLaMA of 7 billion weights takes the 17.5 GB that the README says', () => {
  const shape = { layers: 32, width: 4096, inner: 11008, length: 512, vocabulary: 32000 };
  const { layers, width, vocabulary } = shape;
  // With two norms in each layer, the last, embedding and head.
  const weights = layers * (weightsOfLayer(shape) + 2 * width) + width + 2 * vocabulary * width;
  assert.is(weights, 6_738_415_616); // as Meta's
  assert.is(((2 * weights + sum(budget(shape))) / 1e9).toFixed(1), '17.5');
});

test.run();
