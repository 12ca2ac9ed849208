import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ReferenceOptions, referenceLoss, relativeError } from '../lib/bench/float64.ts';
import { tabulate } from '../lib/loss/table.ts';
import {
  crossEntropyLoss,
  customLoss,
  customLossAsync,
  gradientBound,
  type LossOptions,
} from '../lib/loss.ts';
import { Model } from '../lib/model/index.ts';
import { Trainer } from '../lib/model/trainer.ts';
import { seeded } from '../lib/random.ts';
import { train } from '../lib/train.ts';
import { rejects } from './rejects.ts';

const random = seeded(9);
const classes = 40;
const rows = 400;
// From labels that are all but certain to such as are all but impossible.
const labels = Int32Array.from({ length: rows }, () => random.below(classes));
const logits = Float32Array.from({ length: rows * classes }, () => 6 * random.next());
for (const [row, label] of labels.entries())
  logits[row * classes + label]! += 60 * random.next() - 30;

/** Loss and gradient of each row beside a formula in float64: the largest differences. */
function gaps(weight: (p: number) => number, formula: ReferenceOptions) {
  const found = customLoss(logits, labels, { weight, reduction: 'sum' });
  const most = { loss: 0, gradient: 0 };
  for (const [row, label] of labels.entries()) {
    const part = [row * classes, (row + 1) * classes] as const;
    const { loss, gradient } = referenceLoss(logits.subarray(...part), label, formula);
    const gap = Math.abs(found.losses[row]! - loss) / Math.max(1, loss);
    most.loss = Math.max(most.loss, gap);
    for (const [j, slope] of gradient.entries()) {
      const difference = Math.abs(found.gradient[part[0] + j]! - slope);
      most.gradient = Math.max(most.gradient, difference);
    }
  }
  return most;
}

const test = suite('a custom loss');

const dece = { epoch: 5, alphaBase: 0.9, labelSmoothing: 0 };
const alpha = 0.9 ** 5;
type Known = [what: string, weight: (p: number) => number, formula: ReferenceOptions];
const known: Known[] = [
  ['1 is cross-entropy', () => 1, { name: 'ce' }],
  ...[0.1, 0.3, 0.7, 1].map((q): Known => [`p ** ${q} is GCE`, (p) => p ** q, { name: 'gce', q }]),
  ['that of DeCE is DeCE', (p) => (alpha * p) / (alpha * p + 1 - alpha), { name: 'dece', ...dece }],
];

for (const [what, weight, formula] of known) {
  test(`of weight ${what}, loss and gradient to 1e-6`, () => {
    const { loss, gradient } = gaps(weight, formula);
    assert.ok(loss < 1e-6 && gradient < 1e-6, `loss off by ${loss}, gradient by ${gradient}`);
  });
}

test('of weight 1 has cross-entropy’s gradient to the bit', () => {
  const { gradient } = customLoss(logits, labels, { weight: () => 1 });
  assert.equal(gradient, crossEntropyLoss(logits, labels).gradient);
});

test('may have a loss that is not the integral of its weight, as where the weight is detached', () => {
  const { losses, gradient } = customLoss(logits, labels, {
    weight: (p) => p,
    loss: (p) => (p === 0 ? 0 : -p * Math.log(p)),
    reduction: 'sum',
  });
  for (const [row, label] of labels.entries()) {
    const part = [row * classes, (row + 1) * classes] as const;
    const { loss, gradient: slopes } = referenceLoss(logits.subarray(...part), label, {
      name: 'ce',
    });
    const p = Math.exp(-loss);
    assert.ok(Math.abs(losses[row]! - p * loss) < 1e-6);
    const own = gradient.subarray(...part);
    assert.ok(slopes.every((slope, j) => Math.abs(own[j]! - p * slope) < 1e-6));
  }
});

test('is the gradient of what it returns as loss, also where the weight jumps', () => {
  const weight = (p: number) => (p > 0.1 ? 1 : 0.25);
  const h = 0.01;
  for (const distance of [-3, -1, 0, 1, 2]) {
    const lossAt = (logit: number) =>
      customLoss(Float32Array.of(logit, 0, 0), Int32Array.of(0), { weight }).loss;
    const slope = (lossAt(distance + h) - lossAt(distance - h)) / (2 * h);
    const { gradient } = customLoss(Float32Array.of(distance, 0, 0), Int32Array.of(0), { weight });
    assert.ok(Math.abs(gradient[0]! - slope) < 1e-4, `${gradient[0]}, slope ${slope}`);
  }
});

