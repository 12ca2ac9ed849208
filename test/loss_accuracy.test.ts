import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  norm,
  quantile,
  type ReferenceOptions,
  referenceLoss,
  relativeError,
} from '../lib/bench/float64.ts';
import { crossEntropyLoss, deceLoss, gceLoss, inTrustLoss } from '../lib/loss.ts';
import { type Random, seeded } from '../lib/random.ts';

// test/loss_isa.test.ts runs this file again on each instruction set.

const losses = { dece: deceLoss, ce: crossEntropyLoss, gce: gceLoss, 'in-trust': inTrustLoss };

function pick<T>(values: readonly T[], random: Random): T {
  return values[random.below(values.length)]!;
}

/** Normal logits of some spread, the label's raised: from an untrained model to a sure one. */
function makeRow(classes: number, random: Random): { logits: Float32Array; label: number } {
  const spread = pick([0.1, 0.5, 1, 3, 8], random);
  const logits = Float32Array.from({ length: classes }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - random.next()));
    return spread * radius * Math.cos(2 * Math.PI * random.next());
  });
  const label = random.below(classes);
  logits[label]! += pick([0, 8, 20], random);
  return { logits, label };
}

function makeOptions(name: keyof typeof losses, random: Random): ReferenceOptions {
  const labelSmoothing = pick([0, 1e-4, 0.01, 0.05, 0.1, 0.3], random);
  if (name === 'ce') return { name, labelSmoothing };
  if (name === 'gce') return { name, q: pick([0.05, 0.5, 0.7, 1], random) };
  if (name === 'in-trust') {
    const alpha = pick([0.2, 1], random);
    return { name, alpha, beta: pick([0.1, 0.8], random), delta: pick([0.3, 0.5, 0.9], random) };
  }
  const alphaBase = pick([0.5, 0.8, 0.9, 0.95, 0.985, 0.99, 0.999], random);
  return { name, epoch: pick([0, 1, 2, 5, 20, 100], random), alphaBase, labelSmoothing };
}

/** Rows to try for a number of classes: about the same work for each. */
const rowsOf = (classes: number, rows: number) =>
  Math.max(6, Math.round(rows / (1 + classes / 400)));
const widths = [2, 3, 5, 17, 1000, 32128, 50257, 152064];

const test = suite('accuracy of the losses');

for (const name of Object.keys(losses) as (keyof typeof losses)[]) {
  test(`gradients of ${name} are within 1e-6, 99 in 100 rows within 1e-5`, () => {
    const random = seeded(17);
    const errors: number[] = [];
    for (const classes of widths) {
      for (let row = rowsOf(classes, name === 'dece' ? 1500 : 600); row > 0; row--) {
        const { logits, label } = makeRow(classes, random);
        const { name: _, ...options } = makeOptions(name, random);
        const found = losses[name](logits, Int32Array.of(label), options);
        const expected = referenceLoss(logits, label, { name, ...options });
        const most = 1e-5 * Math.max(1e-2, expected.loss);
        assert.ok(Math.abs(found.loss - expected.loss) <= most, `${found.loss}, ${expected.loss}`);
        // Of a row already learnt only rounding is left.
        if (norm(expected.gradient) < 1e-6) continue;
        errors.push(relativeError(found.gradient, expected.gradient));
      }
    }
    const [median, high] = [quantile(errors, 0.5), quantile(errors, 0.99)];
    assert.ok(errors.length > 500);
    assert.ok(median <= 1e-6 && high <= 1e-5, `median ${median}, 99th percentile ${high}`);
  });
}

