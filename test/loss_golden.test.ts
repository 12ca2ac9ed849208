import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { crossEntropyLoss, deceLoss, gceLoss, inTrustLoss } from '../lib/loss.ts';

interface Golden {
  formulas: {
    name: keyof typeof losses;
    options: object;
    logits: number[];
    labels: number[];
    losses: number[];
    gradient: number[];
  }[];
  specials: {
    what: string;
    labelSmoothing: number;
    logits: (number | string)[];
    label: number;
    loss: number | string;
    gradient: (number | string)[];
  }[];
}

const losses = { dece: deceLoss, ce: crossEntropyLoss, gce: gceLoss, 'in-trust': inTrustLoss };
const golden: Golden = JSON.parse(
  readFileSync(new URL('fixtures/loss_golden.json', import.meta.url), 'utf8'),
);

function close(actual: number, expected: number, what: string): void {
  const same = Number.isFinite(expected)
    ? Math.abs(actual - expected) <= 1e-6 * Math.max(1, Math.abs(expected))
    : Object.is(actual, expected);
  assert.ok(same, `${what}: ${actual}, expected ${expected}`);
}

const test = suite('losses beside PyTorch');

for (const [i, { name, options, logits, labels, ...expected }] of golden.formulas.entries()) {
  test(`${name} ${JSON.stringify(options)} is the authors' formula, case ${i}`, () => {
    const result = losses[name](Float32Array.from(logits), Int32Array.from(labels), {
      ...options,
      mode: 'reference',
      reduction: 'sum',
    });
    for (const [row, loss] of expected.losses.entries()) {
      close(result.losses[row]!, loss, `loss of row ${row}`);
    }
    for (const [j, slope] of expected.gradient.entries()) {
      close(result.gradient[j]!, slope, `gradient ${j}`);
    }
  });
}

for (const { what, labelSmoothing, logits, label, loss, gradient } of golden.specials) {
  test(`cross-entropy of ${what} with labelSmoothing ${labelSmoothing} is PyTorch's`, () => {
    const result = crossEntropyLoss(Float32Array.from(logits, Number), Int32Array.of(label), {
      labelSmoothing,
    });
    close(result.loss, Number(loss), 'loss');
    for (const [j, slope] of gradient.entries()) {
      close(result.gradient[j]!, Number(slope), `gradient ${j}`);
    }
  });
}

for (const name of ['dece', 'gce', 'in-trust'] as const) {
  test(`${name} makes a row NaN where cross-entropy does, and no other row`, () => {
    for (const { logits, label } of golden.specials) {
      const row = Float32Array.from(logits, Number);
      const isNaNRow =
        row.some((z) => Number.isNaN(z) || z === Infinity) || row.every((z) => z === -Infinity);
      const both = Float32Array.of(0, 1, 2, 3, ...row);
      const { losses: found, gradient } = losses[name](both, Int32Array.of(0, label));
      assert.is(Number.isNaN(found[1]!), isNaNRow);
      assert.ok(gradient.subarray(4).every((slope) => Number.isNaN(slope) === isNaNRow));
      assert.ok(Number.isFinite(found[0]!) && gradient.subarray(0, 4).every(Number.isFinite));
    }
  });
}

test('an impossible class has no gradient, and a finite loss under DeCE', () => {
  const logits = Float32Array.of(1, -Infinity, 0, 2);
  const rest = Float32Array.of(1, 0, 2);
  const whole = deceLoss(logits, Int32Array.of(0), { labelSmoothing: 0 });
  const without = deceLoss(rest, Int32Array.of(0), { labelSmoothing: 0 });
  assert.is(whole.loss, without.loss);
  assert.equal([...whole.gradient].toSpliced(1, 1), [...without.gradient]);
  for (const labelSmoothing of [0, 0.1]) {
    const { loss, gradient } = deceLoss(logits, Int32Array.of(0), { labelSmoothing });
    assert.ok(Number.isFinite(loss));
    assert.is(gradient[1], 0);
  }
  const masked = deceLoss(logits, Int32Array.of(1), { labelSmoothing: 0.1 });
  assert.ok(Number.isFinite(masked.loss));
  assert.is(masked.gradient[1], 0);
});

test.run();