test('holds where the label is certain, impossible or ignored', () => {
  const weight = (p: number) => p ** 0.7;
  const z = Float32Array.of(0, -Infinity, 3e38, 0, NaN, 0);
  const own = { weight, reduction: 'sum' } as const;
  const { losses, gradient } = customLoss(z, Int32Array.of(1, 0, -100), own);
  assert.equal([...losses], [Math.fround(1 / 0.7), 0, 0]);
  assert.ok(gradient.every((slope) => slope === 0));
  const ce = customLoss(Float32Array.of(0, -1e30), Int32Array.of(1), { weight: () => 1 });
  assert.is(ce.loss, Math.fround(1e30));
});

test('says its own loss of a single class too, whose probability is 1', () => {
  const loss = (p: number) => 5 - p;
  const found = customLoss(Float32Array.of(3, -4), new Int32Array(2), { weight: () => 1, loss });
  assert.equal([...found.losses], [4, 4]);
  assert.equal([...found.gradient].map(Math.abs), [0, 0]);
});

test('takes what every loss takes, and its async twin too', async () => {
  const weight = (p: number) => p;
  const options = { weight, rowWeights: new Float32Array(rows).fill(2), threads: 2 };
  const found = await customLossAsync(logits, labels, options);
  assert.equal(found, customLoss(logits, labels, options));
  const bits = Uint16Array.from(new Uint32Array(Float32Array.of(1, 2, 3).buffer), (w) => w >>> 16);
  const { loss } = customLoss(bits, Int32Array.of(0), { weight, dtype: 'bfloat16' });
  assert.ok(Math.abs(loss - (1 - Math.exp(1) / (Math.exp(1) + Math.exp(2) + Math.exp(3)))) < 1e-6);
});

test('has a bound, which is that of the formula it is', () => {
  for (const q of [0.3, 0.7, 1]) {
    const own = gradientBound({ name: 'custom', weight: (p) => p ** q });
    const gce = gradientBound({ name: 'gce', q });
    assert.ok(Math.abs(own.logits - gce.logits) < 1e-6);
    if (q < 1) assert.is(own.probabilities, Infinity);
    else assert.ok(Math.abs(own.probabilities - 1) < 1e-6);
  }
  assert.is(gradientBound({ name: 'custom', weight: () => 1 }).logits, 1);
});

test('names what it cannot use', () => {
  const cases: [object, RegExp][] = [
    [{}, /^weight is undefined: expected a function of the label's probability$/],
    [{ weight: (p: number) => 1 / p }, /^weight\(\S+\) is Infinity: expected a finite number$/],
    [{ weight: () => 1, loss: 3 }, /^loss is 3: expected a function/],
    [{ weight: () => 1, mode: 'reference' }, /^mode is "reference": expected paper for a custom/],
    [{ weight: () => 1, q: 1 }, /^options has an unknown option "q": expected weight, loss,/],
  ];
  for (const [options, message] of cases) {
    const own = options as LossOptions<Float32Array> & { weight: () => number };
    assert.throws(() => customLoss(logits, labels, own), message);
  }
});

test('a table asks for a weight about as often as its points are', () => {
  let asked = 0;
  tabulate({ weight: () => ++asked });
  assert.is(asked, 2 ** 14);
});

const config = { model_type: 't5', vocab_size: 60, d_model: 32, d_kv: 8, d_ff: 64, num_layers: 1 };
const batch = { inputIds: [[3, 9, 27, 1]], labels: [[8, 4, 1]] };

test('trains as the formula does that it is', async () => {
  const stepped = async (loss: Parameters<Trainer['step']>[1]['loss'], logitsBytes?: number) => {
    using model = Model.create(config, { seed: 3 });
    using trainer = new Trainer(model, { seed: 1 });
    const before = await model.loss(batch, { loss });
    const { loss: value } = await trainer.step(batch, {
      loss,
      epoch: 1,
      learningRate: 1e-3,
      logitsBytes,
    });
    const { data } = await model.logits(batch);
    return { loss: value, before: before.loss, data };
  };
  const gce = await stepped({ name: 'gce', q: 0.7 });
  for (const logitsBytes of [undefined, 300]) {
    const custom = await stepped({ name: 'custom', weight: (p) => p ** 0.7 }, logitsBytes);
    assert.ok(
      Math.abs(custom.loss - gce.loss) < 1e-6 && Math.abs(custom.before - gce.before) < 1e-6,
    );
    assert.ok(relativeError(custom.data, Float64Array.from(gce.data)) < 1e-3);
  }
});

test('is refused where a checkpoint would have to keep it', async () => {
  using model = Model.create(config, { seed: 3 });
  const loss = { name: 'custom', weight: () => 1 } as const;
  const own = { epochs: 1, batchSize: 1, learningRate: 1e-3, loss, seed: 1 };
  await rejects(
    train(model, [], own).next(),
    /^loss\.name is "custom": expected one that a checkpoint can keep; Trainer\.step takes it$/,
  );
});

test.run();
