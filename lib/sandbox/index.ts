import { checkList } from '../check.ts';
import { orBubblewrap } from './bubblewrap.ts';
import {
  type Limits,
  levels,
  limitsOf,
  type SandboxOptions,
  type Settings,
  settings,
} from './limits.ts';
import {
  findPython,
  type Isolation,
  type ProgramResult,
  startWorker,
  type Worker,
} from './worker.ts';

export type { Level, Limits, SandboxOptions } from './limits.ts';
export type { Isolation, ProgramResult, Reason } from './worker.ts';

export interface Programs {
  /** In the order of the programs. */
  results: ProgramResult[];
  isolation: Isolation;
  limits: Required<Limits>;
}

/**
 * Runs Python programs that nobody has read, several at a time, each from its beginning to its end and
 * cut off from the machine: no network, no other process, no file but Python's own and an empty folder,
 * no environment, and limits of time, memory, files, output and processes. All that a program has
 * started ends with it.
 *
 * This holds the machine's side. A program shares its process with the tests in it: one written to
 * deceive can make its own tests pass, for instance by objects that are equal to everything.
 *
 * @param programs Python source; `random` is seeded and hashes are fixed, so that a program does the same
 *   each time
 * @returns a result for each program, and what held them
 * @throws Error where the system offers less than `namespaces` or `bubblewrap`, unless
 *   `allowWeakIsolation` is given, without Python 3.9 and on systems other than Linux; TypeError and
 *   RangeError on options; the signal's reason when it is aborted
 *
 * @example
 * const { results } = await runPrograms(['assert 1 + 1 == 3'], { timeoutSeconds: 3 });
 * results[0].reason; // 'assertion'
 */
export async function runPrograms(
  programs: readonly string[],
  options: SandboxOptions = {},
): Promise<Programs> {
  checkList('programs', programs, 'texts');
  const chosen = settings(options);
  const { signal, onProgress } = options;
  if (process.platform !== 'linux') {
    throw new Error(
      `cannot run programs: the sandbox needs Linux, and this is ${process.platform}`,
    );
  }
  const executable = await findPython(chosen.python);
  signal?.throwIfAborted();
  const results: ProgramResult[] = [];
  const workers: Worker[] = [];
  let next = 0;
  let done = 0;
  let stopped = false;
  const stop = () => {
    stopped = true;
    for (const worker of workers) worker.close();
  };
  signal?.addEventListener('abort', stop);
  const work = async () => {
    const worker = await start(executable, chosen);
    workers.push(worker);
    if (stopped) worker.close();
    checkLevel(worker.isolation, chosen);
    while (!stopped && next < programs.length) {
      const i = next++;
      results[i] = await worker.run(programs[i]!);
      onProgress?.(++done, programs.length);
    }
  };
  try {
    const count = Math.max(1, Math.min(chosen.workers, programs.length));
    await Promise.all(Array.from({ length: count }, work));
    signal?.throwIfAborted();
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
    stop();
  }
  return { results, isolation: workers[0]!.isolation, limits: limitsOf(chosen) };
}

async function start(executable: string, chosen: Settings): Promise<Worker> {
  const strongest = chosen.strongest === 'bubblewrap' ? 'landlock' : chosen.strongest;
  const worker = await startWorker([executable], { ...chosen, strongest });
  const isWeak = levels[worker.isolation.level] < levels.bubblewrap;
  const bubblewrapMay = levels[chosen.strongest] >= levels.bubblewrap;
  return isWeak && bubblewrapMay ? orBubblewrap(worker, executable, chosen) : worker;
}

function checkLevel({ level, problem }: Isolation, { allowWeakIsolation }: Settings): void {
  if (allowWeakIsolation || levels[level] >= levels.bubblewrap) return;
  throw new Error(
    `cannot run programs: this system holds them by ${level} only (${problem}); ` +
      'allow user namespaces or install bubblewrap, or give allowWeakIsolation (--allow-weak-isolation) where nothing can be lost',
  );
}
