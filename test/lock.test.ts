import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { lock } from '../lib/lock.ts';

const folder = () => mkdtemp(join(tmpdir(), 'dece-lock-'));
const module = new URL('../lib/lock.ts', import.meta.url).href;

/** Another process that takes the lock of `directory`, prints `held` or the error, and lives on. */
function holder(directory: string): ChildProcess {
  const code = `
    const { lock } = await import(${JSON.stringify(module)});
    await lock(${JSON.stringify(directory)}).then(() => console.log('held'), (e) => console.log(e.message));
    setInterval(() => {}, 1000);`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', code];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function firstLine(child: ChildProcess): Promise<string> {
  const [chunk] = (await once(child.stdout!, 'data')) as [Buffer];
  return chunk.toString().trim();
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function refusal(directory: string): Promise<string> {
  try {
    await lock(directory);
  } catch (error) {
    return (error as Error).message;
  }
  return 'not refused';
}

const test = suite('lock');

test('lets one in, and the next one after it has gone', async () => {
  const directory = await folder();
  const unlock = await lock(directory);
  const busy = `${directory} is being written by process ${process.pid} on ${hostname()}: wait for it, or choose another directory`;
  assert.is(await refusal(directory), busy);
  await unlock();
  await (await lock(directory))();
  assert.equal(await readdir(directory), []);
});

test('names the process that holds it, and takes over once that has been killed', async () => {
  const directory = await folder();
  const child = holder(directory);
  assert.is(await firstLine(child), 'held');
  assert.match(await refusal(directory), new RegExp(`written by process ${child.pid} on `));
  await kill(child);
  await (await lock(directory))();
  assert.equal(await readdir(directory), []);
});

test('takes over from a dead process whose number another one has got', async () => {
  const directory = await folder();
  const owner = { pid: process.pid, host: hostname(), born: 'earlier' };
  await writeFile(join(directory, 'lock'), JSON.stringify(owner));
  await (await lock(directory))();
});

test('leaves the lock of another machine alone', async () => {
  const directory = await folder();
  const owner = { pid: 1, host: 'elsewhere', born: 'alive' };
  await writeFile(join(directory, 'lock'), JSON.stringify(owner));
  assert.match(
    await refusal(directory),
    /process 1 on elsewhere: wait for it, .*; if that process is gone, delete .*\/lock$/,
  );
});

test('lets one of several in that find a stale lock at the same time', async () => {
  const directory = await folder();
  const owner = { pid: 2 ** 22 + 1, host: hostname(), born: 'dead long since' };
  await writeFile(join(directory, 'lock'), JSON.stringify(owner));
  const children = Array.from({ length: 4 }, () => holder(directory));
  const lines = await Promise.all(children.map(firstLine));
  await Promise.all(children.map(kill));
  assert.is(lines.filter((line) => line === 'held').length, 1, lines.join('\n'));
});

test.run();
