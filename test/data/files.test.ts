import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeDirectory, removeUnfinished, sha256Of, writeWhole } from '../../lib/data/files.ts';
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

test('makes a directory with those it lies in, or says why not', async () => {
  const deep = join(folder, 'a', 'b');
  await Promise.all([makeDirectory(deep), makeDirectory(deep)]);
  await makeDirectory(deep);
  await writeFile(join(deep, 'file'), '');
  await rejects(
    makeDirectory(join(deep, 'file')),
    /^cannot make .*file: a file of that name is there$/,
  );
  await rejects(
    makeDirectory(join(deep, 'file', 'c')),
    /^cannot make .*file: a file of that name is there$/,
  );
  if (process.platform === 'linux')
    await rejects(
      makeDirectory('/proc/dece/x'),
      /^cannot make \/proc\/dece: no such file or folder$/,
    );
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

test('clears away what was left by a writer that was killed, and nothing else', async () => {
  const script = `import fs from 'node:fs/promises';
    fs.rename = () => process.kill(process.pid, 'SIGKILL');
    const { syncBuiltinESMExports } = await import('node:module');
    syncBuiltinESMExports();
    const files = await import(${JSON.stringify(new URL('../../lib/data/files.ts', import.meta.url))});
    await files.writeWhole(${JSON.stringify(join(folder, 'a.jsonl'))}, 'x');`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', script];
  await rejects(promisify(execFile)(process.execPath, args), /Command failed/);
  assert.match((await readdir(folder)).join(), /^a\.jsonl\.tmp-\w{6}$/);

  const others = ['a.jsonl', 'lock', 'lock.12.0.tmp', 'notes.tmp', 'weights.safetensors'];
  for (const name of [...others, 'model.safetensors.12.0.tmp']) {
    await writeFile(join(folder, name), '');
  }
  await removeUnfinished(folder);
  assert.equal(await readdir(folder), others);
  await removeUnfinished(join(folder, 'missing'));
});

test('hashes a file', async () => {
  await writeFile(join(folder, 'a'), 'abc');
  // FIPS 180-2, appendix B.1
  const sha256 = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  assert.is(await sha256Of(join(folder, 'a')), sha256);
});

test.run();
