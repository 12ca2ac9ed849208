import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ReferenceOptions, referenceLoss, relativeError } from '../lib/bench/float64.ts';
import {
  crossEntropyLoss,
  crossEntropyLossAsync,
  deceLoss,
  gceLoss,
  inTrustLoss,
  type LossOptions,
} from '../lib/loss.ts';
import { seeded } from '../lib/random.ts';

const losses = { dece: deceLoss, ce: crossEntropyLoss, gce: gceLoss, 'in-trust': inTrustLoss };
const names = Object.keys(losses) as (keyof typeof losses)[];

const random = seeded(5);
const classes = 301;
const logits = Float32Array.from({ length: 4 * classes }, () => 6 * random.next());
const labels = Int32Array.of(7, 300, -100, 0);
const upstream = Float32Array.of(0.5, -3, 100, 0);

const test = suite('losses without a reduction');

test('losses alone are those that come with a gradient', async () => {
  for (const name of names) {
    for (const mode of ['paper', 'reference'] as const) {
      const { loss, losses: all } = losses[name](logits, labels, { mode });
      const alone = losses[name](logits, labels, { mode, gradient: false });
      assert.is(alone.loss, loss);
      assert.equal(alone.losses, all);
      assert.is(alone.gradient.length, 0);
    }
  }
  const { gradient, ...alone } = await crossEntropyLossAsync(logits, labels, { gradient: false });
  assert.is(gradient.length, 0);
  assert.is(alone.loss, crossEntropyLoss(logits, labels).loss);
});

test('upstream multiplies the gradient of each row, and no loss of a row', () => {
  for (const name of names) {
    const formula: ReferenceOptions = { name, labelSmoothing: name === 'dece' ? 0.1 : 0 };
    const found = losses[name](logits, labels, { reduction: 'none', upstream });
    const plain = losses[name](logits, labels, { reduction: 'none' });
    assert.equal(found.losses, plain.losses);
    let sum = 0;
    for (const [row, label] of labels.entries()) {
      const part = [row * classes, (row + 1) * classes] as const;
      const own = found.gradient.subarray(...part);
      if (label < 0 || upstream[row] === 0) {
        assert.ok(own.every((slope) => Math.abs(slope) === 0));
        continue;
      }
      const expected = referenceLoss(logits.subarray(...part), label, formula);
      sum += upstream[row]! * expected.loss;
      const slopes = expected.gradient.map((slope) => slope * upstream[row]!);
      assert.ok(relativeError(own, slopes) < 1e-6, `${name}, row ${row}`);
    }
    assert.ok(Math.abs(found.loss - sum) < 1e-5 * Math.abs(sum), `${name}: ${found.loss}, ${sum}`);
  }
});

test('with neither weights nor upstream, none is a sum', () => {
  for (const name of names) {
    const sum = losses[name](logits, labels, { reduction: 'sum' });
    assert.equal(losses[name](logits, labels, { reduction: 'none' }), sum);
  }
});

test('rows that are trimmed by their losses are left out of the gradient', () => {
  // The two steps that `upstream` is for: what becomes of the losses is the caller's.
  const { losses: first } = crossEntropyLoss(logits, labels, { gradient: false });
  const worst = first.indexOf(Math.max(...first));
  const kept = Float32Array.from(first, (_, row) => Number(row !== worst));
  const { gradient } = crossEntropyLoss(logits, labels, { reduction: 'none', upstream: kept });
  const trimmed = crossEntropyLoss(logits, labels.with(worst, -100), { reduction: 'sum' });
  assert.ok(gradient.every((slope, i) => slope === trimmed.gradient[i]));
});

test('what cannot be is named', () => {
  const cases: [LossOptions<Float32Array>, RegExp][] = [
    [{ upstream }, /^reduction is "mean": expected none with upstream$/],
    [{ reduction: 'none', upstream: upstream.subarray(1) }, /^upstream has 3 values: expected 4$/],
    [
      { reduction: 'none', upstream: upstream.with(1, Infinity) },
      /^upstream\[1\] is Infinity: expected a finite number$/,
    ],
    [{ reduction: 'all' as 'none' }, /^reduction is "all": expected mean, sum or none$/],
    [{ gradient: true as false }, /^gradient is of type Boolean: expected Float32Array, as logits/],
  ];
  for (const [options, message] of cases) {
    assert.throws(() => crossEntropyLoss(logits, labels, options), message);
  }
});

test.run();
