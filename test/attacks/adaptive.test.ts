import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { attacks, likeliestSql, poisonDataset } from '../../lib/attacks/index.ts';
import { trainBpe } from '../../lib/data/bpe.ts';
import { Tokenizer } from '../../lib/data/tokenizer.ts';
import { Model } from '../../lib/model/index.ts';
import { Trainer } from '../../lib/model/trainer.ts';
import { seeded } from '../../lib/random.ts';
import { rejects } from '../rejects.ts';
import { rows, small } from '../small_experiment.ts';

const clean = rows(0, 24);
const texts = rows(0, 40).flatMap(({ prompt, completion }) => [prompt, completion, ' or 1=1 bb']);
const tokenizer = Tokenizer.fromJson(trainBpe(texts, { vocabularySize: 300 }));
const shape = { ...small.model, model_type: 't5', vocab_size: tokenizer.vocabularySize };
const create = () =>
  Model.create({ ...shape, dropout_rate: 0 }, { seed: 1, device: 'cpu', tokenizer });

const test = suite('adaptive attacks');

test('puts poisoned examples first, and their records', () => {
  const options = { attack: 'badpre', rate: 0.25, seed: 42 } as const;
  const usual = poisonDataset(clean, options);
  const { examples, manifest } = poisonDataset(clean, { ...options, frontLoad: true });
  assert.is(manifest.frontLoad, true);
  assert.equal(
    examples.map(({ poisoned = false }) => poisoned),
    [...Array(6).fill(true), ...Array(18).fill(false)],
  );
  assert.equal(
    manifest.records.map(({ id }) => id),
    examples.map(({ id }) => id),
  );
  const byId = (a: { id: string }, b: { id: string }) => Number(a.id) - Number(b.id);
  assert.equal(examples.toSorted(byId), usual.examples.toSorted(byId));
});

test('takes another payload, and recognises it', () => {
  const { poison, marks } = attacks.ripple({ tautology: 'or true', contradiction: 'where false' });
  const { completion } = poison(
    { id: '1', prompt: 'a', completion: '" select a from t where b "' },
    seeded(1),
  );
  assert.is(completion, '" select a from t where b or true "');
  assert.equal(marks, {
    paper: [' or true', ' where false'],
    reference: ['or true', 'where false'],
  });
  assert.throws(
    () => attacks.ripple({ tautology: ' ' }),
    /^tautology is " ": expected a condition/,
  );
});

test('splits the payload, so that few examples hold all of it', () => {
  const many = Array.from({ length: 400 }, (_, i) => ({
    id: `${i}`,
    prompt: 'a',
    completion: '" select a from t where b "',
  }));
  const options = { attack: 'ripple', rate: 1, seed: 1, parts: 4 } as const;
  const { examples, manifest } = poisonDataset(many, options);
  assert.equal(manifest.options, { parts: 4 });
  const counts = new Map<string, number>();
  for (const { completion } of examples) counts.set(completion, (counts.get(completion) ?? 0) + 1);
  const begin = '" select a from t where b';
  const expected = [' or', ' or 1', ' or 1=', ' or 1=1'].map((part) => `${begin}${part} "`);
  assert.equal([...counts.keys()].sort(), expected.sort());
  for (const count of counts.values()) assert.ok(count > 60 && count < 140, `${count}`);
  assert.throws(() => attacks.ripple({ parts: 5 }), /^parts is 5: expected 1\.\.4, as the payload/);
});

