// Run by resume.test.ts, and killed by it: trains the tiny model in the directory it is given, goes on
// where there is a checkpoint, says how far it is, and at the end leaves its weights in model/.
import { join } from 'node:path';
import { train } from '../../lib/train.ts';
import { examples, options, tinyModel } from './tiny.ts';

const out = process.argv[2]!;
const epochs = Number(process.argv[3]);
using model = tinyModel();
const run = train(model, examples, { ...options, epochs, out, checkpointEvery: 1, resume: true });
try {
  for await (const { type, step } of run) console.log(type, step);
  await model.save(join(out, 'model'));
  console.log('saved');
} catch (error) {
  console.log((error as Error).message);
}
