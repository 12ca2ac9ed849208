import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ReferenceOptions, referenceLoss } from '../lib/bench/float64.ts';
import {
  alphaAt,
  crossEntropyLoss,
  deceLoss,
  gceLoss,
  gradientBound,
  inTrustLoss,
} from '../lib/loss.ts';
import { seeded } from '../lib/random.ts';

const losses = { dece: deceLoss, ce: crossEntropyLoss, gce: gceLoss, 'in-trust': inTrustLoss };
const names = Object.keys(losses) as (keyof typeof losses)[];

function closeTo(actual: number, expected: number, tolerance: number, what = ''): void {
  assert.ok(
    Math.abs(actual - expected) <= tolerance,
    `${what} ${actual}, expected ${expected} ± ${tolerance}`,
  );
}

function close(actual: ArrayLike<number>, expected: readonly number[], tolerance = 1e-6): void {
  assert.is(actual.length, expected.length);
  for (const [i, value] of expected.entries()) closeTo(actual[i]!, value, tolerance, `at ${i}:`);
}

// What the study's specification works out by hand.
const z = Float32Array.of(2, 1, 0.5, -1);
const t = Int32Array.of(2);
const deceOptions = { epoch: 3, alphaBase: 0.99, labelSmoothing: 0.05 };
const test = suite('losses');

test('deceLoss is the worked example of the paper, in both modes', () => {
  const paper = deceLoss(z, t, deceOptions);
  closeTo(paper.loss, 1.8301481344756816, 1e-6);
  close(paper.gradient, [0.4923971067, 0.1732596761, -0.6784494006, 0.0127926179]);
  const authors = deceLoss(z, t, { ...deceOptions, mode: 'reference' });
  closeTo(authors.loss, 1.8325717067293048, 1e-6);
  close(authors.gradient, [0.4906093453, 0.1699824588, -0.6694558166, 0.0088640126]);
});

test('mean counts the rows that are not ignored, the authors all rows', () => {
  const logits = Float32Array.of(2, 1, 0.5, -1, 0, 0, 3, 0, 1, 1, 1, 1);
  const labels = Int32Array.of(2, 2, 0);
  const options = { ...deceOptions, ignoreIndex: 0 };
  const paper = deceLoss(logits, labels, options);
  closeTo(paper.loss, 1.0398112122640388, 1e-6);
  close(paper.losses, [1.8301481345, 0.2494742901, 0]);
  assert.equal([...paper.gradient.subarray(8)], [0, 0, 0, 0]);
  const authors = deceLoss(logits, labels, { ...options, mode: 'reference' });
  closeTo(authors.loss, 0.7067036050497467, 1e-6);
  close(authors.losses, [1.8325717067, 0.2875391084, 0]);
  const sum = deceLoss(logits, labels, { ...options, reduction: 'sum' });
  closeTo(sum.loss, 2 * paper.loss, 1e-6);
  close(
    sum.gradient,
    [...paper.gradient].map((slope) => 2 * slope),
  );
});

test('two classes, in both modes', () => {
  const logits = Float32Array.of(1, -0.5);
  const label = Int32Array.of(1);
  const options = { alphaBase: 0.99, epoch: 5, labelSmoothing: 0.1 };
  const paper = deceLoss(logits, label, options);
  closeTo(paper.loss, 1.4506559326, 1e-6);
  close(paper.gradient, [0.6032611021, -0.6032611021]);
  const authors = deceLoss(logits, label, { ...options, mode: 'reference' });
  closeTo(authors.loss, 1.3971508025, 1e-6);
  close(authors.gradient, [0.5685295422, -0.5685295422]);
  closeTo(crossEntropyLoss(logits, label).loss, 1.701413278, 1e-6);
});

test('a label that is all but impossible keeps its pull, but not in the authors’ code', () => {
  const logits = Float32Array.of(20, 0, 0, 0);
  const label = Int32Array.of(1);
  const paper = deceLoss(logits, label, deceOptions);
  closeTo(paper.gradient[1]!, -6.73e-8, 1e-10);
  const authors = deceLoss(logits, label, { ...deceOptions, mode: 'reference' });
  closeTo(authors.gradient[1]!, 3.43e-11, 1e-13);
});

