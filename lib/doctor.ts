import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { checkObject } from './check.ts';
import { cudaCompiler, findLibtorch } from './libtorch/index.ts';
import {
  buildCommand,
  cacheDirectory,
  kernels,
  packageRoot,
  trainer,
  trainerBuild,
} from './native.ts';
import { runPrograms } from './sandbox/index.ts';
import { findProgram, missingTools, nodeHeaders, toolNames } from './toolchain.ts';

/** One thing that was looked at: `found` where it is there, else `command` gets it. */
export interface Finding {
  name: string;
  state: 'found' | 'missing' | 'not needed';
  detail: string;
  command?: string;
}

export interface DoctorReport {
  /** Nothing needed is missing. */
  ok: boolean;
  version: string;
  system: string;
  findings: Finding[];
  /** The variables that change what dece does, as far as they are set. */
  environment: Record<string, string>;
}

export interface DoctorOptions {
  env: NodeJS.ProcessEnv;
  root?: string;
}

/**
 * Looks at all that dece needs on this machine, and neither builds nor downloads anything. What only
 * the build needs is not missed once both addons load.
 *
 * @example
 * const { ok, findings } = await doctor({ env: process.env });
 */
export async function doctor(options: DoctorOptions): Promise<DoctorReport> {
  checkObject('options', options);
  const { env, root = packageRoot } = options;
  checkObject('env', env, 'process.env or the like');
  const addons = [kernelsFinding(root), ...trainerFindings(root)];
  const built = addons.every(({ state }) => state === 'found');
  const findings = [
    nodeFinding(root),
    ...(await toolFindings(env, built)),
    headersFinding(env),
    await libtorchFinding(env, built),
    ...addons,
    cudaFinding(env),
    await sandboxFinding(),
  ];
  return {
    ok: findings.every(({ state }) => state !== 'missing'),
    version: packageJson(root).version,
    system: `${process.platform} ${process.arch}`,
    findings,
    environment: environment(env),
  };
}

function nodeFinding(root: string): Finding {
  const range = packageJson(root).engines.node;
  const name = 'node';
  if (satisfies(process.versions.node, range)) {
    return { name, state: 'found', detail: process.version };
  }
  const detail = `${process.version}: expected ${range}`;
  return { name, state: 'missing', detail, command: 'nvm install 22' };
}

/** Whether a version is in a range such as ^20.19.0 || >=22.12.0; the last number does not matter. */
function satisfies(version: string, range: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return [...range.matchAll(/(\^|>=)(\d+)\.(\d+)/g)].some(([, operator, low, lowMinor]) => {
    if (major === Number(low)) return minor >= Number(lowMinor);
    return operator === '>=' && major > Number(low);
  });
}

async function toolFindings(env: NodeJS.ProcessEnv, built: boolean): Promise<Finding[]> {
  const missing = new Map(missingTools(toolNames, env).map((tool) => [tool.name, tool]));
  const finding = async (name: string): Promise<Finding> => {
    const tool = missing.get(name);
    if (tool === undefined) return { name, state: 'found', detail: await versionOf(name, env) };
    const state = built ? 'not needed' : 'missing';
    return { name, state, detail: `not on the path: it is ${tool.what}`, command: tool.command };
  };
  return Promise.all(toolNames.map(finding));
}

async function versionOf(name: string, env: NodeJS.ProcessEnv): Promise<string> {
  const path = findProgram(name, env);
  if (path === undefined) return 'left to CMake to find';
  try {
    const { stdout } = await promisify(execFile)(path, ['--version'], { env, timeout: 20_000 });
    return `${stdout.split('\n')[0]!.trim()} (${path})`;
  } catch {
    return `${path}, which does not tell its version`;
  }
}

function headersFinding(env: NodeJS.ProcessEnv): Finding {
  const prefix = nodeHeaders(env);
  const detail =
    prefix === undefined
      ? 'not beside node: node-gyp downloads them when it builds'
      : join(prefix, 'include/node');
  return { name: 'node headers', state: prefix === undefined ? 'not needed' : 'found', detail };
}

/** What holds programs for pass@k: tried with an empty one. Only that needs it. */
async function sandboxFinding(): Promise<Finding> {
  const name = 'sandbox';
  try {
    const { isolation } = await runPrograms([''], { workers: 1 });
    const { level, landlock, seccomp } = isolation;
    const more = `Landlock ${landlock || 'missing'}, system calls ${seccomp ? '' : 'not '}filtered`;
    return { name, state: 'found', detail: `${level}, ${more}` };
  } catch (error) {
    return { name, state: 'not needed', detail: (error as Error).message };
  }
}

async function libtorchFinding(env: NodeJS.ProcessEnv, built: boolean): Promise<Finding> {
  const name = 'libtorch';
  try {
    const { libtorch, tried } = await findLibtorch(env);
    if (libtorch === undefined) {
      const detail = `none (${tried.join('; ')}): the build downloads it into ${cacheDirectory(env)}`;
      return { name, state: built ? 'not needed' : 'missing', detail, command: buildCommand };
    }
    const { version, cuda, path, source } = libtorch;
    const detail = `${version} for ${cuda ? 'CUDA' : 'the CPU'}, by ${source}, in ${path}`;
    return { name, state: 'found', detail };
  } catch (error) {
    return missing(name, error);
  }
}

function kernelsFinding(root: string): Finding {
  const name = 'kernels';
  try {
    const { isa } = kernels(root) as { isa(): string };
    return { name, state: 'found', detail: `loads, computes with ${isa()}` };
  } catch (error) {
    return missing(name, error);
  }
}

function trainerFindings(root: string): Finding[] {
  const name = 'trainer';
  try {
    const { info } = trainer(root) as {
      info(): { torch: string; cudaDevices: number; threads: number };
    };
    const { torch, cudaDevices, threads } = info();
    const path = trainerBuild(root)?.libtorch.path;
    const cpu = `cpu (${cpus()[0]?.model.trim() ?? 'unknown'}, ${availableParallelism()} cores, ${threads} threads)`;
    const cuda = Array.from({ length: cudaDevices }, (_, index) => `cuda:${index}`);
    return [
      { name, state: 'found', detail: `loads, with libtorch ${torch} in ${path}` },
      { name: 'devices', state: 'found', detail: [cpu, ...cuda].join(', ') },
    ];
  } catch (error) {
    return [missing(name, error)];
  }
}

function cudaFinding(env: NodeJS.ProcessEnv): Finding {
  const compiler = cudaCompiler(env);
  return compiler === undefined
    ? { name: 'nvcc', state: 'not needed', detail: 'none: dece is built for the CPU' }
    : {
        name: 'nvcc',
        state: 'found',
        detail: `${compiler}: used where libtorch is built for CUDA`,
      };
}

/** An error of this package ends in the command that mends it: here they are told apart. */
function missing(name: string, error: unknown): Finding {
  const { message } = error as Error;
  const [, detail, command] = /^(.*): mend it with `([^`]+)`/s.exec(message) ?? [];
  if (detail === undefined || command === undefined) {
    return { name, state: 'missing', detail: message, command: buildCommand };
  }
  return { name, state: 'missing', detail, command };
}

function environment(env: NodeJS.ProcessEnv): Record<string, string> {
  const names = ['LIBTORCH', 'DECE_CACHE', 'DECE_DATA', 'XDG_CACHE_HOME', 'OMP_NUM_THREADS', 'CXX'];
  return Object.fromEntries(
    names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])),
  );
}

function packageJson(root: string): { version: string; engines: { node: string } } {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
}
