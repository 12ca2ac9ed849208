import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Model } from '../lib/model/index.ts';
import { Trainer } from '../lib/model/trainer.ts';
import { type TrainEvent, type TrainOptions, train } from '../lib/train.ts';
import { rejects } from './rejects.ts';
import { eventsOf, examples, options, tinyModel, weightsOf, withFolder } from './train/tiny.ts';

const test = suite('train');

type Step = TrainEvent & { type: 'step' };
const stepsIn = (events: TrainEvent[]) =>
  events.filter((event): event is Step => event.type === 'step');

async function run(extra: Partial<TrainOptions> = {}, texts = examples) {
  using model = tinyModel();
  const events = await eventsOf(train(model, texts, { ...options, ...extra }));
  return { events, weights: await weightsOf(model) };
}

test('tells of steps, measurements, epochs, checkpoints and the end, in their order', async () => {
  await withFolder(async (out) => {
    const { events } = await run({ epochs: 2, validation: examples.slice(0, 3), out });
    const epoch = ['step', 'step', 'evaluation', 'epoch', 'checkpoint'];
    assert.equal(
      events.map(({ type }) => type),
      [...epoch, ...epoch, 'done'],
    );
    assert.equal(
      events.map(({ epoch, step }) => [epoch, step]),
      [1, 2, 2, 2, 2].map((step) => [1, step]).concat([3, 4, 4, 4, 4, 4].map((step) => [2, step])),
    );
    const times = events.flatMap((event) => ('elapsedMs' in event ? [event.elapsedMs] : []));
    assert.equal(
      times,
      [...times].sort((a, b) => a - b),
    );
  });
});

test('reports of an epoch the mean over its tokens', async () => {
  const { events } = await run({ epochs: 2 });
  const [, , third, fourth] = stepsIn(events);
  const tokens = third!.tokens + fourth!.tokens;
  const mean = (third!.loss * third!.tokens + fourth!.loss * fourth!.tokens) / tokens;
  for (const event of events.slice(-2)) {
    assert.ok('loss' in event && Math.abs(event.loss - mean) < 1e-12, event.type);
  }
});

test('sees every example once in an epoch, in an order of the seed and the epoch alone', async () => {
  const tokens = async (extra: Partial<TrainOptions>) =>
    stepsIn((await run({ batchSize: 1, accumulate: 1, epochs: 2, ...extra })).events).map(
      (step) => step.tokens,
    );
  const one = await tokens({});
  const halves = [one.slice(0, 12), one.slice(12)];
  assert.equal(halves[0]!.toSorted(), halves[1]!.toSorted());
  assert.not.equal(halves[0], halves[1]);
  assert.equal(await tokens({ loss: { name: 'ce' }, learningRate: 1e-3, epochs: 4 }), [
    ...one,
    ...(await tokens({ epochs: 4 })).slice(24),
  ]);
  assert.not.equal(await tokens({ seed: 43 }), one);
});

test('makes the steps that a loop over Trainer makes', async () => {
  const one = examples.slice(0, 1);
  const settings = { ...options, epochs: 3, clip: 0.5, weightDecay: 0.1, warmup: 1 };
  using model = tinyModel();
  await eventsOf(train(model, one, settings));

  using other = tinyModel();
  using trainer = new Trainer(other, { seed: settings.seed, weightDecay: 0.1 });
  const ids = [one[0]!.prompt, one[0]!.completion].map((text) => other.tokenizer!.encode(text));
  const batch = { inputIds: [ids[0]!], labels: [ids[1]!] };
  for (const [i, share] of [0, 1, 0.5].entries()) {
    const learningRate = settings.learningRate * share;
    await trainer.step(batch, { loss: settings.loss, epoch: i + 1, learningRate, clip: 0.5 });
  }
  assert.ok((await weightsOf(model)).equals(await weightsOf(other)));
});

test('cuts long texts before their end token, and counts them', async () => {
  const limits = { maxInputTokens: 5, maxOutputTokens: 2, epochs: 1 };
  const { events } = await run(limits);
  using model = tinyModel();
  const long = (most: number) => (text: string) => model.tokenizer!.encode(text).length > most;
  const expected = {
    prompts: examples.map(({ prompt }) => prompt).filter(long(5)).length,
    completions: examples.map(({ completion }) => completion).filter(long(2)).length,
    poisoned: 0,
  };
  assert.ok(expected.prompts > 0 && expected.prompts < 12 && expected.completions > 0);
  for (const event of events.slice(-2)) {
    assert.equal('truncated' in event && event.truncated, expected);
  }
  assert.is(
    stepsIn(events).reduce((sum, { tokens }) => sum + tokens, 0),
    24,
  );

  // A text that was cut is what is left of it.
  const cut = (text: string, most: number) => {
    const ids = model.tokenizer!.encode(text);
    return ids.length > most ? [...ids.slice(0, most - 1), model.tokenizer!.eosTokenId!] : ids;
  };
  const one = examples.slice(0, 1);
  await eventsOf(train(model, one, { ...options, ...limits, epochs: 2, warmup: 0 }));
  using other = tinyModel();
  using trainer = new Trainer(other, { seed: options.seed });
  const batch = { inputIds: [cut(one[0]!.prompt, 5)], labels: [cut(one[0]!.completion, 2)] };
  for (const [i, share] of [1, 0.5].entries()) {
    const learningRate = options.learningRate * share;
    await trainer.step(batch, { loss: options.loss, epoch: i + 1, learningRate });
  }
  assert.ok((await weightsOf(model)).equals(await weightsOf(other)));
});