test('the authors’ DeCE is as exact where no probability is near its clamp', () => {
  const random = seeded(3);
  const errors: number[] = [];
  for (const classes of widths.slice(0, 6)) {
    for (let row = rowsOf(classes, 300); row > 0; row--) {
      const { logits, label } = makeRow(classes, random);
      const top = logits.reduce((most, z) => Math.max(most, z), -Infinity);
      const total = logits.reduce((sum, z) => sum + Math.exp(z - top), 0);
      const near = (z: number) => Math.abs(Math.exp(z - top) / total / 1e-7 - 1) < 1e-5;
      if (logits.some(near)) continue;
      const options = makeOptions('dece', random);
      const { name: _, ...own } = options;
      // Their labels must stay likelier than the rest: smoothing below (classes - 1) / classes.
      const found = deceLoss(logits, Int32Array.of(label), { ...own, mode: 'reference' });
      const expected = referenceLoss(logits, label, { ...options, mode: 'reference' });
      assert.ok(Math.abs(found.loss - expected.loss) <= 1e-5 * Math.max(1e-2, expected.loss));
      if (norm(expected.gradient) < 1e-6) continue;
      errors.push(relativeError(found.gradient, expected.gradient));
    }
  }
  const [median, high] = [quantile(errors, 0.5), quantile(errors, 0.99)];
  assert.ok(median <= 1e-6 && high <= 1e-5, `median ${median}, 99th percentile ${high}`);
});

/** The number that 16 bits stand for. */
function decode(bits: number, dtype: 'bfloat16' | 'float16'): number {
  if (dtype === 'bfloat16') return new Float32Array(Uint32Array.of(bits << 16).buffer)[0]!;
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity;
  return sign * (exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24);
}

/** Every 16-bit number in order: rounding to nearest is then a search. */
function encoder(dtype: 'bfloat16' | 'float16'): (value: number) => number {
  const finite = dtype === 'bfloat16' ? 0x7f80 : 0x7c00;
  const table = Float64Array.from({ length: finite }, (_, bits) => decode(bits, dtype));
  return (value) => {
    let low = 0;
    let high = finite - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (table[middle]! < Math.abs(value)) low = middle + 1;
      else high = middle;
    }
    const below = Math.max(0, low - 1);
    const distance = Math.abs(value) - table[below]! - (table[low]! - Math.abs(value));
    const bits = distance > 0 || (distance === 0 && low % 2 === 0) ? low : below;
    return value < 0 || Object.is(value, -0) ? bits | 0x8000 : bits;
  };
}

for (const dtype of ['bfloat16', 'float16'] as const) {
  test(`${dtype}: the gradient is that of the same numbers in float32, rounded to nearest`, () => {
    const encode = encoder(dtype);
    const random = seeded(5);
    for (const classes of [2, 17, 1000, 1029]) {
      for (const name of Object.keys(losses) as (keyof typeof losses)[]) {
        const { logits, label } = makeRow(classes, random);
        const half = Uint16Array.from(logits, encode);
        const same = Float32Array.from(half, (bits) => decode(bits, dtype));
        const expected = losses[name](same, Int32Array.of(label));
        const found = losses[name](half, Int32Array.of(label), { dtype });
        assert.is(found.loss, expected.loss);
        assert.equal(found.gradient, Uint16Array.from(expected.gradient, encode), name);
      }
    }
  });

  test(`${dtype}: every number is read as what it is, and infinities and NaN stay`, () => {
    const special = dtype === 'bfloat16' ? [0x7f80, 0xff80, 0x7fc0] : [0x7c00, 0xfc00, 0x7e00];
    // The gradient of two logits tells their difference: p of the second, where the first is 0.
    for (let bits = 0; bits < 0x10000; bits += 7) {
      const value = decode(bits, dtype);
      if (!Number.isFinite(value)) continue;
      const expected = crossEntropyLoss(Float32Array.of(0, value), Int32Array.of(0));
      const found = crossEntropyLoss(Uint16Array.of(0, bits), Int32Array.of(0), { dtype });
      assert.is(found.loss, expected.loss);
    }
    const isNaNRow = special.map((bits) => {
      const { loss, gradient } = crossEntropyLoss(Uint16Array.of(0, bits, 0), Int32Array.of(0), {
        dtype,
      });
      const nans = Array.from(gradient, (half) => Number.isNaN(decode(half, dtype)));
      assert.is(new Set([...nans, Number.isNaN(loss)]).size, 1);
      return Number.isNaN(loss);
    });
    assert.equal(isNaNRow, [true, false, true]);
  });
}

test.run();
