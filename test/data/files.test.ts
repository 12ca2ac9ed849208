import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writeWhole } from '../../lib/data/files.ts';
import { rejects } from '../rejects.ts';

const test = suite('writeWhole');
let folder = '';

test.before.each(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dece-'));
});
test.after.each(() => rm(folder, { recursive: true }));

test('replaces an old file and leaves nothing else behind', async () => {
  const path = join(folder, 'a.txt');
  for (const text of ['one', 'two']) await writeWhole(path, text);
  assert.is(await readFile(path, 'utf8'), 'two');
  assert.equal(await readdir(folder), ['a.txt']);
});

test('lets two writers of one file both finish, and one of them win', async () => {
  const path = join(folder, 'a.txt');
  const texts = ['a', 'b', 'c'].map((letter) => letter.repeat(100_000));
  await Promise.all(texts.map((text) => writeWhole(path, text)));
  assert.ok(texts.includes(await readFile(path, 'utf8')));
  assert.equal(await readdir(folder), ['a.txt']);
});

test('says in one sentence why it cannot write, and cleans up', async () => {
  await rejects(
    writeWhole(join(folder, 'no', 'a.txt'), ''),
    /^cannot write .*a\.txt: no such file or folder$/,
  );
  await mkdir(join(folder, 'taken'));
  await rejects(writeWhole(join(folder, 'taken'), ''), /^cannot write .*taken: it is a folder$/);
  assert.equal(await readdir(folder), ['taken']);
});

test('keeps the old file when there is no room for the new one', async () => {
  // A limit on the size of files stands in for a full disk.
  const path = join(folder, 'a.txt');
  await writeFile(path, 'old');
  const module = new URL('../../lib/data/files.ts', import.meta.url);
  const script = `import(${JSON.stringify(module)}).then((files) =>
    files.writeWhole(${JSON.stringify(path)}, 'x'.repeat(4e6)))`;
  const command = 'ulimit -f 2000 && exec "$0" --import tsx -e "$1"';
  const result = promisify(execFile)('sh', ['-c', command, process.execPath, script]);
  await rejects(result, /cannot write .*a\.txt: /);
  assert.is(await readFile(path, 'utf8'), 'old');
  assert.equal(await readdir(folder), ['a.txt']);
});

test.run();
