import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { exactMatch } from '../../lib/metrics/index.ts';

const test = suite('exactMatch');

test('compares words, not white space', () => {
  assert.is(exactMatch(['a b', 'a c'], ['a d', 'a  c']), 0.5);
  assert.is(exactMatch(['\ta\u3000b \n', '', 'A'], ['a b', ' \n', 'a']), 2 / 3);
});

test('does not run words together', () => {
  assert.is(exactMatch(['ab'], ['a b']), 0);
});

test('refuses lists of different length, or none', () => {
  assert.throws(() => exactMatch(['a'], ['a', 'b']), /^1 outputs for 2 references: expected one/);
  assert.throws(() => exactMatch([], []), /^0 outputs for 0 references/);
});

test.run();
