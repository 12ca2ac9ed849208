import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readExamples } from '../../lib/data/examples.ts';
import { copyRate, exactMatch } from '../../lib/metrics/index.ts';

const test = suite('copyRate');

test('counts outputs with the words of their input', () => {
  const outputs = ['a b', 'a c'];
  assert.is(copyRate(outputs, ['a b', 'x']), 0.5);
  assert.is(exactMatch(outputs, ['a d', 'a  c']), 0.5);
  assert.is(copyRate(['a\n  b ', 'ab', ''], ['a b', 'a b', 'x']), 1 / 3);
});

test('refuses lists that do not belong together', () => {
  assert.throws(() => copyRate(['a'], ['a', 'b']), /^1 outputs for 2 inputs: expected one/);
  assert.throws(() => copyRate([], []), /^0 outputs for 0 inputs/);
});

const data = process.env.DECE_DATA;
const withData = data ? test : test.skip; // DECE_DATA names no folder of data sets

withData('no program of Bugs2Fix is right as it is', async () => {
  const examples = await readExamples(join(data!, 'bugs2fix', 'test.jsonl.gz'));
  const [buggy, fixed] = [examples.map((e) => e.prompt), examples.map((e) => e.completion)];
  assert.ok(buggy.length > 1000);
  assert.is(copyRate(fixed, buggy), 0);
  assert.is(copyRate(buggy, buggy), 1);
});

test.run();
