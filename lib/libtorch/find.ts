import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { show } from '../check.ts';
import { buildCommand, cacheDirectory, libtorchVersion } from '../native.ts';

/** A libtorch that the trainer can be built against: `path` has lib/, include/ and share/cmake/. */
export interface Libtorch {
  path: string;
  version: string;
  cuda: boolean;
  source: 'LIBTORCH' | 'cache' | 'python3';
}

/** What was found, and a line for each place that was looked at before it. */
export interface Search {
  libtorch: Libtorch | undefined;
  tried: string[];
}

export const pinnedVersion = '2.13.0';
const supportedMinors = [11, 12, 13];
const supported = `2.${supportedMinors[0]} to 2.${supportedMinors.at(-1)}`;

export const python = process.platform === 'win32' ? 'python' : 'python3';

/** Where the pinned libtorch lies once it has been downloaded. */
export function cachedLibtorch(env: NodeJS.ProcessEnv): string {
  return join(cacheDirectory(env), `libtorch-${pinnedVersion}+cpu`);
}

/**
 * Looks for a libtorch, and downloads nothing: `LIBTORCH`, then the package's cache, then a torch
 * installed for python3. One built for CUDA counts only where there is a CUDA toolkit to build with.
 *
 * @throws Error where `LIBTORCH` is set to what cannot be used: what was asked for is not passed over
 */
export async function findLibtorch(env: NodeJS.ProcessEnv): Promise<Search> {
  if (env.LIBTORCH) {
    const found = examine(resolve(env.LIBTORCH), 'LIBTORCH', env);
    if (typeof found !== 'string') return { libtorch: found, tried: [] };
    throw new Error(
      `LIBTORCH is ${show(env.LIBTORCH)}: ${found}: ` +
        `mend it with \`env -u LIBTORCH ${buildCommand}\`, which looks elsewhere`,
    );
  }
  const tried = ['LIBTORCH: not set'];
  const cached = examine(cachedLibtorch(env), 'cache', env);
  if (typeof cached !== 'string') return { libtorch: cached, tried };
  tried.push(`cache: ${cachedLibtorch(env)}: ${cached}`);

  const installed = await pythonTorch(env);
  if (!installed.startsWith('found ')) return { libtorch: undefined, tried: [...tried, installed] };
  const directory = installed.slice('found '.length);
  const found = examine(directory, 'python3', env);
  if (typeof found !== 'string') return { libtorch: found, tried };
  return { libtorch: undefined, tried: [...tried, `${python}: ${directory}: ${found}`] };
}

/** The libtorch in `path`, or why there is none that can be used. */
export function inspectLibtorch(path: string): Omit<Libtorch, 'source'> | string {
  if (!existsSync(path)) return 'there is no such directory';
  const has = (...names: string[]) => names.some((name) => existsSync(join(path, name)));
  const libraries = ['lib/libtorch_cpu.so', 'lib/libtorch_cpu.dylib', 'lib/torch_cpu.lib'];
  if (!has('include/torch') || !has(...libraries)) {
    return 'it is no libtorch: expected a directory with lib/ and include/, or that of the Python package torch';
  }
  if (!has('share/cmake/Torch/TorchConfig.cmake')) return 'it has no share/cmake/Torch';
  const version = libtorchVersion(path);
  const [, major, minor] = /^(\d+)\.(\d+)\./.exec(version ?? '') ?? [];
  if (version === undefined || Number(major) !== 2 || !supportedMinors.includes(Number(minor))) {
    return `its version is ${version ?? 'unknown'}: expected ${supported}`;
  }
  return { path, version, cuda: has('lib/libtorch_cuda.so', 'lib/torch_cuda.lib') };
}

/** The libtorch in `path`, or why the trainer cannot be built against it here. */
function examine(
  path: string,
  source: Libtorch['source'],
  env: NodeJS.ProcessEnv,
): Libtorch | string {
  const found = inspectLibtorch(path);
  if (typeof found === 'string') return found;
  if (found.cuda && cudaCompiler(env) === undefined) {
    return `version ${found.version} is built for CUDA, and there is no CUDA toolkit (nvcc) to build against it`;
  }
  return { ...found, source };
}

/** nvcc, where CMake looks for it: `CUDA_HOME`, the path, then /usr/local/cuda. */
export function cudaCompiler(env: NodeJS.ProcessEnv): string | undefined {
  const directories = [
    ...(env.CUDA_HOME ? [join(env.CUDA_HOME, 'bin')] : []),
    ...(env.PATH ?? '').split(delimiter),
    '/usr/local/cuda/bin',
  ];
  const name = process.platform === 'win32' ? 'nvcc.exe' : 'nvcc';
  return directories.map((directory) => join(directory, name)).find((path) => existsSync(path));
}

/** `found DIRECTORY` of the package torch, or why there is none. Torch is not imported: that is slow. */
async function pythonTorch(env: NodeJS.ProcessEnv): Promise<string> {
  const script = `import importlib.util
spec = importlib.util.find_spec('torch')
print(*(spec.submodule_search_locations or [''])[:1] if spec else '')`;
  try {
    const { stdout } = await promisify(execFile)(python, ['-c', script], { env, timeout: 60_000 });
    const directory = stdout.trim();
    return directory ? `found ${directory}` : `${python}: no torch installed`;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? `${python}: not found` : `${python}: failed with ${code}`;
  }
}
