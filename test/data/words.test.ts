import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { splitWords, wordsAt } from '../../lib/data/words.ts';

const test = suite('splitWords');

test('splits at the white space that Python knows, and no other', () => {
  // [c for c in map(chr, range(0x110000)) if c.isspace()]
  const spaces =
    '\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000';
  for (let code = 0; code < 0x10000; code++) {
    const mark = String.fromCharCode(code);
    const words = spaces.includes(mark) ? ['a', 'b'] : [`a${mark}b`];
    assert.equal(splitWords(`a${mark}b`), words, code.toString(16));
  }
});

test('finds no words in empty or blank text', () => {
  assert.equal(splitWords(''), []);
  assert.equal(splitWords(' \t\n '), []);
  assert.equal(splitWords('  a  b\n'), ['a', 'b']);
});

test('says which words a stretch of text touches', () => {
  const text = ' ab  cd\tef ';
  assert.equal(wordsAt(text, 0, text.length), [0, 1, 2]);
  assert.equal(wordsAt(text, 2, 6), [0, 1]);
  assert.equal(wordsAt(text, 3, 5), []);
  assert.equal(wordsAt(text, 8, 9), [2]);
  assert.equal(wordsAt('', 0, 0), []);
});

test.run();