test('the other losses are their worked examples', () => {
  closeTo(crossEntropyLoss(z, t).loss, 1.9951818981, 1e-6);
  closeTo(crossEntropyLoss(z, t, { labelSmoothing: 0.05 }).loss, 1.9889318981, 1e-6);
  const authors = crossEntropyLoss(z, t, { labelSmoothing: 0.05, mode: 'reference' });
  closeTo(authors.loss, 1.9868485648, 1e-6);

  const half = gceLoss(z, t, { q: 0.5 });
  closeTo(half.loss, 1.2624665003, 1e-6);
  close(half.gradient, [0.2247485972, 0.0826803884, -0.3186185594, 0.0111895738]);
  const gce = gceLoss(z, t);
  closeTo(gce.loss, 1.0750999164, 1e-6);
  close(gce.gradient, [0.1507987328, 0.0554757535, -0.2137823131, 0.0075078268]);

  const trust = inTrustLoss(z, t);
  closeTo(trust.loss, 3.1300526633, 1e-6);
  close(trust.gradient, [0.4386802065, 0.3407476683, -0.8740920939, 0.0946642191]);
  const less = inTrustLoss(z, t, { alpha: 0.2 });
  closeTo(less.loss, 1.5339071449, 1e-6);
  close(less.gradient, [-0.0488878235, 0.1613814138, -0.1828832265, 0.0703896362]);
});

test('return the gradient of what they return as loss', () => {
  const logits = Float32Array.of(2, -1, 0.5, 0, 0.3, 3, -2, 1);
  const labels = Int32Array.of(0, 2);
  const h = 1e-2;
  for (const name of names) {
    for (const mode of ['paper', 'reference'] as const) {
      const { gradient } = losses[name](logits, labels, { mode });
      for (const i of logits.keys()) {
        const lossAt = (logit: number) =>
          losses[name](logits.with(i, logit), labels, { mode }).loss;
        const slope = (lossAt(logits[i]! + h) - lossAt(logits[i]! - h)) / (2 * h);
        closeTo(gradient[i]!, slope, 1e-4, `${name} ${mode}, logit ${i}:`);
      }
    }
  }
});

const row = fc
  .array(fc.float({ min: -30, max: 30, noNaN: true }), { minLength: 2, maxLength: 70 })
  .chain((logits) => fc.tuple(fc.constant(Float32Array.from(logits)), fc.nat(logits.length - 1)));
const share = fc.double({ min: 0, max: 0.4, noNaN: true });
const settings = fc.record({
  epoch: fc.nat(100),
  alphaBase: fc.double({ min: 0.5, max: 0.999, noNaN: true }),
  labelSmoothing: share,
});

test('any row of any loss is its formula in float64', () => {
  const anyLoss = fc.oneof(
    settings.map((options) => ({ name: 'dece' as const, ...options })),
    share.map((labelSmoothing) => ({ name: 'ce' as const, labelSmoothing })),
    fc.double({ min: 0.01, max: 1, noNaN: true }).map((q) => ({ name: 'gce' as const, q })),
    fc
      .tuple(share, share, share)
      .map(([alpha, beta, delta]) => ({ name: 'in-trust' as const, alpha, beta, delta })),
  );
  fc.assert(
    fc.property(row, anyLoss, ([logits, label], { name, ...options }) => {
      const found = losses[name](logits, Int32Array.of(label), options);
      const expected = referenceLoss(logits, label, { name, ...options } as ReferenceOptions);
      closeTo(found.loss, expected.loss, 2e-6 * Math.max(1, expected.loss), 'loss');
      close(found.gradient, [...expected.gradient], 2e-6);
    }),
    { numRuns: 500 },
  );
});

test('DeCE stays between the entropy of its label and that minus log(1 − alpha)', () => {
  fc.assert(
    fc.property(row, settings, ([logits, label], options) => {
      const { loss } = deceLoss(logits, Int32Array.of(label), options);
      const other = options.labelSmoothing / logits.length;
      const target = 1 - (logits.length - 1) * other;
      const entropy =
        -target * Math.log(target) -
        (other > 0 ? (logits.length - 1) * other * Math.log(other) : 0);
      const height = -Math.log(-Math.expm1(options.epoch * Math.log(options.alphaBase)));
      assert.ok(loss >= entropy - 1e-5 && loss <= entropy + height + 1e-5);
    }),
  );
});

