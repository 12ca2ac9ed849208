import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../lib/cli/main.ts', import.meta.url));
const built = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Ending {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Starts `dece` with these arguments, as from a shell that is no terminal. */
export function start(
  args: readonly string[],
  env: Record<string, string> = {},
): { child: ChildProcess; ended: Promise<Ending> } {
  const { npm_lifecycle_event: _, ...own } = process.env;
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...args], {
    env: { ...own, OMP_NUM_THREADS: '1', ...env }, // as in ../small_experiment.ts
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { child, ended: ending(child) };
}

function ending(child: ChildProcess): Promise<Ending> {
  let [stdout, stderr] = ['', ''];
  child.stdout!.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr!.on('data', (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve) => {
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** Runs `dece` as npm installs it, compiled, to its end. */
export async function builtDece(...args: string[]): Promise<Ending> {
  const child = spawn(process.execPath, [built, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  return ending(child);
}

/** Runs `dece` to its end. */
export const dece = (...args: string[]): Promise<Ending> => start(args).ended;

/** Waits until the events of a run have one of this type at this step. */
export async function reaches(directory: string, type: string, step: number): Promise<void> {
  const path = join(directory, 'events.jsonl');
  const line = new RegExp(`"type":"${type}".*"step":${step},`);
  while (!line.test(await readFile(path, 'utf8').catch(() => ''))) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
