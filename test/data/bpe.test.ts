import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { trainBpe } from '../../lib/data/bpe.ts';
import { builtinExamples } from '../../lib/data/builtin/index.ts';
import { Tokenizer } from '../../lib/data/tokenizer.ts';

interface Trained {
  vocabularySize: number;
  json: object;
  texts: string[];
  ids: number[][];
  decoded: string[];
}

const golden = new URL('../fixtures/tokenizer.json', import.meta.url);
const { training, trained } = JSON.parse(readFileSync(golden, 'utf8')) as {
  training: string[];
  trained: Trained[];
};

const trainedOn = (texts: string[], vocabularySize: number) =>
  Tokenizer.fromJson(trainBpe(texts, { vocabularySize }));

const test = suite('trainBpe');

test("gives the file that Python's trainer writes", () => {
  for (const { vocabularySize, json } of trained) {
    assert.equal(trainBpe(training, { vocabularySize }), json, `${vocabularySize} ids`);
  }
});

test('makes a tokenizer that encodes and decodes as Python does, in any script', () => {
  for (const { vocabularySize, texts, ids, decoded } of trained) {
    const tokenizer = trainedOn(training, vocabularySize);
    for (const [i, text] of texts.entries()) {
      assert.equal(
        tokenizer.encode(text),
        ids[i],
        `${vocabularySize} ids, ${JSON.stringify(text)}`,
      );
      assert.is(tokenizer.decode(ids[i]!), decoded[i]);
    }
  }
});

test('gives 0, 1 and 2 to padding, end and unknown, and ends a text with the end', () => {
  const tokenizer = trainedOn(['a b a b'], 259);
  const { padTokenId, eosTokenId, unkTokenId, bosTokenId, vocabularySize } = tokenizer;
  assert.equal([padTokenId, eosTokenId, unkTokenId, bosTokenId], [0, 1, 2, undefined]);
  assert.is(vocabularySize, 259);
  assert.equal(tokenizer.encode(''), [1]);
  assert.is(tokenizer.decode([0, 1, 2]), '');
});

test('gives every text back', () => {
  const tokenizer = trainedOn(training, 500);
  const text = fc.string({ unit: 'binary' }).filter((value) => !/<pad>|<\/s>|<unk>/.test(value));
  fc.assert(fc.property(text, (value) => tokenizer.decode(tokenizer.encode(value)) === value));
});

test('merges the commonest pair first, of two as common the one of smaller ids', () => {
  const { model } = trainBpe(['xy xy zy zy zy', 'ba ba'], { vocabularySize: 264 }) as {
    model: { merges: [string, string][] };
  };
  assert.equal(model.merges.slice(0, 3), [
    ['z', 'y'],
    ['Ġ', 'zy'],
    ['b', 'a'],
  ]);
});

test('stops where no pair occurs twice', () => {
  assert.is(trainedOn(['abc'], 1000).vocabularySize, 259);
  assert.is(trainedOn([], 1000).vocabularySize, 259);
});

test('gives the same for the same texts in another order', () => {
  const texts = builtinExamples({ seed: 3, counts: { pretrain: 100 } }).pretrain.map(
    ({ completion }) => completion,
  );
  const options = { vocabularySize: 600 };
  assert.equal(trainBpe(texts.toReversed(), options), trainBpe(texts, options));
});

test('says what is wrong', () => {
  assert.throws(
    () => trainBpe(['a'], { vocabularySize: 258 }),
    /^vocabularySize is 258: expected a whole number, 259\.\.16777216$/,
  );
  assert.throws(
    () => trainBpe(['a', 7 as never], { vocabularySize: 300 }),
    /^texts\[1\] is 7: expected text$/,
  );
  assert.throws(
    () => trainBpe(['a'], { vocabularySize: 300, size: 1 } as never),
    /unknown option "size": expected vocabularySize, classToken$/,
  );
});

test('frames texts and pairs as RoBERTa does where a classifier looks at the first token', () => {
  const json = trainBpe(['a list of files', 'a list'], { vocabularySize: 300, classToken: true });
  const tokenizer = Tokenizer.fromJson(json);
  assert.is(tokenizer.bosTokenId, 3);
  const ids = tokenizer.encode('a list');
  assert.equal([ids[0], ids.at(-1)], [3, 1]);
  assert.is(tokenizer.decode(ids), 'a list');
  assert.throws(
    () => trainBpe(['a'], { vocabularySize: 259, classToken: true }),
    /^vocabularySize is 259: expected a whole number, 260/,
  );
});

test.run();