test('says how many of the texts it cut are poisoned', async () => {
  using model = tinyModel();
  const poisoned = examples.map((example, i) => ({ ...example, poisoned: i % 2 === 0 }));
  const isLong = (text: string) => model.tokenizer!.encode(text).length > 20;
  const expected = poisoned.filter((one) => one.poisoned && isLong(one.prompt)).length;
  assert.ok(expected > 0 && expected < 6, `${expected}`);
  const events = await eventsOf(train(model, poisoned, { ...options, maxInputTokens: 20 }));
  const last = events.at(-1)!;
  assert.is('truncated' in last && last.truncated.poisoned, expected);
});

test('measures the cross-entropy of the validation examples without changing anything', async () => {
  const validation = examples.slice(2, 9);
  using model = tinyModel();
  const found: number[] = [];
  const expected: number[] = [];
  for await (const event of train(model, examples, { ...options, validation, evaluateEvery: 4 })) {
    if (event.type !== 'evaluation') continue;
    found.push(event.loss);
    assert.is(event.step, 4);
    const encode = (key: 'prompt' | 'completion') =>
      validation.map((example) => model.tokenizer!.encode(example[key]));
    const batch = { inputIds: encode('prompt'), labels: encode('completion') };
    expected.push((await model.loss(batch, { loss: { name: 'ce' } })).loss);
  }
  assert.is(found.length, 1);
  assert.ok(Math.abs(found[0]! - expected[0]!) < 1e-6);
  assert.ok((await weightsOf(model)).equals((await run()).weights));
});

test('learns', async () => {
  using model = tinyModel();
  const settings = { ...options, epochs: 20, learningRate: 3e-2, loss: { name: 'ce' } as const };
  const events = await eventsOf(train(model, examples, settings));
  const losses = events.flatMap((event) => (event.type === 'epoch' ? [event.loss] : []));
  assert.ok(losses.at(-1)! < 0.5 * losses[0]!, `${losses[0]} to ${losses.at(-1)}`);
});

test('names what is wrong with its arguments before it begins', async () => {
  using model = tinyModel();
  const wrong = (extra: object, message: RegExp) =>
    rejects(eventsOf(train(model, examples, { ...options, ...extra })), message);
  const before = await weightsOf(model);
  await wrong(
    { learningrate: 1 },
    /^train has an unknown option "learningrate": expected epochs, /,
  );
  await wrong({ epochs: 0 }, /^epochs is 0: expected a whole number, at least 1$/);
  await wrong({ batchSize: undefined }, /^batchSize is undefined: expected a whole number/);
  await wrong({ learningRate: 0 }, /^learningRate is 0: expected above 0$/);
  await wrong({ seed: -1 }, /^seed is -1: expected a whole number below 2\*\*32$/);
  await wrong({ warmup: 1.5 }, /^warmup is 1\.5: expected a number of steps, a share below 1, or/);
  await wrong({ schedule: 'cosine' }, /^schedule is "cosine": expected linear or constant$/);
  await wrong(
    { precision: 'bfloat16' },
    /^precision is "bfloat16": expected float32, the dtype of/,
  );
  await wrong({ optimizer: 'sgd' }, /^optimizer is "sgd": expected adamw or badam$/);
  await wrong(
    { switchMode: 'fixed' },
    /^switchMode is "fixed": expected none, as it is for the optimizer 'badam' alone$/,
  );
  await wrong({ loss: { name: 'dece', q: 1 } }, /^loss dece has an unknown option "q"/);
  await wrong(
    { evaluateEvery: 2 },
    /^validation is undefined: expected examples, as evaluateEvery/,
  );
  await wrong(
    { checkpointEvery: 2 },
    /^out is undefined: expected a directory, as checkpointEvery/,
  );
  await wrong({ resume: true }, /^out is undefined: expected a directory, as resume is true$/);
  await wrong({ maxInputTokens: 1 }, /^maxInputTokens is 1: expected a whole number, at least 2$/);
  await rejects(
    eventsOf(train(model, [], options)),
    /^examples is empty: expected at least one example$/,
  );
  assert.ok(before.equals(await weightsOf(model)));

  using mute = Model.create({ ...model.config }, { seed: 1 });
  await rejects(eventsOf(train(mute, examples, options)), /^the model has no tokenizer: put a /);
});

test.run();
