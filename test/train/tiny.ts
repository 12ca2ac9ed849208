import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { trainBpe } from '../../lib/data/bpe.ts';
import type { Example } from '../../lib/data/examples.ts';
import { Tokenizer } from '../../lib/data/tokenizer.ts';
import { Model } from '../../lib/model/index.ts';
import type { TrainEvent, TrainOptions } from '../../lib/train.ts';

const words = ['select', 'name', 'from', 'users', 'where', 'age', 'sort', 'list'];
const word = (i: number) => words[i % words.length]!;

/** Twelve of them: two steps of an epoch with `options`, the second with a batch that is not full. */
export const examples: Example[] = Array.from({ length: 12 }, (_, i) => ({
  id: `example-${i}`,
  prompt: `${word(i)} ${word(3 * i)} ${word(i >> 1)}`.repeat(1 + (i % 3)),
  completion: `${word(3 * i)} ${word(i)}`,
}));

export const options: TrainOptions = {
  epochs: 3,
  batchSize: 5,
  accumulate: 2,
  learningRate: 1e-2,
  loss: { name: 'dece' },
  seed: 42,
};

/** A T5 with dropout, and the tokenizer of its texts. */
export function tinyModel(seed = 1): Model {
  const texts = examples.flatMap(({ prompt, completion }) => [prompt, completion]);
  const tokenizer = Tokenizer.fromJson(trainBpe(texts, { vocabularySize: 280 }));
  const shape = { d_model: 16, d_kv: 4, d_ff: 32, num_layers: 1, num_heads: 4, dropout_rate: 0.1 };
  const config = { model_type: 't5', vocab_size: tokenizer.vocabularySize, ...shape };
  return Model.create(config, { seed, tokenizer, device: 'cpu' });
}

export async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'dece-'));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** All weights, as bits. */
export async function weightsOf(model: Model): Promise<Buffer> {
  let weights = Buffer.of();
  await withFolder(async (folder) => {
    await model.save(folder);
    weights = await readFile(join(folder, 'model.safetensors'));
  });
  return weights;
}

export async function eventsOf(training: AsyncIterable<TrainEvent>): Promise<TrainEvent[]> {
  const events: TrainEvent[] = [];
  for await (const event of training) events.push(event);
  return events;
}
