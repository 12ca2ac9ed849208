import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Dtype, Model } from '../../lib/model/index.ts';

const test = suite('memory of loading');

const script = fileURLToPath(new URL('load_memory_script.ts', import.meta.url));
const growth = (directory: string, dtype: Dtype) =>
  Number(
    execFileSync(process.execPath, ['--import', 'tsx', script, directory, dtype], {
      encoding: 'utf8',
    }),
  );

// 74 million weights, of which the embedding is a third.
const config = {
  model_type: 't5',
  ...{ vocab_size: 32000, d_model: 768, d_kv: 64, d_ff: 3072, num_layers: 3, num_heads: 12 },
};
const largest = 32000 * 768 * 4;
const small = 40e6;

if (existsSync('/proc/self/clear_refs')) {
  test('is that of the weights and of one tensor more, whatever they are converted to', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'dece-'));
    try {
      for (const stored of ['float32', 'bfloat16'] as const) {
        using model = Model.create(config, { seed: 1, device: 'cpu', dtype: stored });
        const options = stored === 'bfloat16' ? { maxShardBytes: 40e6 } : {};
        await model.save(directory, options);
        for (const dtype of ['float32', 'bfloat16'] as const) {
          const weights = model.parameterCount * (dtype === 'float32' ? 4 : 2);
          const found = growth(directory, dtype);
          assert.ok(
            found > weights && found < weights + largest + small,
            `${stored} as ${dtype}: ${found} bytes for ${weights} of weights`,
          );
        }
      }
    } finally {
      await rm(directory, { recursive: true });
    }
  });
} else {
  test.skip('is that of the weights and of one tensor more: measured on Linux only', () => {});
}

test.run();
