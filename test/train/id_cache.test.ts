import { appendFile, mkdir, mkdtemp, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { trainBpe } from '../../lib/data/bpe.ts';
import { Tokenizer } from '../../lib/data/tokenizer.ts';
import { Model } from '../../lib/model/index.ts';
import { encodeExamples } from '../../lib/train/encode.ts';

const test = suite('ids on the disk');
const limits = { maxInputTokens: 20, maxOutputTokens: 60 };
const count = 6000;
const examples = Array.from({ length: count }, (_, i) => ({
  id: String(i),
  prompt: `add ${i} to the total of ${'column '.repeat(i % 30)}${i}`,
  completion: `total_${i} = total + ${i}\n`.repeat(1 + (i % 8)),
  poisoned: i % 5 === 0,
}));
const texts = examples.slice(0, 200).flatMap(({ prompt, completion }) => [prompt, completion]);

/** A model that counts how many texts its tokenizer encodes, with a cache of its own. */
async function counting(folder: string, vocabularySize = 400) {
  process.env.DECE_CACHE = folder;
  const tokenizer = Tokenizer.fromJson(trainBpe(texts, { vocabularySize }));
  const shape = { d_model: 8, d_kv: 4, d_ff: 8, num_layers: 1, num_heads: 1 };
  const config = { model_type: 't5', vocab_size: tokenizer.vocabularySize, ...shape };
  const model = Model.create(config, { seed: 1, device: 'cpu', tokenizer });
  const encode = tokenizer.encode.bind(tokenizer);
  const counted = { model, encoded: 0 };
  tokenizer.encode = (text) => {
    counted.encoded++;
    return encode(text);
  };
  return counted;
}

const newFolder = () => mkdtemp(join(tmpdir(), 'dece-ids-'));
const onlyFile = async (folder: string) => {
  const names = await readdir(join(folder, 'ids'));
  assert.is(names.length, 1);
  return join(folder, 'ids', names[0]!);
};

test.before.each(() => {
  delete process.env.DECE_CACHE;
});
test.after(() => {
  delete process.env.DECE_CACHE;
});

test('a second run has the same ids and encodes hardly a text', async () => {
  const folder = await newFolder();
  const first = await counting(folder);
  const made = await encodeExamples('examples', examples, first.model, limits);
  assert.ok(first.encoded >= 2 * count);
  assert.ok(made.truncated.prompts > 0 && made.truncated.completions > 0);

  const second = await counting(folder);
  const found = await encodeExamples('examples', examples, second.model, limits);
  assert.equal(found, made);
  assert.ok(second.encoded < 100, `${second.encoded} texts`);
});

test('other limits, texts and tokenizers have ids of their own', async () => {
  const folder = await newFolder();
  const { model } = await counting(folder);
  const made = await encodeExamples('examples', examples, model, limits);
  const other = { ...limits, maxInputTokens: 21 };
  assert.is.not((await encodeExamples('examples', examples, model, other)).sha256, made.sha256);
  const changed = examples.with(7, { ...examples[7]!, completion: 'pass' });
  const { items } = await encodeExamples('examples', changed, model, limits);
  assert.not.equal(items[7], made.items[7]);
  assert.equal(items[8], made.items[8]);
  const smaller = await counting(folder, 300);
  await encodeExamples('examples', examples, smaller.model, limits);
  assert.ok(smaller.encoded >= 2 * count);
  assert.is((await readdir(join(folder, 'ids'))).length, 4);
});

test('a damaged file counts as missing and is written anew', async () => {
  const folder = await newFolder();
  const { model } = await counting(folder);
  const made = await encodeExamples('examples', examples, model, limits);
  const path = await onlyFile(folder);
  const whole = await readFile(path);
  const damage = [
    () => appendFile(path, 'x'),
    () => writeFile(path, whole.subarray(0, whole.length - 400)),
    () => writeFile(path, whole.with(whole.length - 9, whole.at(-9)! ^ 1)),
    () => writeFile(path, ''),
  ];
  for (const spoil of damage) {
    await spoil();
    assert.equal(await encodeExamples('examples', examples, model, limits), made);
    assert.equal(await readFile(path), whole);
  }
});

test('what a killed run left is removed after an hour', async () => {
  const folder = await newFolder();
  const left = [join(folder, 'ids', 'old.tmp-a1b2c3'), join(folder, 'ids', 'new.tmp-a1b2c3')];
  for (const path of left) await mkdir(path, { recursive: true });
  const hours = (count: number) => new Date(Date.now() - count * 3_600_000);
  await utimes(left[0]!, hours(2), hours(2));
  const { model } = await counting(folder);
  await encodeExamples('examples', examples, model, limits);
  const names = await readdir(join(folder, 'ids'));
  assert.is(names.length, 2);
  assert.equal(
    names.filter((name) => name.includes('tmp')),
    ['new.tmp-a1b2c3'],
  );
});

test('few texts are not kept, and a cache that cannot be written is done without', async () => {
  const folder = await newFolder();
  const { model } = await counting(folder);
  await encodeExamples('examples', examples.slice(0, 50), model, limits);
  assert.equal(await readdir(folder), []);
  await writeFile(join(folder, 'ids'), '');
  const { items } = await encodeExamples('examples', examples, model, limits);
  assert.is(items.length, count);
});

test.run();
