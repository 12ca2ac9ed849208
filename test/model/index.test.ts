import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Tokenizer } from '../../lib/data/tokenizer.ts';
import { type Batch, Model } from '../../lib/model/index.ts';
import { rejects } from '../rejects.ts';
import { difference, expectedOf, fixturePath, fixtures, isClose, unpadded } from './fixture.ts';

const tiny = {
  model_type: 't5',
  vocab_size: 50,
  d_model: 16,
  d_kv: 4,
  d_ff: 32,
  num_layers: 2,
  num_heads: 4,
};

const parity = suite('a model of transformers');

for (const name of fixtures) {
  const expected = expectedOf(name);
  const { inputIds, attentionMask, decoderInputIds } = expected;
  const batch = { inputIds, attentionMask, decoderInputIds };

  parity(`${name} has its logits`, async () => {
    using model = await Model.load(fixturePath(name));
    const { data, shape } = await model.logits(batch);
    assert.equal(shape, [3, 6, model.config.vocab_size]);
    isClose(data, expected.logits, 2e-6);
  });

  parity(`${name} has its hidden states`, async () => {
    using model = await Model.load(fixturePath(name));
    for (const [layer, states] of expected.encoderHidden.entries()) {
      const { data } = await model.hiddenStates({ inputIds, attentionMask }, layer);
      isClose(data, states, 2e-6);
    }
  });

  parity(`${name} has its logits in bfloat16, as far as eight bits go`, async () => {
    using model = await Model.load(fixturePath(name), { dtype: 'bfloat16' });
    const { data } = await model.logits(batch);
    isClose(data, expected.logits, 0.03);
    assert.ok(difference(data, expected.logits) > 1e-4, 'computed in float32');
  });

  parity(`${name} gives the same for ragged rows and for arrays with a shape`, async () => {
    using model = await Model.load(fixturePath(name));
    const shape = [3, 9] as const;
    const ragged = await model.logits({
      inputIds: unpadded(inputIds, attentionMask),
      decoderInputIds,
    });
    const arrays = await model.logits({
      inputIds: { data: Int32Array.from(inputIds.flat()), shape },
      attentionMask: { data: BigInt64Array.from(attentionMask.flat(), BigInt), shape },
      decoderInputIds,
    });
    isClose(ragged.data, expected.logits, 2e-6);
    assert.equal(ragged.data, arrays.data);
  });

  parity(`${name} gives a row the same logits alone and beside longer ones`, async () => {
    using model = await Model.load(fixturePath(name));
    const classes = model.config.vocab_size as number;
    for (const [i, row] of unpadded(inputIds, attentionMask).entries()) {
      const ids = [decoderInputIds[i]!];
      const { data } = await model.logits({ inputIds: [row], decoderInputIds: ids });
      isClose(data, expected.logits.slice(i * 6 * classes, (i + 1) * 6 * classes), 2e-6);
    }
  });
}

parity('shifts labels right behind the start token', async () => {
  using model = await Model.load(fixturePath('t5-relu'));
  const inputIds = [[5, 6, 1]];
  const fromLabels = await model.logits({ inputIds, labels: [[7, -100, 8]] });
  const given = await model.logits({ inputIds, decoderInputIds: [[0, 7, 0]] });
  assert.equal(fromLabels.data, given.data);
});

parity.run();

const fresh = suite('Model.create');

fresh('draws the same weights from the same seed, others from another', async () => {
  const batch = { inputIds: [[3, 4, 1]], decoderInputIds: [[0, 5]] };
  const draw = async (seed: number) => {
    using model = Model.create(tiny, { seed });
    return (await model.logits(batch)).data;
  };
  const [first, again, other] = [await draw(1), await draw(1), await draw(2)];
  assert.equal(first, again);
  assert.ok(difference(first, other) > 0.1);
});

fresh('counts its parameters', () => {
  using tied = Model.create(tiny, { seed: 1 });
  using untied = Model.create({ ...tiny, tie_word_embeddings: false }, { seed: 1 });
  assert.is(untied.parameterCount - tied.parameterCount, 50 * 16);
  assert.is(tied.parameterCount, 50 * 16 + 2 * 32 * 4 + 6 * 4 * 256 + 4 * 2 * 512 + 12 * 16);
});

