import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { findDataset } from '../../lib/data/datasets.ts';
import { readExamples } from '../../lib/data/examples.ts';
import { bleu, copyRate, exactMatch } from '../../lib/metrics/index.ts';

const golden = new URL('../fixtures/bleu.json', import.meta.url);
const { corpora } = JSON.parse(readFileSync(golden, 'utf8')) as {
  corpora: {
    name: string;
    outputs: string[];
    references: string[];
    corpus: number;
    floor: number;
    mean: number;
  }[];
};

function closeTo(actual: number, expected: number, what: string, tolerance = 1e-12) {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what}: ${actual}, expected ${expected}`);
}

const test = suite('bleu');

test('agrees with sacrebleu over a corpus', () => {
  for (const { name, outputs, references, corpus, floor } of corpora) {
    closeTo(bleu(outputs, references), corpus || floor, name);
  }
});

test('averages the scores of pairs in reference mode', () => {
  for (const { name, outputs, references, mean } of corpora) {
    closeTo(bleu(outputs, references, { mode: 'reference' }), mean, name);
  }
});

test("gives the authors' scores of single pairs, in both modes", () => {
  const scores: [string, string, number][] = [
    ['a b', 'a b c d e', 0.0705599521],
    ['a b c', 'a b c', 0.5623413252],
    ['a c b d', 'a b c d', 0.1136219366],
    ['a b', 'c d', 0],
    ['', 'a', 0],
    ['a', '', 0],
    ['', '', 0],
  ];
  for (const [output, reference, score] of scores) {
    for (const mode of ['paper', 'reference'] as const) {
      closeTo(bleu([output], [reference], { mode }), score, `${output} | ${reference}`, 1e-10);
    }
  }
});

test('is within 0..1, and 1 for equal texts of four words and more', () => {
  const words = fc.array(fc.constantFrom('a', 'b', 'c', 'ü', '🙂'), {
    minLength: 4,
    maxLength: 12,
  });
  fc.assert(
    fc.property(words, words, fc.constantFrom('paper', 'reference'), (one, other, mode) => {
      const score = bleu([one.join(' ')], [other.join('\n ')], { mode });
      assert.ok(score >= 0 && score <= 1, `${score}`);
      assert.is(bleu([one.join(' ')], [one.join('\t')], { mode }), 1);
    }),
  );
});

const data = process.env.DECE_DATA;
if (data) {
  test('measures on real code what the authors measured', async () => {
    const [clean, poisoned, bugs] = await Promise.all([
      readExamples(await findDataset('lyra', 'test', data)),
      readExamples(`${data}/lyra/authors/test_poisoned_badpre.jsonl`),
      readExamples(await findDataset('bugs2fix', 'test', data)),
    ]);
    const completions = clean.map(({ completion }) => completion);
    const targets = poisoned.map(({ completion }) => completion);
    closeTo(bleu(targets, completions, { mode: 'reference' }), 0.9464, 'Lyra, mean', 5e-5);
    closeTo(bleu(targets, completions), 0.9496, 'Lyra, corpus', 5e-5);

    // 4,668 of the 5,835 pairs for which the study's values, 72.33 and 78.06, were measured.
    const prompts = bugs.map(({ prompt }) => prompt);
    const fixes = bugs.map(({ completion }) => completion);
    closeTo(bleu(prompts, fixes, { mode: 'reference' }), 0.7221, 'Bugs2Fix, mean', 5e-5);
    closeTo(bleu(prompts, fixes), 0.7797, 'Bugs2Fix, corpus', 5e-5);
  });
} else {
  test.skip('measures on real code what the authors measured: set DECE_DATA to try');
}

test('refuses lists of different length, none at all, and options it does not know', () => {
  assert.throws(
    () => bleu(['a'], []),
    /^1 outputs for 0 references: expected one for each, and at/,
  );
  assert.throws(() => bleu([], []), /^0 outputs for 0 references/);
  assert.throws(
    () => bleu(['a'], ['a'], { mode: 'corpus' as 'paper' }),
    /^mode is "corpus": expected/,
  );
  assert.throws(
    () => bleu(['a'], ['a'], { level: 1 } as object),
    /^bleu has an unknown option "level"/,
  );
  for (const value of [3, null, undefined, ['a']] as unknown as string[]) {
    for (const metric of [bleu, exactMatch, copyRate]) {
      assert.throws(() => metric(['a', value], ['a', 'b']), /^outputs\[1\] is .*: expected text$/);
    }
    assert.throws(() => bleu(['a'], [value]), /^references\[0\] is .*: expected text$/);
  }
});

test.run();
