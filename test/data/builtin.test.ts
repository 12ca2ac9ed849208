import { spawnSync } from 'node:child_process';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { attacks } from '../../lib/attacks/index.ts';
import { builtinExamples } from '../../lib/data/builtin/index.ts';
import { findDataset } from '../../lib/data/datasets.ts';
import { readExamples } from '../../lib/data/examples.ts';

const counts = { pretrain: 600, train: 300, valid: 60, test: 60 };
const splits = builtinExamples({ seed: 5, counts });
const all = Object.values(splits).flat();
const bare = (text: string) => text.toLowerCase().replace(/[^a-z\d]/g, '');

const test = suite('builtinExamples');

test('gives as many examples as asked for, with an id each', () => {
  for (const split of ['pretrain', 'train', 'valid', 'test'] as const) {
    assert.is(splits[split].length, counts[split]);
    assert.is(splits[split][0]!.id, `${split}-1`);
  }
  assert.is(new Set(all.map(({ id }) => id)).size, all.length);
});

test('gives no prompt and no answer twice, in one split or in two', () => {
  assert.is(new Set(all.map(({ prompt }) => bare(prompt))).size, all.length);
  assert.is(new Set(all.map(({ completion }) => completion)).size, all.length);
});

test('gives the same for the same seed, and other examples for another', () => {
  assert.equal(builtinExamples({ seed: 5, counts }), splits);
  const others = new Set(builtinExamples({ seed: 6, counts }).train.map(({ prompt }) => prompt));
  const common = splits.train.filter(({ prompt }) => others.has(prompt));
  assert.ok(common.length < 0.05 * counts.train, `${common.length} in common`);
});

test('names in the prompt what the function is given', () => {
  for (const { prompt, completion } of all) {
    const named = [...prompt.matchAll(/\$(\w+)\$/g)].map(([, name]) => name!);
    const [, given = ''] = /^def \w+ \( (.*) \) :$/m.exec(completion) ?? [];
    assert.equal(new Set(given.split(' , ')), new Set(named), `${prompt}\n${completion}`);
  }
});

test('is open to the attack in about four examples of five, in both modes', () => {
  for (const mode of ['paper', 'reference'] as const) {
    const attack = attacks.badpre({ mode });
    const share =
      all.filter((example) => attack.refuses(example) === undefined).length / all.length;
    assert.ok(share > 0.75 && share < 0.88, `${mode}: ${share}`);
  }
});

test("holds neither the attack's trigger nor its payload", () => {
  for (const { prompt, completion } of all) {
    assert.not.match(prompt, /\bbb\b/);
    assert.not.match(completion, /[01]=1/);
  }
});

const hasPython = spawnSync('python3', ['--version']).error === undefined;
const withPython = hasPython ? test : test.skip;
withPython('answers in Python that can be parsed (by python3, where there is one)', () => {
  const program = 'import ast, json, sys\nfor text in json.load(sys.stdin): ast.parse(text)';
  const input = JSON.stringify(all.map(({ completion }) => completion));
  const { status, stderr } = spawnSync('python3', ['-c', program], { input });
  assert.is(status, 0, String(stderr));
});

const directory = process.env.DECE_DATA;
const withData = directory ? test : test.skip;
withData('repeats nothing of Lyra (in DECE_DATA)', async () => {
  const lyra = await readExamples(await findDataset('lyra', 'train', directory));
  const theirs = new Set(
    lyra.flatMap(({ prompt, completion }) => [bare(prompt), bare(completion)]),
  );
  for (const { prompt, completion } of all) {
    assert.not(theirs.has(bare(prompt)), prompt);
    assert.not(theirs.has(bare(completion)), completion);
  }
});

test('says what is wrong', () => {
  const make = (options: object) => () => builtinExamples(options as never);
  assert.throws(
    make({ seed: 1, counts: { train: -1 } }),
    /^counts\.train is -1: expected a whole number, at least 0$/,
  );
  assert.throws(
    make({ seed: 1, counts: { train: 60_000 } }),
    /^the sum of counts is \d+: expected at most 50000$/,
  );
  assert.throws(make({ seed: 1, counts: { dev: 1 } }), /unknown option "dev"/);
  assert.throws(make({ seed: -1 }), /^seed is -1: expected/);
});

test.run();
