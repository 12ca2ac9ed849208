import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Model, Trainer } from '../../lib/index.ts';
import { rejects } from '../rejects.ts';
import { dropouts } from './without_dropout.ts';

// What transformers makes of the same checkpoints: scripts/architectures_parity.py.
const root = fileURLToPath(new URL('../fixtures/models', import.meta.url));
const test = suite('every architecture');

interface Side {
  inputIds: number[][];
  attentionMask: number[][];
  logits: number[];
}

interface Expected {
  right: Side;
  left: Side;
  bfloat16: number[];
  hidden?: number[][];
  decoderInputIds?: number[][];
  greedy?: number[][];
  beams?: number[][];
  labels: number[][];
  training: Record<
    'ce' | 'dece',
    {
      learningRate: number;
      weightDecay: number;
      alphaBase: number;
      labelSmoothing: number;
      losses: number[];
      gradientNorms: number[];
      logits: number[];
    }
  >;
}

const expectedOf = async (name: string) =>
  JSON.parse(await readFile(join(root, name, 'expected.json'), 'utf8')) as Expected;

/** The largest difference where `mask` is 1, as a share of the largest value. */
function distance(found: Float32Array, wanted: number[], mask?: number[][]): number {
  assert.is(found.length, wanted.length);
  const flat = mask?.flat();
  const width = flat === undefined ? 1 : wanted.length / flat.length;
  let [difference, largest] = [0, 0];
  for (const [i, value] of wanted.entries()) {
    if (flat !== undefined && flat[Math.floor(i / width)] === 0) continue;
    difference = Math.max(difference, Math.abs(found[i]! - value));
    largest = Math.max(largest, Math.abs(value));
  }
  assert.ok(largest > 0);
  return Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference / largest;
}

/** Which logits count: those of ids, or all where they are of something else. */
const maskOf = ({ decoderInputIds }: Expected, { attentionMask }: Side, name: string) =>
  decoderInputIds || name.includes('classification') ? undefined : attentionMask;

for (const name of (await readdir(root)).sort()) {
  const directory = join(root, name);
  const expected = await expectedOf(name);
  const decoder = expected.decoderInputIds ? { decoderInputIds: expected.decoderInputIds } : {};

  for (const side of ['right', 'left'] as const) {
    test(`${name}: has transformers' logits with padding on the ${side}`, async () => {
      using model = await Model.load(directory);
      const { inputIds, attentionMask, logits } = expected[side];
      const found = await model.logits({ inputIds, attentionMask, ...decoder });
      const mask = maskOf(expected, expected[side], name);
      const far = distance(found.data, logits, mask);
      assert.ok(far < 2e-6, `${far}`);
    });
  }

  test(`${name}: has them in bfloat16`, async () => {
    using model = await Model.load(directory, { dtype: 'bfloat16' });
    const { inputIds, attentionMask } = expected.right;
    const found = await model.logits({ inputIds, attentionMask, ...decoder });
    const far = distance(found.data, expected.bfloat16, maskOf(expected, expected.right, name));
    assert.ok(far < 2e-2, `${far}`);
  });

  // With all logits at once, and with those of a few rows at a time.
  for (const logitsBytes of [2 ** 28, 500]) {
    const kind = logitsBytes === 500 ? ', some rows at a time' : '';
    test(`${name}: learns as PyTorch does${kind}`, async () => {
      for (const loss of ['ce', 'dece'] as const) {
        const { losses, gradientNorms, logits, ...settings } = expected.training[loss];
        using model = await Model.load(directory);
        const { learningRate, weightDecay, alphaBase, labelSmoothing } = settings;
        // eval mode: no dropout
        using still = await withoutDropout(model);
        using trainer = new Trainer(still, { weightDecay, seed: 1 });
        const { inputIds, attentionMask } = expected.right;
        const batch = { inputIds, attentionMask, labels: expected.labels };
        for (const [i, wanted] of losses.entries()) {
          const formula =
            loss === 'ce' ? { name: loss } : ({ name: loss, alphaBase, labelSmoothing } as const);
          const found = await trainer.step(batch, {
            loss: formula,
            epoch: i + 1,
            learningRate,
            logitsBytes,
          });
          assert.ok(Math.abs(found.loss / wanted - 1) < 2e-6, `loss ${found.loss}, ${wanted}`);
          const norm = found.gradientNorm / gradientNorms[i]! - 1;
          assert.ok(Math.abs(norm) < 1e-5, `norm ${found.gradientNorm}, ${gradientNorms[i]}`);
        }
        const { data } = await still.logits({ inputIds, attentionMask, ...decoder });
        const far = distance(data, logits, maskOf(expected, expected.right, name));
        assert.ok(far < 1e-5, `${loss} ${far}`);
      }
    });
  }

  if (expected.hidden) {
    test(`${name}: has its hidden states`, async () => {
      using model = await Model.load(directory);
      const { inputIds, attentionMask } = expected.right;
      for (const [layer, wanted] of expected.hidden!.entries()) {
        const { data } = await model.hiddenStates({ inputIds, attentionMask }, layer);
        const far = distance(data, wanted, attentionMask);
        assert.ok(far < 2e-6, `layer ${layer}: ${far}`);
      }
    });
  }

  if (expected.greedy) {
    for (const side of ['left', 'right'] as const) {
      test(`${name}: writes what transformers writes, padded on the ${side}`, async () => {
        using model = await Model.load(directory);
        const { inputIds, attentionMask } = expected[side];
        const write = (beams: number) =>
          model.generateIds({ inputIds, attentionMask }, { maxNewTokens: 10, beams });
        assert.equal(await write(1), expected.greedy);
        if (expected.beams) assert.equal(await write(4), expected.beams);
      });
    }
  }

  test(`${name}: is saved as it was`, async () => {
    const [first, second] = [await temporary(), await temporary()];
    try {
      using model = await Model.load(directory);
      await model.save(first);
      using again = await Model.load(first);
      await again.save(second);
      for (const file of await readdir(first)) {
        const [a, b] = await Promise.all([first, second].map((from) => readFile(join(from, file))));
        assert.ok(a!.equals(b!), file);
      }
      // What save_pretrained wrote, bit by bit; files may hold tables besides that follow from the config.
      const [ours, theirs] = await Promise.all([first, directory].map(tensorsIn));
      for (const [tensor, bytes] of ours!) assert.is(theirs!.get(tensor), bytes, tensor);
      const { inputIds, attentionMask } = expected.right;
      const [was, is] = await Promise.all(
        [model, again].map((one) => one.logits({ inputIds, attentionMask, ...decoder })),
      );
      assert.equal(is!.data, was!.data);
    } finally {
      await Promise.all([first, second].map((path) => rm(path, { recursive: true })));
    }
  });
}

