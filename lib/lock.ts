import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

/** Who writes a run directory. `born` tells a process from a later one with the same number. */
interface Owner {
  pid: number;
  host: string;
  born: string;
}

/**
 * Makes this process the only one that writes `directory`; the returned function ends that.
 *
 * The lock is the file `lock`, with the owner in it. One that a dead process of this machine left
 * behind is taken over. A process of another machine cannot be asked: its lock stays.
 *
 * @throws Error that names the process that writes there, with the code `LOCKED`
 */
export async function lock(directory: string): Promise<() => Promise<void>> {
  const path = join(directory, 'lock');
  const mine = `${path}.${process.pid}.${claims++}.tmp`;
  const owner: Owner = { pid: process.pid, host: hostname(), born: await born(process.pid) };
  await writeFile(mine, JSON.stringify(owner)).catch((error: Error) => {
    throw new Error(`cannot write into ${directory}: ${error.message}`, { cause: error });
  });
  try {
    while (!(await appears(mine, path))) await removeIfStale(directory, path);
  } finally {
    await rm(mine, { force: true });
  }
  return () => rm(path, { force: true });
}

let claims = 0;

/** Gives `file` a second name, which is atomic and fails where the name is taken. */
async function appears(file: string, name: string): Promise<boolean> {
  try {
    await link(file, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function removeIfStale(directory: string, path: string): Promise<void> {
  const text = await read(path);
  if (text === undefined) return; // just given back
  const owner = parse(text);
  if (owner && (owner.host !== hostname() || (await born(owner.pid)) === owner.born)) {
    const gone = owner.host === hostname() ? '' : `; if that process is gone, delete ${path}`;
    const busy = new Error(
      `${directory} is being written by process ${owner.pid} on ${owner.host}: ` +
        `wait for it, or choose another directory${gone}`,
    );
    throw Object.assign(busy, { code: 'LOCKED' });
  }

  // Two processes may find the same stale lock. Each moves what it finds away and looks at it: the
  // slower one may have moved the new lock of the faster one, and puts it back.
  const aside = `${path}.${process.pid}.stale.tmp`;
  if (!(await moved(path, aside))) return;
  if ((await read(aside)) !== text) await appears(aside, path);
  await rm(aside, { force: true });
}

/** Undefined for what a crash of the machine left of a lock. */
function parse(text: string): Owner | undefined {
  try {
    return JSON.parse(text) as Owner;
  } catch {
    return undefined;
  }
}

async function moved(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** When a process was started, in the system's ticks; 'alive' where only that is known, 'dead' if it is gone. */
async function born(pid: number): Promise<string> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return 'dead';
  }
  const status = await read(`/proc/${pid}/stat`);
  // The name of the program, in brackets, may hold blanks: count the fields behind it.
  return status?.slice(status.lastIndexOf(')') + 2).split(' ')[19] ?? 'alive';
}