test('a gradient sums to 0, and DeCE’s is bounded by p and by the label', () => {
  fc.assert(
    fc.property(row, settings, ([logits, label], options) => {
      const { gradient } = deceLoss(logits, Int32Array.of(label), options);
      closeTo(
        gradient.reduce((sum, slope) => sum + slope, 0),
        0,
        1e-6,
      );
      const p = crossEntropyLoss(logits, Int32Array.of(label)).gradient;
      p[label]! += 1;
      const other = options.labelSmoothing / logits.length;
      for (const [j, slope] of gradient.entries()) {
        const y = j === label ? 1 - (logits.length - 1) * other : other;
        assert.ok(Math.abs(slope) <= Math.max(p[j]!, y) + 1e-6);
      }
    }),
  );
});

test('alphaBase 1 and epoch 0 are cross-entropy, with and without smoothing', () => {
  const logits = Float32Array.of(3, -60, 0.5, 0, -8, 3, 90, 1);
  const labels = Int32Array.of(0, 2);
  for (const labelSmoothing of [0, 0.1]) {
    const expected = crossEntropyLoss(logits, labels, { labelSmoothing });
    for (const options of [{ alphaBase: 1, epoch: 7 }, { epoch: 0 }]) {
      assert.equal(deceLoss(logits, labels, { ...options, labelSmoothing }), expected);
    }
  }
});

test('without smoothing DeCE’s gradient is cross-entropy’s times the label’s own factor', () => {
  const ce = crossEntropyLoss(z, t).gradient;
  const { gradient } = deceLoss(z, t, { epoch: 3, alphaBase: 0.9, labelSmoothing: 0 });
  const a = 0.9 ** 3;
  const p = 0.1359889158;
  close(
    gradient,
    [...ce].map((slope) => ((a * p) / (a * p + 1 - a)) * slope),
  );
});

test('GCE at q = 1 is 1 − p of the label', () => {
  closeTo(gceLoss(z, t, { q: 1 }).loss, 1 - 0.1359889158, 1e-6);
});

test('off-target smoothing is uniform smoothing with classes / (classes − 1) times the share', () => {
  const authors = deceLoss(z, t, { labelSmoothing: 0.06, mode: 'reference' });
  const paper = deceLoss(z, t, { labelSmoothing: 0.08 });
  closeTo(authors.loss, paper.loss, 1e-6);
  close(authors.gradient, [...paper.gradient]);
});

test('a late epoch fades out to nothing, without NaN', () => {
  const { loss, gradient } = deceLoss(z, t, { epoch: 5000, alphaBase: 0.8 });
  closeTo(loss, -0.925 * Math.log(0.925) - 0.075 * Math.log(0.025), 1e-6);
  assert.equal([...gradient], [0, 0, 0, 0]);
});

test('one class, no rows and nothing but ignored rows have loss 0 and gradient 0', () => {
  for (const name of names) {
    for (const mode of ['paper', 'reference'] as const) {
      const one = losses[name](Float32Array.of(3, -2), Int32Array.of(0, 0), { mode });
      assert.equal([one.loss, ...one.gradient].map(Math.abs), [0, 0, 0]);
      const empty = losses[name](new Float32Array(0), new Int32Array(0), { mode });
      assert.equal([empty.loss, empty.gradient.length], [0, 0]);
      const ignored = losses[name](
        z.map(() => Number.NaN),
        Int32Array.of(-100),
        { mode },
      );
      assert.equal([ignored.loss, ...ignored.losses, ...ignored.gradient], [0, 0, 0, 0, 0, 0]);
    }
  }
});

test('a gradient as large as is written past the caches has the bits that it has in place', () => {
  const random = seeded(3);
  for (const [classes, dtype] of [
    [60_001, 'float32'],
    [60_011, 'bfloat16'],
  ] as const) {
    const rows = dtype === 'float32' ? 72 : 144; // 17 MB
    const labels = Int32Array.from({ length: rows }, () => random.below(classes));
    const words = Uint16Array.from({ length: rows * classes }, () => 0x3f00 + random.below(0x180));
    const logits = dtype === 'float32' ? Float32Array.from(words, (word) => word / 1e4) : words;
    for (const name of names) {
      const inPlace = logits.slice();
      losses[name](inPlace, labels, { dtype, gradient: inPlace });
      // At each place in a line of the cache where an element may lie.
      for (const shift of [0, 1, 5]) {
        const whole = new (logits.constructor as Float32ArrayConstructor)(logits.length + shift);
        new Uint8Array(whole.buffer).fill(0xff);
        const gradient = whole.subarray(shift);
        losses[name](logits, labels, { dtype, gradient });
        const bytes = ({ buffer, byteOffset, byteLength }: typeof gradient) =>
          Buffer.from(buffer, byteOffset, byteLength);
        assert.ok(
          bytes(gradient).equals(bytes(inPlace as typeof gradient)),
          `${name} ${dtype} ${shift}`,
        );
      }
    }
  }
});

