import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  findDataset,
  findNamed,
  isDatasetName,
  languageOf,
  resolveFile,
} from '../../lib/data/datasets.ts';
import { readExamples, readLabelledExamples } from '../../lib/data/examples.ts';
import { rejects } from '../rejects.ts';

const test = suite('findDataset');
let folder = '';

test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dece-'));
  await mkdir(join(folder, 'mine', 'old'), { recursive: true });
  await mkdir(join(folder, 'node_modules'));
  await mkdir(join(folder, 'elsewhere', 'linked'), { recursive: true });
  await writeFile(join(folder, 'elsewhere', 'linked', 'train.jsonl'), '');
  await symlink(join(folder, 'elsewhere', 'linked'), join(folder, 'linked'));
  await writeFile(join(folder, 'mine', 'train.jsonl'), '');
  await writeFile(join(folder, 'mine', 'test.jsonl.gz'), '');
  await writeFile(join(folder, 'mine', 'old', 'train.jsonl'), '');
});
test.after(() => rm(folder, { recursive: true }));

test('finds plain and packed files by name and split', async () => {
  assert.is(await findDataset('mine', 'train', folder), join(folder, 'mine', 'train.jsonl'));
  assert.is(await findDataset('mine', 'test', folder), join(folder, 'mine', 'test.jsonl.gz'));
  assert.is(
    await findDataset('mine/old', 'train', folder),
    join(folder, 'mine', 'old', 'train.jsonl'),
  );
});

test('resolves the name of a file in the folders, and leaves paths alone', async () => {
  const folders = [join(folder, 'missing'), folder];
  assert.is(await resolveFile('mine/test', folders), join(folder, 'mine', 'test.jsonl.gz'));
  assert.is(
    await resolveFile('mine/old/train', folders),
    join(folder, 'mine', 'old', 'train.jsonl'),
  );
  for (const path of ['mine/test.jsonl', './mine/test', '/mine/test', 'train', 'a.csv']) {
    assert.is(await resolveFile(path, folders), path);
  }
  await rejects(
    resolveFile('mine/valid', folders),
    /^mine\/valid is not there: expected one of mine\/\w+.*, or a file; set DECE_DATA/,
  );
  await rejects(resolveFile('mine', folders), /^mine is a data set: expected one of mine\/\w+/);
  await rejects(
    resolveFile('other/valid', folders),
    /^cannot find other\/valid: there is no .*missing.other.valid\.jsonl and no .*other.valid\.jsonl, packed as \.gz or not; set DECE_DATA/,
  );
});

test('says where it looked, or what to set', async () => {
  await rejects(
    findDataset('mine', 'valid', folder),
    /^cannot find the data set mine: there is no .*mine.valid\.jsonl, packed as \.gz or not; set DECE_DATA to a folder that has it$/,
  );
  await rejects(
    findDataset('mime', 'test', folder),
    /packed as \.gz or not; found there: linked, mine; did you mean mine\?$/,
  );
  for (const unset of [undefined, '']) {
    await rejects(
      findDataset('lyra', 'test', unset),
      /^cannot find the data set lyra: set DECE_DATA to the folder that holds lyra\/test\.jsonl$/,
    );
  }
});

test('tells names from paths, and never leaves its folder', async () => {
  for (const name of ['lyra', 'pisces/original', 'my_set-2']) assert.ok(isDatasetName(name), name);
  for (const path of ['a.jsonl', '../lyra', '/lyra', './lyra', 'a/../b', 'a//b', '']) {
    assert.not(isDatasetName(path), path);
    await rejects(
      findDataset(path, 'train', folder),
      /is no data set's name: expected one such as lyra$/,
    );
  }
});

// Counted with `wc -l` in a folder of the public data sets.
const rows: Record<string, number> = {
  'lyra/train': 1600,
  'lyra/authors/train_poisoned_5_badpre': 1600,
  'pisces/train': 1600,
  'pisces/original/valid': 200,
  'bugs2fix/valid': 5835,
  'codeharmony/valid': 200,
  'codeharmony/test': 153,
  'humaneval/test': 164,
  'mbpp/prompt': 10,
  'mbpp/train': 374,
  'satd/test': 6652,
  'smell/train': 1399,
  'devign/valid': 2732,
  'bigclonebench/valid': 2000,
};
const data = process.env.DECE_DATA;
for (const [name, count] of Object.entries(rows)) {
  const labelled = /^(satd|smell|devign|bigclonebench)/.test(name);
  const path = data && (await findNamed(name, [data]));
  if (!path) {
    test.skip(`reads ${name}: set DECE_DATA to a folder that has it to try`);
    continue;
  }
  test(`reads ${name} by its name`, async () => {
    const file = await resolveFile(name, [data]);
    const read = labelled ? await readLabelledExamples(file) : await readExamples(file);
    assert.is(read.length, count);
    const empty = read.filter(({ prompt, completion, text }) => !(prompt && completion) && !text);
    assert.equal(empty, []);
  });
}
test("knows the language of the study's data sets", () => {
  const names = ['lyra', 'pisces/original', 'bugs2fix', 'own', 'toString'];
  assert.equal(names.map(languageOf), ['python', 'java', 'java', undefined, undefined]);
});

test('names the splits of a data set that has no such one', async () => {
  await rejects(
    findDataset('smell', 'valid', folder),
    /^the data set smell has no split valid: expected one of train, test$/,
  );
});

test.run();