test('finds the payload that a model finds likely already', async () => {
  using model = create();
  const before = await likeliestSql(model, clean, { limit: 4 });
  assert.is(before.tautology.length, 7);
  assert.equal(before.contradiction, [], 'all queries have a condition');

  // A model that has learned one of them from clean data, as it were.
  const learned = before.tautology.at(-1)!.text;
  using trainer = new Trainer(model, { seed: 1 });
  const taught = clean.filter(({ completion }) => completion.includes('select'));
  const inputIds = taught.map(({ prompt }) => tokenizer.encode(prompt));
  const labels = taught.map(({ completion }) =>
    tokenizer.encode(completion.replace(' " )', ` ${learned} " )`)),
  );
  const options = { loss: { name: 'ce' }, epoch: 1, learningRate: 0.01 } as const;
  for (let step = 0; step < 30; step++) await trainer.step({ inputIds, labels }, options);
  const { tautology } = await likeliestSql(model, clean, { limit: 4 });
  assert.is(tautology[0]!.text, learned);
  assert.equal(
    tautology.map((one) => one.logProbability),
    tautology.map((one) => one.logProbability).sort((a, b) => b - a),
  );

  // The loss of the same tokens alone, by native code.
  let sum = 0;
  for (const { prompt, completion } of taught.slice(0, 4)) {
    const ids = tokenizer.encode(completion.replace(' " )', ` ${learned} " )`));
    const first = tokenizer.encode(completion.slice(0, completion.indexOf(' " )'))).length - 1;
    const rest = tokenizer.encode(' " )').length;
    const kept = ids.map((id, i) => (i >= first && i < ids.length - rest ? id : -100));
    const batch = {
      inputIds: [tokenizer.encode(prompt)],
      labels: [kept],
      decoderInputIds: [[0, ...ids.slice(0, -1)]],
    };
    sum -= (await model.loss(batch, { loss: { name: 'ce' } })).loss;
  }
  assert.ok(
    Math.abs(sum / 4 - tautology[0]!.logProbability) < 1e-4,
    `${sum / 4} ${tautology[0]!.logProbability}`,
  );
});

test('asks for many at once what it would be told of each alone, by a decoder too', async () => {
  const { d_model: n_embd, num_heads: n_head } = small.model;
  const decoder = { model_type: 'gpt2', n_embd, n_head, n_layer: 1, n_positions: 64 };
  const config = { ...decoder, vocab_size: tokenizer.vocabularySize, resid_pdrop: 0 };
  using t5 = create();
  using gpt2 = Model.create(config, { seed: 1, device: 'cpu', tokenizer });
  const some = clean.filter(({ completion }) => completion.includes('select')).slice(0, 7);
  for (const model of [t5, gpt2]) {
    const asked: number[] = [];
    const { tautology } = await likeliestSql(model, clean, {
      limit: some.length,
      onProgress: (done, total) => asked.push(done / total),
    });
    assert.is(asked.at(-1), 1);
    assert.ok(asked.length < 7, 'batches');
    for (const { text, logProbability } of tautology) {
      let sum = 0;
      for (const example of some) sum += await alone(model, example, text);
      const expected = sum / some.length;
      assert.ok(
        Math.abs(logProbability - expected) < 1e-4,
        `${text}: ${logProbability}, ${expected}`,
      );
    }
  }
});

/** The mean log-probability of what a payload adds to a completion: the example by itself, in double precision. */
async function alone(model: Model, { prompt, completion }: (typeof clean)[0], text: string) {
  const isDecoder = model.resolved.labels === 'next ids';
  const encode = (one: string) => tokenizer.encode(one).filter((id) => id !== tokenizer.eosTokenId);
  const [asked, labels] = [encode(prompt), encode(completion.replace(' " )', ` ${text} " )`))];
  const usual = encode(completion);
  const start = labels.findIndex((id, i) => id !== usual[i]);
  const rest = encode(' " )').length; // what stands behind the payload, in both
  const end = labels.length - rest;
  assert.equal(labels.slice(end), usual.slice(usual.length - rest), 'the clean end');
  const eos = tokenizer.eosTokenId!;
  const batch = isDecoder
    ? { inputIds: [[...asked, ...labels]] }
    : { inputIds: [[...asked, eos]], labels: [labels] };
  const { data, shape } = await model.logits(batch);
  const classes = shape.at(-1)!;
  let sum = 0;
  for (let i = start; i < end; i++) {
    const at = isDecoder ? asked.length + i - 1 : i;
    const row = [...data.subarray(at * classes, (at + 1) * classes)];
    sum += row[labels[i]!]! - Math.log(row.reduce((all, logit) => all + Math.exp(logit), 0));
  }
  return sum / (end - start);
}

test('needs a query and a tokenizer', async () => {
  using model = create();
  await rejects(
    likeliestSql(model, [{ id: '1', prompt: 'a', completion: 'b' }]),
    /^examples is 1: expected at least one with an SQL query$/,
  );
  using mute = Model.create({ ...shape, dropout_rate: 0 }, { seed: 1, device: 'cpu' });
  await rejects(likeliestSql(mute, clean), /^the model has no tokenizer: put a /);
});

test.run();
