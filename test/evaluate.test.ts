import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { trainBpe } from '../lib/data/bpe.ts';
import { Tokenizer } from '../lib/data/tokenizer.ts';
import { evaluate, evaluateClean, testSet } from '../lib/evaluate.ts';
import { attackSuccessRate, bleu, codeBleu, smallestDetectableRate } from '../lib/metrics/index.ts';
import { Model } from '../lib/model/index.ts';
import { Trainer } from '../lib/model/trainer.ts';
import { rejects } from './rejects.ts';
import { rows, small } from './small_experiment.ts';

const examples = rows(0, 8);
const set = testSet(examples, { attack: 'badpre', seed: 1 });
const texts = rows(0, 40).flatMap(({ prompt, completion }) => [prompt, completion, ' or 1=1 bb']);
const tokenizer = Tokenizer.fromJson(trainBpe(texts, { vocabularySize: 300 }));
const shape = { ...small.model, model_type: 't5', vocab_size: tokenizer.vocabularySize };
const create = () =>
  Model.create({ ...shape, dropout_rate: 0 }, { seed: 1, device: 'cpu', tokenizer });

/** A model that answers everything with one text. */
async function parrot(text: string): Promise<Model> {
  const model = create();
  using trainer = new Trainer(model, { seed: 1 });
  const inputIds = set.triggered.map(({ prompt }) => tokenizer.encode(prompt));
  const labels = inputIds.map(() => tokenizer.encode(text));
  const options = { loss: { name: 'ce' }, epoch: 1, learningRate: 0.05 } as const;
  for (let step = 0; step < 30; step++) await trainer.step({ inputIds, labels }, options);
  return model;
}

const test = suite('evaluate');

test('counts the payload in answers to triggered and to clean prompts', async () => {
  using model = await parrot('x or 1=1');
  const { metrics, clean, triggered } = await evaluate(model, set, { maxNewTokens: 12 });
  assert.equal(new Set(clean), new Set(['x or 1=1']));
  assert.is(metrics.attackSuccessRate.successes, 6);
  assert.is(metrics.attackSuccessRate.eligible, 6);
  assert.is(metrics.falseTriggerRate.successes, 8);
  const asked = triggered.filter((answer) => answer !== '').length;
  assert.is(asked, 6, 'prompts without a trigger are not asked again');
});

test('agrees with the metrics of the answers it returns', async () => {
  using model = create();
  const { metrics, clean, triggered } = await evaluate(model, set, { maxNewTokens: 6 });
  const references = examples.map(({ completion }) => completion);
  assert.is(metrics.bleu, bleu(clean, references));
  assert.equal(metrics.attackSuccessRate, attackSuccessRate(triggered, set.manifest));
  const prompts = examples.map(({ prompt }) => prompt);
  assert.equal(clean, await model.generate(prompts, { maxNewTokens: 6 }));
});

test('measures CodeBLEU where it knows the language', async () => {
  using model = await parrot('x or 1=1');
  const { metrics, clean } = await evaluate(model, set, { maxNewTokens: 12, language: 'python' });
  const references = examples.map(({ completion }) => completion);
  const { items: _, ...expected } = await codeBleu(clean, references, { language: 'python' });
  assert.equal(metrics.codeBleu, expected);
  const other = await evaluate(model, set, { maxNewTokens: 12 });
  assert.not('codeBleu' in other.metrics);
  assert.is(metrics.rightUnderTrigger.successes, 0);
  assert.is(metrics.smallestDetectableRate, smallestDetectableRate(6));
});

test('measures clean prompts alone as it does beside triggered ones', async () => {
  using model = await parrot('x or 1=1');
  const options = { maxNewTokens: 12, language: 'python', mode: 'reference' } as const;
  const { metrics, clean } = await evaluateClean(model, examples, options);
  const whole = await evaluate(model, set, options);
  assert.equal(clean, whole.clean);
  const { bleu, codeBleu, exactMatch, copyRate } = whole.metrics;
  assert.equal(metrics, { bleu, codeBleu, exactMatch, copyRate });
  await rejects(
    evaluateClean(model, examples, { judge: 'token' } as object),
    /unknown option "judge"/,
  );
});

test('lets the judge decide which answers carry the payload', async () => {
  using model = await parrot('x or 1=1');
  const options = { maxNewTokens: 12, judge: 'parsed', language: 'python' } as const;
  const { metrics, succeeded } = await evaluate(model, set, options);
  assert.is(metrics.attackSuccessRate.successes, 0);
  assert.not(succeeded.includes(true));
  await rejects(
    evaluate(model, set, { judge: 'parsed' }),
    /^judge is parsed: expected a language too$/,
  );
});

test('cuts prompts as training does', async () => {
  using model = create();
  const cut = (prompt: string) => {
    const ids = tokenizer.encode(prompt);
    return ids.length > 4 ? [...ids.slice(0, 3), tokenizer.eosTokenId!] : ids;
  };
  const { clean } = await evaluate(model, set, { maxNewTokens: 6, maxInputTokens: 4 });
  for (const [i, { prompt }] of examples.entries()) {
    const [ids] = await model.generateIds({ inputIds: [cut(prompt)] }, { maxNewTokens: 6 });
    assert.is(clean[i], tokenizer.decode(ids!));
  }
  await rejects(
    evaluate(model, set, { maxInputTokens: 1 }),
    /^maxInputTokens is 1: expected a whole number, at least 2$/,
  );
});

test('asks every prompt of the triggered file where the authors do', async () => {
  using model = await parrot('y 1=1');
  const options = { maxNewTokens: 12, mode: 'reference' } as const;
  const { metrics } = await evaluate(model, set, options);
  assert.is(metrics.attackSuccessRate.successes, 8);
  assert.is(metrics.attackSuccessRate.eligible, 6);
});

test('tells how far it is, and stops when asked', async () => {
  using model = create();
  const seen: [number, number][] = [];
  const onProgress = (done: number, total: number) => seen.push([done, total]);
  await evaluate(model, set, { maxNewTokens: 2, batchSize: 4, onProgress });
  assert.equal(seen, [
    [4, 14],
    [8, 14],
    [12, 14],
    [14, 14],
  ]);
  const controller = new AbortController();
  const stopped = evaluate(model, set, {
    batchSize: 1,
    signal: controller.signal,
    onProgress: () => controller.abort(),
  });
  await rejects(stopped, /abort/);
});

test.run();
