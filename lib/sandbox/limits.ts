import { availableParallelism } from 'node:os';
import { check, checkKeys, choose } from '../check.ts';

/** How programs are held; the first two keep them from all that is not theirs. */
export const levels = { namespaces: 3, bubblewrap: 2, landlock: 1, limits: 0 } as const;
export type Level = keyof typeof levels;

/** What a program may take. */
export interface Limits {
  /** By the clock, from 0.01. Default 3, as in HumanEval. */
  timeoutSeconds?: number;
  /** Of all its processes together, and the address space of each. Default 1 GiB, at least 64 MiB. */
  memoryBytes?: number;
  /**
   * Of all its files together, in memory. Default 16 MiB. At the levels `landlock` and `limits` they are
   * on the disk, and looked at every 20 ms; files that were removed while open are not counted there.
   */
  fileBytes?: number;
  /** What is kept of what it prints; the rest is thrown away. Default 64 KiB. */
  outputBytes?: number;
  /** Processes and threads at a time. Default 16. */
  processes?: number;
}

export interface SandboxOptions extends Limits {
  /** Programs that run at a time. Default: the cores. */
  workers?: number;
  /** Runs programs also where the system offers less than `bubblewrap`. Default false. */
  allowWeakIsolation?: boolean;
  /** The strongest level to try. Default `namespaces`. */
  strongest?: Level;
  /** The Python that programs are written for. Default `python3`, as found on the path. */
  python?: string;
  /** Ends all programs. */
  signal?: AbortSignal;
  /** Told after every program. */
  onProgress?: (done: number, total: number) => void;
}

export type Settings = Required<Limits> &
  Required<Pick<SandboxOptions, 'workers' | 'allowWeakIsolation' | 'strongest' | 'python'>>;

const known = [
  'timeoutSeconds',
  'memoryBytes',
  'fileBytes',
  'outputBytes',
  'processes',
  'workers',
  'allowWeakIsolation',
  'strongest',
  'python',
  'signal',
  'onProgress',
];

/** The options with their defaults, checked. */
export function settings(options: SandboxOptions): Settings {
  checkKeys('a sandbox', options, known);
  const {
    timeoutSeconds = 3,
    memoryBytes = 2 ** 30,
    fileBytes = 2 ** 24,
    outputBytes = 2 ** 16,
    processes = 16,
    workers = availableParallelism(),
    allowWeakIsolation = false,
    strongest = 'namespaces',
    python = process.platform === 'win32' ? 'python' : 'python3',
  } = options;
  const inTime = timeoutSeconds >= 0.01 && timeoutSeconds <= 86_400;
  check('timeoutSeconds', timeoutSeconds, inTime, '0.01..86400');
  whole('memoryBytes', memoryBytes, 2 ** 26);
  whole('fileBytes', fileBytes, 2 ** 12);
  whole('outputBytes', outputBytes, 0);
  whole('processes', processes, 1);
  whole('workers', workers, 1);
  choose(levels, strongest, 'strongest');
  const limits = { timeoutSeconds, memoryBytes, fileBytes, outputBytes, processes };
  return { ...limits, workers, allowWeakIsolation, strongest, python };
}

/** What a program may take, out of all settings. */
export function limitsOf(chosen: Settings): Required<Limits> {
  const { timeoutSeconds, memoryBytes, fileBytes, outputBytes, processes } = chosen;
  return { timeoutSeconds, memoryBytes, fileBytes, outputBytes, processes };
}

function whole(name: string, value: number, least: number): void {
  const ok = Number.isSafeInteger(value) && value >= least;
  check(name, value, ok, `a whole number, at least ${least}`);
}
