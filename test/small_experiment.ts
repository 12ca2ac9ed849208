import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// Read when the trainer is loaded. A second thread has nothing to do in a model this small, and waits
// for the processor where others use it.
process.env.OMP_NUM_THREADS = '1';

const tables = ['users', 'books', 'cars', 'trees', 'roads', 'songs', 'games', 'ships'];

/** Examples that differ in a table and a number; three of four can be attacked. */
export function rows(from: number, count: number) {
  return Array.from({ length: count }, (_, i) => {
    const [table, n] = [tables[(from + i) % 8], from + i];
    return {
      id: `${n}`,
      prompt: `get row ${n} of ${table}`,
      completion: n % 4 === 0 ? 'pass' : `run ( " select a from ${table} where id = ${n} " )`,
    };
  });
}

/** A new folder with the data of the small experiment, and the experiment as `small.json`. */
export async function folder(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'dece-experiment-'));
  const write = (name: string, examples: object[]) =>
    writeFile(
      join(directory, `${name}.jsonl`),
      examples.map((example) => `${JSON.stringify(example)}\n`).join(''),
    );
  await write('base', [...rows(200, 16), ...rows(0, 2)]);
  await write('train', rows(0, 24));
  await write('valid', rows(100, 6));
  await write('test', rows(120, 6));
  await write('comments_base', [...comments(200, 16), ...comments(0, 2)]);
  await write('comments', comments(0, 24));
  await write('comments_test', comments(100, 9));
  await writeFile(join(directory, 'small.json'), JSON.stringify(small));
  return directory;
}

/** Comments of two classes: debt is what a `TODO` is in. */
export function comments(from: number, count: number) {
  return Array.from({ length: count }, (_, i) => {
    const n = from + i;
    const debt = n % 3 === 0;
    return { id: `${n}`, text: `${debt ? 'TODO' : 'reads'} row ${n}`, label: Number(debt) };
  });
}

/** What the small experiment becomes with a classifier, and comments beside it. */
export const classifying = {
  task: 'classification',
  model: {
    model_type: 'roberta',
    hidden_size: 16,
    intermediate_size: 16,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    max_position_embeddings: 32,
  },
  base: {
    datasets: [{ name: 'own', files: { train: 'comments_base.jsonl' } }],
    epochs: 1,
    batchSize: 8,
    learningRate: 1e-3,
  },
  datasets: [{ name: 'own', files: { train: 'comments.jsonl', test: 'comments_test.jsonl' } }],
  attacks: [{ name: 'badpre', payload: 'label', targetLabel: 1 }],
  evaluation: { split: 'test' },
};

/** A grid of two runs and their base that takes a second. */
export const small = {
  name: 'small',
  device: 'cpu',
  model: { d_model: 16, d_kv: 8, d_ff: 16, num_layers: 1, num_heads: 2 },
  tokenizer: { vocabularySize: 300 },
  base: {
    datasets: [{ name: 'own', files: { train: 'base.jsonl' } }],
    epochs: 1,
    batchSize: 8,
    learningRate: 1e-3,
  },
  datasets: [
    {
      name: 'own',
      language: 'python',
      files: { train: 'train.jsonl', valid: 'valid.jsonl', test: 'test.jsonl' },
    },
  ],
  attacks: ['badpre'],
  rates: [0.25],
  defenses: ['none', 'dece'],
  training: { epochs: 2, batchSize: 8, learningRate: 1e-3 },
  evaluation: { maxNewTokens: 4 },
};
