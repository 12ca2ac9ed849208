import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { sample, seeded, shuffle } from '../lib/random.ts';

const times = (count: number, draw: () => number) => Array.from({ length: count }, draw);

const test = suite('random');

test('gives the words of the published generator', () => {
  const random = seeded(42);
  assert.equal(times(4, random.u32), [2746317213, 478163327, 107420369, 3184935163]);
});

test('goes on after its state of 624 words is used up', () => {
  const random = seeded(42);
  times(1999, random.u32);
  assert.is(random.u32(), 1557724698);
});

test('draws whole numbers as Python does', () => {
  const draws = (seed: number) => {
    const random = seeded(seed);
    return times(8, () => random.randint(0, 40));
  };
  assert.equal(draws(42), [40, 7, 1, 17, 15, 14, 8, 6]);
  assert.equal(draws(1234), [28, 7, 0, 5, 37, 2, 5, 6]);
});

test('draws fractions and mixed ranges as Python does, for the smallest and the largest seed', () => {
  const draws = (seed: number) => {
    const { next, randint, u32 } = seeded(seed);
    return [next(), next(), next(), randint(0, 0), randint(-5, 5), u32(), randint(0, 40)];
  };
  assert.equal(
    draws(0),
    [0.8444218515250481, 0.7579544029403025, 0.420571580830845, 0, 3, 2087043557, 25],
  );
  assert.equal(
    draws(2 ** 32 - 1),
    [0.6353574441341173, 0.20319993954407756, 0.6073666030347188, 0, 4, 1460408326, 24],
  );
});

test('counts the words drawn, rejected ones included', () => {
  const random = seeded(42);
  times(8, () => random.below(41));
  const other = seeded(random.seed);
  times(random.drawn, other.u32);
  assert.is(other.u32(), random.u32());
});

test('shuffles into a new array with the same members, and differently for another seed', () => {
  const items = times(
    50,
    (() => {
      let n = 0;
      return () => n++;
    })(),
  );
  const once = shuffle(items, seeded(1));
  assert.equal(shuffle(items, seeded(1)), once);
  assert.not.equal(shuffle(items, seeded(2)), once);
  assert.not.equal(once, items);
  assert.equal(
    once.toSorted((a, b) => a - b),
    items,
  );
  assert.equal(shuffle([], seeded(1)), []);
});

test('draws a sample without repeats, each member as likely as the others', () => {
  const random = seeded(7);
  const counts = [0, 0, 0, 0, 0];
  for (let i = 0; i < 5000; i++) {
    const drawn = sample([0, 1, 2, 3, 4], 2, random);
    assert.is(new Set(drawn).size, 2);
    for (const item of drawn) counts[item]!++;
  }
  for (const count of counts) assert.ok(Math.abs(count - 2000) < 150, `${counts}`);
});

test('refuses seeds and ranges that it cannot honour', () => {
  assert.throws(() => seeded(-1), /^seed is -1: expected a whole number, 0\.\.4294967295$/);
  assert.throws(() => seeded(1.5), /^seed is 1\.5: expected/);
  assert.throws(() => seeded(2 ** 32), /^seed is 4294967296: expected/);
  assert.throws(() => seeded(1).below(0), /^n is 0: expected/);
  assert.throws(() => sample([1, 2], 3, seeded(1)), /^count is 3: expected 0\.\.2$/);
});

test.run();