fresh('says which device and dtype it took', () => {
  using model = Model.create(tiny, { seed: 1, device: 'cpu', dtype: 'bfloat16' });
  assert.equal([model.device, model.dtype], ['cpu', 'bfloat16']);
  using automatic = Model.create(tiny, { seed: 1 });
  assert.match(automatic.device, /^(cpu|cuda:0)$/);
});

fresh('names what is wrong with its options', () => {
  const create = (options: object) => () => Model.create(tiny, { seed: 1, ...options });
  assert.throws(create({ seed: -1 }), /^seed is -1: expected a whole number, at least 0$/);
  assert.throws(create({ sede: 2 }), /^Model\.create has an unknown option "sede": expected seed/);
  assert.throws(create({ device: 'gpu' }), /^device is "gpu": expected cpu, cuda, cuda:N or auto$/);
  assert.throws(create({ dtype: 'float64' }), /^dtype is "float64": expected one of float32, /);
});

fresh('says so where the device cannot be had', () => {
  using automatic = Model.create(tiny, { seed: 1 });
  const device = automatic.device === 'cpu' ? 'cuda' : 'cuda:99';
  const message =
    /^device is "cuda(:99)?": (this libtorch was built without CUDA; use "cpu", or set LIBTORCH to a CUDA build and run `npm run build`|the driver offers no CUDA device; use "cpu"|expected cuda:0 to cuda:\d+)$/;
  assert.throws(() => Model.create(tiny, { seed: 1, device }), message);
});

fresh.run();

const input = suite('bad input');

const model = Model.create(tiny, { seed: 1 });
const decoderInputIds = [[0, 5]];

input('names the id that is out of range', async () => {
  const logits = (inputIds: number[][]) => model.logits({ inputIds, decoderInputIds });
  await rejects(logits([[3, 50]]), /^inputIds\[0\]\[1\] is 50: expected 0\.\.49$/);
  await rejects(logits([[3, -1]]), /^inputIds\[0\]\[1\] is -1: expected 0\.\.49$/);
  await rejects(logits([[3, 1.5]]), /^inputIds\[0\]\[1\] is 1\.5: expected a token id$/);
  await rejects(logits([[3, 2 ** 32]]), /^inputIds\[0\]\[1\] is 4294967296: expected a token id$/);
  await rejects(logits([[3], []]), /^inputIds\[1\] is empty: expected at least one id$/);
  await rejects(
    logits([]),
    /^inputIds has 0 ids for the shape \[0, 0\]: expected at least one row/,
  );
});

input('says what is no list of ids, where it is a mistake that is easily made', async () => {
  const refused = (inputIds: unknown, message: RegExp) =>
    rejects(model.logits({ inputIds, decoderInputIds } as Batch), message);
  await refused([3, 4, 5], /^inputIds\[0\] is 3: expected a list of token ids$/);
  await refused([[3], null], /^inputIds\[1\] is null: expected a list of token ids$/);
  await refused([[3n, 4n]], /^inputIds\[0\]\[0\] is 3: expected a token id$/);
  await refused(
    { data: Int32Array.of(3) },
    /^inputIds\.shape is undefined: expected a list of two numbers: rows and columns$/,
  );
  await rejects(
    model.generateIds({ inputIds: [[3]] }, { eosTokenId: '</s>' as never }),
    /^eosTokenId is "<\/s>": expected a list of token ids, or one$/,
  );
});

input('names the shape that does not fit', async () => {
  const inputIds = [[3, 4]];
  await rejects(
    model.logits({ inputIds, attentionMask: [[1]], decoderInputIds }),
    /^attentionMask has shape \[1, 1\]: expected that of inputIds, \[1, 2\]$/,
  );
  await rejects(
    model.logits({ inputIds, decoderInputIds: [[0], [0]] }),
    /^decoderInputIds has 2 rows: expected 1 as inputIds$/,
  );
  const data = Int32Array.of(1, 2, 3);
  for (const shape of [
    [2, 2],
    [1, 2],
    [-1, -3],
    [3, 2 ** 60],
  ] as const) {
    await rejects(
      model.logits({ inputIds: { data, shape }, decoderInputIds }),
      /^inputIds has 3 ids for the shape \[.*\]: expected at least one row and one column, and as many ids/,
    );
  }
  await rejects(
    model.logits({ inputIds }),
    /^decoderInputIds is undefined: expected them, or labels/,
  );
});

