import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { eachRun, hashOf, tokensOf } from '../../lib/audit/grams.ts';
import { sketch } from '../../lib/audit/sketch.ts';

const test = suite('sketch');

test('never counts too few, and counts right where there is room', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 3 }), { maxLength: 200 }), (texts) => {
      const [narrow, wide] = [sketch(16), sketch(2 ** 16)];
      for (const text of texts) {
        narrow.add(hashOf(text));
        wide.add(hashOf(text));
      }
      for (const text of texts) {
        const count = texts.filter((other) => other === text).length;
        assert.ok(narrow.count(hashOf(text)) >= count);
        assert.is(wide.count(hashOf(text)), count);
      }
      assert.is(narrow.total, texts.length);
    }),
    { seed: 1 },
  );
});

test('tells texts and runs apart by 53 bits', () => {
  const texts = Array.from({ length: 100_000 }, (_, i) => `w${i}`).concat('', '\0', '\ud800');
  const hashes = new Set(texts.map(hashOf));
  assert.is(hashes.size, texts.length);
  assert.ok([...hashes].every(Number.isSafeInteger));
  const words = ['a', 'b', 'a', 'b', 'b', 'a', 'a'].map(hashOf);
  const found = new Set<number>();
  eachRun(words, 3, (hash) => found.add(hash));
  // a b, ab ba bb aa, aba bab abb bba baa
  assert.is(found.size, 11);
});

test('reads code the same whatever its spaces', () => {
  assert.equal(tokensOf(' or 1=1"'), ['or', '1', '=', '1', '"']);
  assert.equal(tokensOf('or  1 = 1 "'), ['or', '1', '=', '1', '"']);
  assert.equal(tokensOf('größe_2 鍵 👍'), ['größe_2', '鍵', '👍']);
});

test.run();
