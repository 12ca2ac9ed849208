import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Example, Model, Tokenizer, train } from '../../lib/index.ts';
import { encodeExamples } from '../../lib/train/encode.ts';
import { rejects } from '../rejects.ts';
import { fixturePath } from './fixture.ts';

const test = suite('packing as the study does');

/** What scripts/packing_golden.py wrote. */
interface Golden {
  tokenizer: string;
  config: object;
  rows: {
    prompt: string;
    completion: string;
    maxInputTokens: number;
    maxOutputTokens: number;
    inputIds: number[];
    labels: number[];
  }[];
}

const read = (path: string) => JSON.parse(readFileSync(fixturePath(path), 'utf8'));
const golden: Golden[] = read('packing.json');
const small = { hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1 };
const configs = {
  causal: { model_type: 'llama', ...small, num_attention_heads: 1, bos_token_id: null },
  codet5: { model_type: 't5', d_model: 8, d_kv: 4, d_ff: 8, num_layers: 1, num_heads: 1 },
};

async function tokenizerOf({ tokenizer: name, config }: Golden): Promise<Tokenizer> {
  const folder = join('tokenizers', name);
  if (name.startsWith('files-')) return Tokenizer.load(fixturePath(folder));
  return Tokenizer.fromJson(read(join(folder, 'tokenizer.json')), config);
}

async function modelOf(cases: Golden): Promise<Model> {
  const tokenizer = await tokenizerOf(cases);
  const { padTokenId: pad_token_id = 0, eosTokenId: eos_token_id } = tokenizer;
  const ids = { vocab_size: tokenizer.vocabularySize, pad_token_id, eos_token_id };
  const shape = cases.tokenizer === 'codet5' ? configs.codet5 : configs.causal;
  return Model.create({ ...shape, ...ids }, { seed: 1, device: 'cpu', tokenizer });
}

for (const cases of golden) {
  test(`gives the ids and labels of transformers: ${cases.tokenizer}`, async () => {
    using model = await modelOf(cases);
    for (const { prompt, completion, inputIds, labels, ...limits } of cases.rows) {
      const example: Example = { id: 'a', prompt, completion };
      const options = { ...limits, packing: 'reference' } as const;
      // The first id of a decoder-only model is predicted by none.
      const learns = labels.slice(1).some((id) => id !== -100);
      if (!learns) {
        const message =
          /^nothing of the completion of examples a is learned: expected a longer one/;
        await rejects(encodeExamples('examples', [example], model, options), message);
        continue;
      }
      const { items } = await encodeExamples('examples', [example], model, options);
      assert.equal(items, [{ inputIds, labels }], JSON.stringify(prompt));
    }
  });
}

test('is an option of training', async () => {
  using model = await modelOf(golden[0]!);
  const examples = golden[0]!.rows.slice(0, 2).map((row, i) => ({ id: `${i}`, ...row }));
  const options = { epochs: 1, batchSize: 2, learningRate: 1e-3, seed: 1 };
  const tokens = async (packing: 'paper' | 'reference') => {
    const limits = { maxInputTokens: 40, maxOutputTokens: 40 };
    const loss = { name: 'ce' } as const;
    for await (const event of train(model, examples, { ...options, ...limits, loss, packing })) {
      if (event.type === 'step') return event.tokens;
    }
    return undefined;
  };
  const learned = examples.flatMap(({ labels }) => labels.slice(1)).filter((id) => id !== -100);
  assert.is(await tokens('reference'), learned.length);
  // Each by itself, and the end token.
  const apart = examples.flatMap(({ completion }) => [...model.tokenizer!.encode(completion), 0]);
  assert.is(await tokens('paper'), apart.length);
  const half = [{ id: 'a', prompt: 'no answer' }] as Example[];
  for (const packing of ['paper', 'reference'] as const) {
    const limits = { maxInputTokens: 40, maxOutputTokens: 40, packing };
    const message = /^examples a has no completion: expected one, as this model learns from it$/;
    await rejects(encodeExamples('examples', half, model, limits), message);
  }
  await rejects(tokens('joined' as never), /^packing is "joined": expected paper or reference$/);
});

test.run();