test('alphaAt is alphaBase to the power of the epoch', () => {
  assert.is(alphaAt(1, 0.8), 0.8);
  closeTo(alphaAt(10, 0.8), 0.1074, 1e-4);
  assert.is(alphaAt(0, 0.5), 1);
  assert.throws(() => alphaAt(-1, 0.8), /^epoch is -1: expected at least 0$/);
  assert.throws(() => alphaAt(1, 0), /^alphaBase is 0: expected in \(0, 1\]$/);
});

test('gradientBound is reached by two classes under DeCE, and by GCE at p = q / (1 + q)', () => {
  const { probabilities, logits: bound } = gradientBound({ epoch: 5, alphaBase: 0.8 });
  closeTo(probabilities, 0.487387, 1e-6);
  const steepest = (name: 'dece' | 'gce', options: object) => {
    let most = 0;
    for (let distance = -8; distance < 8; distance += 0.01) {
      const { gradient } = losses[name](Float32Array.of(0, distance), Int32Array.of(1), options);
      most = Math.max(most, Math.abs(gradient[1]!));
    }
    return most;
  };
  closeTo(steepest('dece', { epoch: 5, alphaBase: 0.8, labelSmoothing: 0 }), bound, 1e-5);
  const gce = gradientBound({ name: 'gce', q: 0.7 });
  closeTo(gce.logits, 0.3161, 1e-4);
  closeTo(steepest('gce', { q: 0.7 }), gce.logits, 1e-5);
  assert.is(gce.probabilities, Infinity);
  assert.is(gradientBound({ name: 'gce', q: 1 }).probabilities, 1);
  closeTo(
    gradientBound({ name: 'gce', q: 0.5, mode: 'reference' }).probabilities,
    1e7 ** 0.5,
    1e-6,
  );
});

test('gradientBound of cross-entropy is 1, and without end with respect to p', () => {
  assert.equal(gradientBound({ name: 'ce' }), { probabilities: Infinity, logits: 1 });
  assert.equal(gradientBound({ epoch: 0 }), { probabilities: Infinity, logits: 1 });
});

test('gradientBound of In-trust is that of the label among many unlikely classes', () => {
  closeTo(gradientBound({ name: 'in-trust', alpha: 0, beta: 1 }).probabilities, 9.9035, 1e-4);
  const { probabilities, logits: bound } = gradientBound({ name: 'in-trust' });
  assert.is(probabilities, Infinity);
  let most = 0;
  const logits = new Float32Array(100_000);
  for (let logit = 10; logit < 14; logit += 0.1) {
    logits[0] = logit;
    most = Math.max(most, Math.abs(inTrustLoss(logits, Int32Array.of(0)).gradient[0]!));
  }
  assert.ok(most <= bound && most > 0.99 * bound, `${most}, bound ${bound}`);
  assert.equal(gradientBound({ name: 'in-trust', beta: 0 }).logits, 1);
  assert.is(gradientBound({ name: 'in-trust', delta: 1 }).logits, Infinity);
});

test('no gradient of any loss exceeds its bound', () => {
  fc.assert(
    fc.property(
      row,
      settings,
      fc.constantFrom('paper', 'reference'),
      ([logits, label], own, mode) => {
        const most = (name: keyof typeof losses, options: object) => {
          const { gradient } = losses[name](logits, Int32Array.of(label), { ...options, mode });
          const bound = gradientBound({ name, ...options, mode }).logits;
          for (const slope of gradient) assert.ok(Math.abs(slope) <= bound + 1e-6, name);
        };
        most('dece', own);
        most('ce', { labelSmoothing: own.labelSmoothing });
        most('gce', { q: own.alphaBase });
        most('in-trust', { delta: own.alphaBase });
      },
    ),
  );
});

test.run();
