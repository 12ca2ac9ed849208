import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { arch, availableParallelism, cpus, platform, totalmem } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { threads } from './model/native.ts';
import { packageRoot, trainerBuild } from './native.ts';

/** With what a run was made: enough to say why two runs differ. */
export interface Environment {
  versions: Record<string, string>;
  machine: { system: string; processor: string; cores: number; memoryBytes: number };
  /** Of libtorch, where the trainer loads: losses and programs are measured without it too. */
  threads?: number;
  /** The commit of the package where it runs from a clone, with `+changes` where files differ from it. */
  commit?: string;
}

/** The package's own. */
export async function packageVersion(): Promise<string> {
  const text = await readFile(join(packageRoot, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** What the package runs with here. */
export async function environment(): Promise<Environment> {
  const version = await packageVersion();
  const libtorch = trainerBuild()?.libtorch.version;
  const commit = await commitOf(packageRoot);
  return {
    versions: { dece: version, node: process.versions.node, ...(libtorch && { libtorch }) },
    machine: {
      system: `${platform()} ${arch()}`,
      processor: cpus()[0]?.model.trim() ?? 'unknown',
      cores: availableParallelism(),
      memoryBytes: totalmem(),
    },
    ...trainerThreads(),
    ...(commit !== undefined && { commit }),
  };
}

function trainerThreads(): { threads?: number } {
  try {
    return { threads: threads() };
  } catch {
    return {}; // not built, or its libtorch is gone
  }
}

/** The commit of a clone of the package itself, not of a project that the package is installed in. */
async function commitOf(directory: string): Promise<string | undefined> {
  const git = async (...args: string[]) =>
    (await promisify(execFile)('git', ['-C', directory, ...args])).stdout.trim();
  try {
    if ((await git('rev-parse', '--show-prefix')) !== '') return undefined;
    const changes = await git('status', '--porcelain', '--untracked-files=no');
    return `${await git('rev-parse', 'HEAD')}${changes === '' ? '' : '+changes'}`;
  } catch {
    return undefined; // no git, or no clone
  }
}

/**
 * Forgets the highest memory use of this process so far, where the system lets it (Linux), so that
 * each of several runs in one process gets its own.
 */
export async function resetPeakMemory(): Promise<void> {
  await writeFile('/proc/self/clear_refs', '5').catch(() => {});
}

/** The highest memory use of this process since the last reset. */
export async function peakMemoryBytes(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const kilobytes = /^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1];
  return 1024 * Number(kilobytes ?? process.resourceUsage().maxRSS);
}