/** The tensors of a directory's model.safetensors: dtype, shape and bytes of each. */
async function tensorsIn(from: string): Promise<Map<string, string>> {
  const file = await readFile(join(from, 'model.safetensors'));
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, start).toString()) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = Object.entries(header).filter(([name]) => name !== '__metadata__');
  assert.ok(tensors.length > 10);
  return new Map(
    tensors.map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [begin, end],
        },
      ]) => {
        const bytes = file.subarray(start + begin, start + end).toString('base64');
        return [name, `${dtype} ${shape} ${bytes}`];
      },
    ),
  );
}

const temporary = () => mkdtemp(join(tmpdir(), 'dece-parity-'));

/** A copy of a model that drops nothing. */
async function withoutDropout(model: Model): Promise<Model> {
  const directory = await temporary();
  try {
    await model.save(directory);
    const path = join(directory, 'config.json');
    const config = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    for (const key of dropouts) if (key in config) config[key] = 0;
    await writeFile(path, JSON.stringify(config));
    return await Model.load(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

test('an encoder without a decoder writes nothing, and says so', async () => {
  using model = await Model.load(join(root, 'roberta-masked-lm'));
  await rejects(
    model.generateIds({ inputIds: [[3, 4]] }),
    /^a RoBERTa that classifies or fills gaps writes no texts: only one with head seq2seq does$/,
  );
});

test('a head that is asked for is new, and the same for the same seed', async () => {
  const load = () => Model.load(join(root, 'roberta-masked-lm'), { head: 'seq2seq', seed: 3 });
  using first = await load();
  using second = await load();
  using masked = await Model.load(join(root, 'roberta-masked-lm'));
  const batch = { inputIds: [[3, 4, 5]], decoderInputIds: [[2, 7]] };
  assert.equal((await first.logits(batch)).data, (await second.logits(batch)).data);
  const hidden = (model: Model) => model.hiddenStates({ inputIds: [[3, 4, 5]] }, 2);
  assert.equal((await hidden(first)).data, (await hidden(masked)).data);
});

test('a text longer than the positions is refused', async () => {
  using model = await Model.load(join(root, 'gpt2'));
  const inputIds = [Array.from({ length: 60 }, () => 5)];
  await rejects(
    model.generateIds({ inputIds }, { maxNewTokens: 5 }),
    /^inputIds has 60 columns, and 5 are to come: expected at most 64, the positions that the model knows; lower maxNewTokens, or maxInputTokens$/,
  );
  await rejects(
    model.logits({ inputIds: [Array.from({ length: 65 }, () => 5)] }),
    /^inputIds has 65 columns: expected at most 64, the positions that the model knows; take shorter texts$/,
  );
});

test.run();
