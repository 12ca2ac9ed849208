import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ReferenceOptions, referenceLoss } from '../lib/bench/float64.ts';
import { crossEntropyLoss, deceLoss, gceLoss, inTrustLoss, type LossOptions } from '../lib/loss.ts';

const losses = { dece: deceLoss, ce: crossEntropyLoss, gce: gceLoss, 'in-trust': inTrustLoss };
const names = Object.keys(losses) as (keyof typeof losses)[];
const plainOptions = { dece: { epoch: 2, labelSmoothing: 0 }, ce: {}, gce: {}, 'in-trust': {} };

interface Weighted {
  reduction: 'mean' | 'sum';
  logits: number[];
  labels: number[];
  weight: number[];
  loss: number;
  losses: number[];
  gradient: number[];
}

const golden: { weighted: Weighted[] } = JSON.parse(
  readFileSync(new URL('fixtures/loss_golden.json', import.meta.url), 'utf8'),
);

function close(actual: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  assert.is(actual.length, expected.length, what);
  for (let i = 0; i < expected.length; i++) {
    const gap = Math.abs(actual[i]! - expected[i]!);
    const message = `${what}, at ${i}: ${actual[i]}, expected ${expected[i]}`;
    assert.ok(gap <= 2e-6 * Math.max(1, Math.abs(expected[i]!)), message);
  }
}

const logits = Float32Array.of(2, -1, 0.5, 0, 0.3, 3, -2, 1, 1, 1, 4, 0);
const labels = Int32Array.of(0, -100, 2);
const test = suite('weights of rows and classes');

for (const [i, { reduction, weight, ...row }] of golden.weighted.entries()) {
  test(`classWeights are the weight of PyTorch's cross_entropy, ${reduction}, case ${i}`, () => {
    const classWeights = Float32Array.from(weight);
    const [z, y] = [Float32Array.from(row.logits), Int32Array.from(row.labels)];
    const found = crossEntropyLoss(z, y, { reduction, classWeights });
    close([found.loss], [row.loss], 'loss');
    close(found.losses, row.losses, 'losses');
    close(found.gradient, row.gradient, 'gradient');
  });
}

test('every loss of a row and its gradient are the formula times both of its weights', () => {
  const factor = fc.oneof(fc.constant(0), fc.float({ min: 0.0625, max: 8, noNaN: true }));
  const three = fc.array(factor, { minLength: 3, maxLength: 3 });
  const four = fc.array(factor, { minLength: 4, maxLength: 4 });
  const anyName = fc.constantFrom(...names);
  const reductions = fc.constantFrom('mean' as const, 'sum' as const);
  fc.assert(
    fc.property(anyName, three, four, reductions, (name, ofRows, ofClasses, reduction) => {
      const rowWeights = Float32Array.from(ofRows);
      const classWeights = Float32Array.from(ofClasses);
      const found = losses[name](logits, labels, {
        ...plainOptions[name],
        rowWeights,
        classWeights,
        reduction,
      } as LossOptions);
      const weights = [...labels].map((label, row) =>
        label < 0 ? 0 : ofRows[row]! * ofClasses[label]!,
      );
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const divisor = reduction === 'sum' || total === 0 ? 1 : total;
      let sum = 0;
      for (const [row, weight] of weights.entries()) {
        const part = [4 * row, 4 * row + 4] as const;
        const options = { name, ...plainOptions[name] } as ReferenceOptions;
        const plain = referenceLoss(logits.subarray(...part), Math.max(0, labels[row]!), options);
        close([found.losses[row]!], [weight * plain.loss], `${name}, loss of row ${row}`);
        const expected = plain.gradient.map((slope) => (slope * weight) / divisor);
        close(found.gradient.subarray(...part), expected, `${name}, gradient of row ${row}`);
        sum += weight * plain.loss;
      }
      close([found.loss], [sum / divisor], `${name}, loss`);
    }),
  );
});

test('weights of 1 change no bit, and smoothed rows are weighed too', () => {
  for (const name of names) {
    const plain = losses[name](logits, labels);
    const rowWeights = new Float32Array(3).fill(1);
    assert.equal(losses[name](logits, labels, { rowWeights }), plain);
    rowWeights.fill(2);
    const twice = losses[name](logits, labels, { rowWeights, reduction: 'sum' });
    const once = losses[name](logits, labels, { reduction: 'sum' });
    assert.equal(
      twice.gradient,
      once.gradient.map((slope) => 2 * slope),
    );
    assert.is(twice.loss, 2 * once.loss);
  }
  const classWeights = Float32Array.of(2, 2, 2, 2);
  const { loss, gradient } = deceLoss(logits, labels, { labelSmoothing: 0.1, classWeights });
  const plain = deceLoss(logits, labels, { labelSmoothing: 0.1 });
  close([loss, ...gradient], [plain.loss, ...plain.gradient], 'a mean with one weight for all');
});

test('weights that are all 0 give a mean of 0', () => {
  const { loss, gradient } = deceLoss(logits, labels, { rowWeights: new Float32Array(3) });
  assert.is(loss, 0);
  assert.ok(gradient.every((slope) => Math.abs(slope) === 0));
});

test('weights that cannot be are named', () => {
  const cases: [object, RegExp][] = [
    [{ rowWeights: [1, 1, 1] }, /^rowWeights is of type Array: expected Float32Array$/],
    [{ rowWeights: Float32Array.of(1) }, /^rowWeights has 1 values: expected 3$/],
    [{ classWeights: Float32Array.of(1, 1, 1) }, /^classWeights has 3 values: expected 4$/],
    [
      { classWeights: Float32Array.of(1, -1, 1, 1) },
      /^classWeights\[1\] is -1: expected a finite number, at least 0$/,
    ],
    [{ rowWeights: Float32Array.of(1, 1, NaN) }, /^rowWeights\[2\] is NaN: expected a finite/],
    [
      { rowWeights: new Float32Array(3), mode: 'reference' },
      /^mode is "reference": expected paper, as the authors have no weights$/,
    ],
    [
      { classWeights: new Float32Array(4), labelSmoothing: 0.1 },
      /^labelSmoothing is 0\.1: expected 0 with classWeights, or rowWeights in their place$/,
    ],
  ];
  for (const [options, message] of cases) {
    assert.throws(() => crossEntropyLoss(logits, labels, options), message);
  }
  assert.throws(
    () => deceLoss(logits, Int32Array.of(0, 4, 1), { classWeights: new Float32Array(4) }),
    /^labels\[1\] is 4/,
  );
});

test('weights of classes go with a batch that is empty too', () => {
  const [none, classWeights] = [new Float32Array(0), Float32Array.of(1, 2, 3)];
  const { loss, losses } = deceLoss(none, new Int32Array(0), { classWeights });
  assert.equal([loss, losses.length], [0, 0]);
});

test.run();
