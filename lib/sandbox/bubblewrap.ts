import { execFile } from 'node:child_process';
import { lstatSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from '../toolchain.ts';
import type { Settings } from './limits.ts';
import { runnerFolder, startWorker, type Worker } from './worker.ts';

/**
 * A worker whose programs are held by bubblewrap, which may make namespaces where others may not: each
 * gets a bubblewrap and a Python of its own. Where that does not work either, the weaker worker itself,
 * with why.
 */
export async function orBubblewrap(
  weaker: Worker,
  executable: string,
  settings: Settings,
): Promise<Worker> {
  const { isolation } = weaker;
  const bwrap = findProgram('bwrap', process.env);
  if (bwrap === undefined) {
    const problem = `${isolation.problem}; bubblewrap is not installed`;
    return { ...weaker, isolation: { ...isolation, problem } };
  }
  try {
    const command = [bwrap, ...(await flags(executable, settings.fileBytes)), executable];
    const worker = await startBubblewrap(command, settings);
    weaker.close();
    return { ...worker, isolation: { ...worker.isolation, problem: isolation.problem } };
  } catch (error) {
    const problem = `${isolation.problem}; with bubblewrap, ${(error as Error).message}`;
    return { ...weaker, isolation: { ...isolation, problem } };
  }
}

async function startBubblewrap(command: readonly string[], settings: Settings): Promise<Worker> {
  const start = () => startWorker(command, { ...settings, strongest: 'bubblewrap' });
  let closed = false;
  let current = await start();
  let isFresh = true;
  const run = async (program: string) => {
    if (!isFresh) current = await start();
    isFresh = false;
    if (closed) current.close();
    return current.run(program).finally(current.close);
  };
  const close = () => {
    closed = true;
    current.close();
  };
  return { isolation: current.isolation, run, close };
}

/** An empty system with Python's files, read only, and a folder in memory. */
async function flags(executable: string, fileBytes: number): Promise<string[]> {
  const script =
    'import json, sys; sys.path.append(sys.argv[1]); import namespaces; print(json.dumps(namespaces.readable()))';
  const args = ['-s', '-B', '-c', script, runnerFolder];
  const { stdout } = await promisify(execFile)(executable, args);
  const paths = [...(JSON.parse(stdout) as string[]), runnerFolder];
  const devices = ['null', 'zero', 'random', 'urandom'].map((name) => `/dev/${name}`);
  return [
    ...['--unshare-all', '--unshare-user', '--die-with-parent', '--new-session'],
    ...['--uid', '65534', '--gid', '65534', '--cap-drop', 'ALL', '--proc', '/proc'],
    ...paths.flatMap((path) =>
      lstatSync(path).isSymbolicLink()
        ? ['--symlink', readlinkSync(path), path]
        : ['--ro-bind', path, path],
    ),
    // What a virtual environment is known by; bound as it is, though it is a link as a rule.
    ...['--ro-bind', executable, executable],
    ...[
      '--ro-bind-try',
      join(executable, '../../pyvenv.cfg'),
      join(executable, '../../pyvenv.cfg'),
    ],
    ...devices.flatMap((path) => ['--dev-bind', path, path]),
    ...['--size', String(fileBytes), '--tmpfs', '/scratch', '--setenv', 'TMPDIR', '/scratch', '--'],
  ];
}
