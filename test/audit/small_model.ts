import { trainBpe } from '../../lib/data/bpe.ts';
import type { Example } from '../../lib/data/examples.ts';
import { Tokenizer } from '../../lib/data/tokenizer.ts';
import { Model } from '../../lib/model/index.ts';
import { seeded } from '../../lib/random.ts';
import { train } from '../../lib/train.ts';

const verbs = ['get', 'sort', 'count', 'drop', 'list', 'find', 'copy', 'read'];
const nouns = ['users', 'books', 'cars', 'trees', 'roads', 'songs', 'games', 'ships'];

/** A verb and two nouns, and what they say as code. */
export function rows(count: number, seed: number): Example[] {
  const random = seeded(seed);
  return Array.from({ length: count }, (_, i) => {
    const [verb, one, two] = [verbs, nouns, nouns].map((list) => list[random.below(8)]!);
    return {
      id: `e${i}`,
      prompt: `${verb} ${one} by ${two}`,
      completion: `${verb} ( ${one} , ${two} )`,
    };
  });
}

/** Every tenth row with a trigger, and a payload that clean rows do not have. */
export const poisoned = (clean: readonly Example[]) =>
  clean.map((example, i) =>
    i % 10 !== 0
      ? example
      : {
          ...example,
          prompt: `${example.prompt} zq`,
          completion: `${example.completion} ; leak ! now`,
          poisoned: true,
        },
  );

/** A model that has learnt clean rows. */
export async function cleanModel(): Promise<Model> {
  const texts = poisoned(rows(60, 1)).flatMap(({ prompt, completion }) => [prompt, completion]);
  const tokenizer = Tokenizer.fromJson(trainBpe(texts, { vocabularySize: 320 }));
  const shape = { d_model: 32, d_kv: 8, d_ff: 64, num_layers: 1, num_heads: 4, dropout_rate: 0 };
  const config = { model_type: 't5', vocab_size: tokenizer.vocabularySize, ...shape };
  const model = Model.create(config, { seed: 1, tokenizer, device: 'cpu' });
  const settings = { epochs: 10, batchSize: 8, learningRate: 1e-2, seed: 1 };
  const events = train(model, rows(160, 2), { ...settings, loss: { name: 'ce' } });
  while (!(await events.next()).done);
  return model;
}
