import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { wilson } from '../../lib/metrics/index.ts';

const test = suite('wilson');

test('gives the published intervals', () => {
  // Newcombe, 1998, Table I, method 3 (Wilson's score without continuity correction).
  const published: [number, number, number, number][] = [
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ];
  for (const [successes, trials, low, high] of published) {
    assert.equal(
      wilson(successes, trials).map((bound) => Number(bound.toFixed(4))),
      [low, high],
    );
  }
});

test('solves the equation it stands for: a bound is 1.96 of its own errors away', () => {
  const z = 1.959963984540054;
  const counts = fc
    .integer({ min: 2, max: 5000 })
    .chain((trials) => fc.tuple(fc.integer({ min: 1, max: trials - 1 }), fc.constant(trials)));
  fc.assert(
    fc.property(counts, ([successes, trials]) => {
      for (const bound of wilson(successes, trials)) {
        const error = Math.sqrt((bound * (1 - bound)) / trials);
        const distance = Math.abs(successes / trials - bound) / error;
        assert.ok(Math.abs(distance - z) < 1e-6, `${successes}/${trials}: ${distance}`);
      }
    }),
  );
});

test('is the other way round for failures, and ends at 0 and 1', () => {
  const [low, high] = wilson(83, 165);
  const [lowest, highest] = wilson(82, 165);
  assert.ok(Math.abs(low - (1 - highest)) < 1e-15 && Math.abs(high - (1 - lowest)) < 1e-15);
  assert.is(wilson(0, 165)[0], 0);
  assert.is(wilson(165, 165)[1], 1);
});

test('refuses counts that cannot be', () => {
  assert.throws(() => wilson(0, 0), /^trials is 0: expected a whole number, at least 1$/);
  assert.throws(() => wilson(3, 2), /^successes is 3: expected a whole number, 0\.\.2$/);
  assert.throws(() => wilson(0.5, 2), /^successes is 0\.5: expected/);
});

test.run();
