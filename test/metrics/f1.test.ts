import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { accuracy, type F1, f1, type Label } from '../../lib/metrics/index.ts';
import { closeTo, golden } from './golden.ts';

const cases =
  golden<{ predictions: Label[]; labels: Label[]; positive: Label; macro: F1; binary: F1 }[]>(
    'classification',
  );

/** Predictions and labels with so many of each kind, 1 being the positive class. */
function counted(hits: number, falseAlarms: number, missed: number, rest: number) {
  const kinds = [
    [1, 1, hits],
    [1, 0, falseAlarms],
    [0, 1, missed],
    [0, 0, rest],
  ] as const;
  const column = (at: 0 | 1) => kinds.flatMap((kind) => new Array<number>(kind[2]).fill(kind[at]));
  return [column(0), column(1)] as const;
}

function same(actual: F1, expected: F1) {
  for (const key of ['precision', 'recall', 'f1'] as const) {
    closeTo(actual[key], expected[key], key);
  }
}

const test = suite('f1');

test('agrees with scikit-learn, with zero_division=0', () => {
  for (const { predictions, labels, positive, macro, binary } of cases) {
    same(f1(predictions, labels), macro);
    same(f1(predictions, labels, { average: 'binary', positive }), binary);
  }
});

test("gives the specification's example", () => {
  const [predictions, labels] = counted(3, 1, 2, 4);
  const of = (positive: number) => f1(predictions, labels, { average: 'binary', positive }).f1;
  assert.is(accuracy(predictions, labels), 0.7);
  assert.equal([of(1).toFixed(4), of(0).toFixed(4)], ['0.6667', '0.7273']);
  assert.is(f1(predictions, labels).f1.toFixed(4), '0.6970');
});

test('tells macro F1 from that of the rare class, as on the SATD test split', () => {
  const [predictions, labels] = counted(583 - 72, 72, 72, 6652 - 583 - 72);
  const { f1: rare } = f1(predictions, labels, { average: 'binary', positive: 1 });
  assert.is((100 * accuracy(predictions, labels)).toFixed(2), '97.84');
  assert.equal([f1(predictions, labels).f1.toFixed(3), rare.toFixed(3)], ['0.932', '0.877']);
});

test('scores a class that nobody names 0, and leaves it out of macro', () => {
  const nothing = { precision: 0, recall: 0, f1: 0 };
  assert.equal(f1([0, 0], [0, 0], { average: 'binary', positive: 1 }), nothing);
  assert.equal(f1([0, 0], [0, 0]), { precision: 1, recall: 1, f1: 1 });
  assert.equal(f1(['a'], ['b']), nothing);
});

test('is within 0..1, whatever the order, and swaps precision and recall with the lists', () => {
  const pairs = fc.array(fc.tuple(fc.nat(3), fc.nat(3)), { minLength: 1, maxLength: 30 });
  const option = fc.constantFrom({}, { average: 'binary', positive: 2 } as const);
  fc.assert(
    fc.property(pairs, option, (rows, options) => {
      const of = (order: [number, number][], one: 0 | 1) =>
        f1(
          order.map((row) => row[one]),
          order.map((row) => row[1 - one]!),
          options,
        );
      const scores = of(rows, 0);
      assert.ok(Object.values(scores).every((score) => score >= 0 && score <= 1 + 1e-12));
      same(of(rows.toReversed(), 0), scores);
      const { precision: recall, recall: precision, f1: both } = of(rows, 1);
      same({ precision, recall, f1: both }, scores);
    }),
  );
});

test('refuses options that mean nothing, and lists that do not fit', () => {
  const loose = f1 as (predictions: Label[], labels: Label[], options?: object) => F1;
  assert.throws(
    () => loose([1], [1], { average: 'micro' }),
    /^average is "micro": expected binary or/,
  );
  assert.throws(
    () => loose([1], [1], { average: 'binary' }),
    /^positive is undefined: expected a number, as labels\[0\] is$/,
  );
  assert.throws(
    () => loose([1], [1], { average: 'binary', positive: '1' }),
    /^positive is "1": expected a number/,
  );
  assert.throws(
    () => loose([1], [1], { positive: 1 }),
    /^positive is 1: expected none, as average/,
  );
  assert.throws(() => loose([1], [1], { pos_label: 1 }), /^f1 has an unknown option "pos_label"/);
  assert.throws(() => loose([1], []), /^1 predictions for 0 labels: expected one for each/);
});

test.run();