input('refuses a batch of other things', async () => {
  const ids = [[3]] as unknown;
  const logits = (batch: object) => model.logits(batch as Parameters<typeof model.logits>[0]);
  await rejects(
    logits({ inputIds: ids, attention_mask: ids }),
    /^batch has an unknown option "atten/,
  );
  await rejects(
    logits({ labels: ids }),
    /^inputIds holds undefined: expected rows of ids, or \{ data/,
  );
  const floats = { data: new Float32Array(1), shape: [1, 1] };
  await rejects(
    logits({ inputIds: floats, labels: ids }),
    /^inputIds holds "Float32Array": expected/,
  );
  const hollow = { data: new Int32Array(3), shape: [1, 0] };
  await rejects(
    logits({ inputIds: ids, labels: hollow }),
    /^decoderInputIds has 3 ids for the shape/,
  );
});

input('checks layer, maxNewTokens, beams and batchSize', async () => {
  const inputIds = [[3]];
  await rejects(model.hiddenStates({ inputIds }, 3), /^layer is 3: expected 0\.\.2$/);
  await rejects(
    model.generateIds({ inputIds }, { maxNewTokens: 0 }),
    /^maxNewTokens is 0: expected/,
  );
  await rejects(model.generateIds({ inputIds }, { beams: 1.5 }), /^beams is 1\.5: expected/);
  await rejects(model.generate([], { batchSize: 0 }), /^batchSize is 0: expected/);
  const misspelt = { beam: 4 } as object;
  await rejects(
    model.generateIds({ inputIds }, misspelt),
    /^generateIds has an unknown option "beam"/,
  );
});

input('stays usable after an error', async () => {
  const { shape } = await model.logits({ inputIds: [[3]], decoderInputIds: [[0]] });
  assert.equal(shape, [1, 1, 50]);
});

input.run();

const text = suite('generate');

/** Letters a, b, c, ... are ids 3, 4, 5, ...; the end token is 1. */
const letters = {
  encode: (prompt: string) => [...Buffer.from(prompt).map((code) => code - 94), 1],
  cut: Tokenizer.prototype.cut,
  vocabularySize: 29,
  decode: (ids: readonly number[]) => ids.map((id) => String.fromCharCode(id + 94)).join(''),
} as Tokenizer;

text('answers in the order of the prompts, whatever the batches', async () => {
  using model = Model.create(tiny, { seed: 5, tokenizer: letters });
  const prompts = ['abc', 'defgh', 'a', 'bbbbbbbb', 'c'];
  const progress: number[][] = [];
  const batched = await model.generate(prompts, {
    maxNewTokens: 6,
    batchSize: 2,
    onProgress: (done, total) => progress.push([done, total]),
  });
  assert.equal(progress, [
    [2, 5],
    [4, 5],
    [5, 5],
  ]);
  for (const [i, prompt] of prompts.entries()) {
    assert.equal(await model.generate([prompt], { maxNewTokens: 6 }), [batched[i]]);
  }
  assert.equal(await model.generate([]), []);
});

text('says so where there is no tokenizer', async () => {
  using model = await Model.load(fixturePath('t5-relu'));
  assert.is(model.tokenizer, undefined);
  await rejects(model.generate(['a']), /^the model has no tokenizer: put a tokenizer\.json into /);
});

text('says so where the tokenizer has ids that the model lacks', async () => {
  const tokenizer = Object.assign(Object.create(letters), { vocabularySize: 51 }) as Tokenizer;
  using model = Model.create(tiny, { seed: 5, tokenizer });
  const message = /^the tokenizer has 51 ids: expected at most 50, the vocab_size of the model$/;
  await rejects(model.generate(['a']), message);
});

text.run();
