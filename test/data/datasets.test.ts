import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { findDataset, isDatasetName, languageOf } from '../../lib/data/datasets.ts';
import { rejects } from '../rejects.ts';

const test = suite('findDataset');
let folder = '';

test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dece-'));
  await mkdir(join(folder, 'mine', 'old'), { recursive: true });
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

test('says where it looked, or what to set', async () => {
  await rejects(
    findDataset('mine', 'valid', folder),
    /^cannot find the data set mine: DECE_DATA has no .*mine.valid\.jsonl, packed as \.gz or not$/,
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

test("knows the language of the study's data sets", () => {
  const names = ['lyra', 'pisces/original', 'bugs2fix', 'own', 'toString'];
  assert.equal(names.map(languageOf), ['python', 'java', 'java', undefined, undefined]);
});

test.run();
