import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { accuracy, type Label } from '../../lib/metrics/index.ts';
import { golden } from './golden.ts';

const cases =
  golden<{ predictions: Label[]; labels: Label[]; accuracy: number }[]>('classification');

const test = suite('accuracy');

test('agrees with scikit-learn', () => {
  for (const { predictions, labels, accuracy: expected } of cases) {
    assert.is(accuracy(predictions, labels), expected);
  }
});

test('is the same the other way round, and counts what differs', () => {
  const pairs = fc.array(fc.tuple(fc.nat(2), fc.nat(2)), { minLength: 1 });
  fc.assert(
    fc.property(pairs, (rows) => {
      const [predictions, labels] = [rows.map(([one]) => one), rows.map(([, other]) => other)];
      const wrong = rows.filter(([one, other]) => one !== other).length;
      assert.is(accuracy(predictions, labels), (rows.length - wrong) / rows.length);
      assert.is(accuracy(labels, predictions), accuracy(predictions, labels));
    }),
  );
});

test('refuses lists of different length, none, and labels that cannot be compared', () => {
  const loose = accuracy as (predictions: unknown[], labels: unknown[]) => number;
  assert.throws(
    () => loose([1], [1, 0]),
    /^1 predictions for 2 labels: expected one for each, and/,
  );
  assert.throws(() => loose([], []), /^0 predictions for 0 labels: expected one for each, and at/);
  assert.throws(
    () => loose([1, '1'], [1, 1]),
    /^predictions\[1\] is "1": expected a finite number, as labels\[0\] is$/,
  );
  assert.throws(
    () => loose(['a', 'b'], ['a', true]),
    /^labels\[1\] is true: expected a string, as/,
  );
  assert.throws(() => loose([1], [Number.NaN]), /^labels\[0\] is NaN: expected a string, a finite/);
  assert.throws(
    () => loose([Number.NaN], [1]),
    /^predictions\[0\] is NaN: expected a finite number/,
  );
  assert.throws(
    () => loose(new Array(1), ['a']),
    /^predictions\[0\] is undefined: expected a string/,
  );
});

test.run();
