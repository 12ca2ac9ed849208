import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { packageRoot } from '../native.ts';
import { type Level, limitsOf, type Settings } from './limits.ts';

/** Where the Python is that runs programs. */
export const runnerFolder = join(packageRoot, 'lib/sandbox/python');

/** What held the programs. */
export interface Isolation {
  level: Level;
  /** The version of Landlock's interface in the kernel; 0 without it. */
  landlock: number;
  /** Whether system calls are filtered, as they are on x86_64 and aarch64. */
  seccomp: boolean;
  /** Why the level is not a stronger one; empty for `namespaces`. */
  problem: string;
}

/**
 * How a program ended: `passed` is one that came to its end; `assertion`, `exception` and `memory` are
 * what it raised; `refused` is an exception because of something that the sandbox does not allow; `exit`
 * is one that ended its process, in whatever way, before it had come to its end.
 */
export type Reason =
  | 'passed'
  | 'assertion'
  | 'exception'
  | 'exit'
  | 'timeout'
  | 'memory'
  | 'refused';

export interface ProgramResult {
  reason: Reason;
  /** What was raised or how the process ended, in a line; empty where it passed. */
  message: string;
  /** The beginning of what it printed, stdout and stderr together, as UTF-8. */
  output: string;
  /** How much it printed. */
  outputBytes: number;
  elapsedMs: number;
}

/** A Python process that runs programs one after the other, each in a copy of itself. */
export interface Worker {
  isolation: Isolation;
  run(program: string): Promise<ProgramResult>;
  /** Ends it and what it runs. */
  close(): void;
}

/** Where the Python is that `command` starts, behind version managers and virtual environments. */
export async function findPython(command: string): Promise<string> {
  const script = 'import sys; assert sys.version_info >= (3, 9); print(sys.executable)';
  try {
    return (await promisify(execFile)(command, ['-c', script])).stdout.trim();
  } catch (error) {
    throw new Error(
      `cannot run programs: ${command} does not start a Python 3.9 or later, which programs run in`,
      { cause: error },
    );
  }
}

/** @param command Python itself, as `findPython` returns it, behind what it is started by */
export async function startWorker(command: readonly string[], settings: Settings): Promise<Worker> {
  const limits = { ...limitsOf(settings), strongest: settings.strongest };
  // Nothing of the environment: a program could read it. Hashes are the same each time.
  const env = { PYTHONHASHSEED: '0', PYTHONIOENCODING: 'utf-8:backslashreplace' };
  const script = join(runnerFolder, 'runner.py');
  const args = [...command.slice(1), '-s', '-B', script, JSON.stringify(limits)];
  const child = spawn(command[0]!, args, { env, cwd: '/', stdio: ['pipe', 'pipe', 'pipe'] });
  const next = answers(child);
  const close = () => {
    child.kill('SIGKILL');
  };
  try {
    const isolation = (await next(60)) as Isolation;
    const run = async (program: string) => {
      child.stdin.write(`${JSON.stringify(program)}\n`);
      const answer = await next(settings.timeoutSeconds + 60);
      if ('error' in answer) throw new Error(`the sandbox failed: ${answer.error}`);
      return answer as ProgramResult;
    };
    return { isolation, run, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Waits for the next line of a process; rejects once it has ended, or where it takes too long. */
function answers(child: ChildProcess): (seconds: number) => Promise<object> {
  let settle: { resolve: (text: string) => void; reject: (error: Error) => void } | undefined;
  let ended: Error | undefined;
  let said = '';
  const fail = (error: Error) => {
    ended ??= error;
    settle?.reject(ended);
  };
  child.on('error', fail);
  child.on('close', (code, signal) => {
    const last = said.trim().split('\n').at(-1);
    fail(new Error(`the sandbox ended with ${signal ?? code}${last ? `: ${last}` : ''}`));
  });
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4096);
  });
  child.stdin!.on('error', () => {}); // told by close
  const waiting: string[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => {
    if (settle === undefined) waiting.push(line);
    else settle.resolve(line);
  });
  return async (seconds) => {
    const line = waiting.shift();
    if (line !== undefined) return JSON.parse(line) as object;
    if (ended !== undefined) throw ended;
    const late = () => fail(new Error(`the sandbox did not answer within ${seconds} s`));
    const timer = setTimeout(late, 1000 * seconds);
    try {
      const answer = await new Promise<string>((resolve, reject) => {
        settle = { resolve, reject };
      });
      return JSON.parse(answer) as object;
    } finally {
      settle = undefined;
      clearTimeout(timer);
    }
  };
}
