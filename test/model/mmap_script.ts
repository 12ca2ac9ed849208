import { readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Model } from '../../lib/model/index.ts';

// memory: prints by how many bytes the memory that is this process's own grows when it loads a model.
// signal: sends itself the signal of a page that cannot be read.
// cut: truncates the file of the model and then reads its weights.
const [what, directory, mmap] = process.argv.slice(2);

const ownBytes = () =>
  1024 * Number(/RssAnon:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]);

// Starts what a first model starts.
Model.create({ model_type: 't5', vocab_size: 100, d_model: 16 }, { seed: 1, device: 'cpu' });
const before = ownBytes();
using model = await Model.load(directory!, { device: 'cpu', mmap: mmap === 'true' });
if (what === 'memory') {
  console.log(ownBytes() - before);
} else if (what === 'signal') {
  process.stdout.write('sent\n');
  process.kill(process.pid, 'SIGBUS');
  await setTimeout(1000);
} else {
  truncateSync(join(directory!, 'model.safetensors'), 4096);
  process.stdout.write('cut\n');
  const row = Array.from({ length: 64 }, (_, i) => 3 + 200 * i);
  await model.logits({ inputIds: Array.from({ length: 16 }, () => row) });
  process.stdout.write('read\n');
}
