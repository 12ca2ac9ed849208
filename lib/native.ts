import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The package's directory: `lib/` and `dist/` both lie one level below it. */
export const packageRoot = fileURLToPath(new URL('..', import.meta.url));

/** Where downloads are kept: `${DECE_CACHE:-${XDG_CACHE_HOME:-~/.cache}/dece}`. */
export function cacheDirectory(env: NodeJS.ProcessEnv): string {
  return resolve(env.DECE_CACHE || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'dece'));
}

/** The command that builds what is missing, from a clone or from where npm installed the package. */
export const buildCommand = /[\\/]node_modules[\\/]/.test(packageRoot)
  ? 'npm explore dece -- npm run build'
  : 'npm run build';

/** What scripts/build.js writes beside trainer.node: the libtorch that it was built against. */
export interface TrainerBuild {
  platform: string;
  libtorch: { version: string; cuda: boolean; path: string };
}

/** The losses (native/kernels): no libtorch. Loaded at the first call; loss.ts knows what is in it. */
export function kernels(root: string = packageRoot): unknown {
  return load(addonPath(root, 'kernels'));
}

/**
 * The models and their training (native/trainer), with libtorch. Loaded at the first call.
 * The C++ ABI of libtorch changes with every minor version, and a wrong one may crash instead of
 * failing, so that what the addon was built against is compared with what is there beforehand.
 */
export function trainer(root: string = packageRoot): unknown {
  const path = addonPath(root, 'trainer');
  if (existsSync(path)) checkTrainer(path);
  return load(path);
}

export function addonPath(root: string, name: 'kernels' | 'trainer'): string {
  return join(root, 'native', name, 'build', 'Release', `${name}.node`);
}

/** What the trainer in `root` was built against, or undefined where it was not built to its end. */
export function trainerBuild(root: string = packageRoot): TrainerBuild | undefined {
  try {
    const path = addonPath(root, 'trainer').replace(/\.node$/, '.json');
    return JSON.parse(readFileSync(path, 'utf8')) as TrainerBuild;
  } catch {
    return undefined;
  }
}

/**
 * The version of the libtorch in `directory`, such as `2.13.0+cpu`, or undefined where there is none.
 * A Python package says it in version.py, the archive of the libtorch project in build-version.
 */
export function libtorchVersion(directory: string): string | undefined {
  const read = (name: string) => {
    try {
      return readFileSync(join(directory, name), 'utf8');
    } catch {
      return '';
    }
  };
  return (
    /^__version__ = '([^']+)'/m.exec(read('version.py'))?.[1] ??
    /^\d+\.\d+\S*/.exec(read('build-version'))?.[0]
  );
}

function checkTrainer(path: string): void {
  const root = join(path, '../../../../..');
  const build = trainerBuild(root);
  if (build === undefined) {
    throw cannotLoad(path, 'its build did not end', buildCommand);
  }
  const platform = `${process.platform}-${process.arch}`;
  if (build.platform !== platform) {
    throw cannotLoad(path, `it was built for ${build.platform}, this is ${platform}`, buildCommand);
  }
  const { version, path: directory } = build.libtorch;
  const found = libtorchVersion(directory);
  if (found !== version) {
    const now = found === undefined ? 'that is gone' : `that is version ${found} now`;
    throw cannotLoad(
      path,
      `it was built against libtorch ${version} in ${directory}, and ${now}`,
      buildCommand,
    );
  }
}

function load(path: string): unknown {
  if (!existsSync(path)) throw cannotLoad(path, 'it has not been built', buildCommand);
  try {
    return createRequire(import.meta.url)(path);
  } catch (error) {
    throw loadError(path, error as Error);
  }
}

/** The dynamic linker's message as one sentence; exported for its test. */
export function loadError(path: string, error: Error): Error {
  const message = error.message.split('\n')[0]!;
  const library =
    /Error loading shared library ([^:]+):/.exec(message)?.[1] ??
    /^([^:\s]+): cannot open shared object file/.exec(message)?.[1] ??
    /Library not loaded: (\S+)/.exec(message)?.[1];
  if (library === undefined) return cannotLoad(path, message, buildCommand, error);
  if (library.startsWith('ld-linux')) {
    const reason = `libtorch needs glibc and this system has musl`;
    return new Error(`cannot load ${fileName(path)}: ${reason}: use a Debian or Fedora image`, {
      cause: error,
    });
  }
  const isCuda = /^lib(cu|nv|nccl)/.test(library);
  const version = trainerBuild(join(path, '../../../../..'))?.libtorch.version.split('+')[0];
  const command =
    isCuda && version !== undefined ? `python3 -m pip install torch==${version}` : buildCommand;
  const from = isCuda ? ', a part of CUDA that comes with torch,' : '';
  return cannotLoad(path, `the library ${library}${from} was not found`, command, error);
}

function cannotLoad(path: string, reason: string, command: string, cause?: Error): Error {
  // The losses need no libtorch: nobody is sent to fetch one for them.
  const part = command === buildCommand && fileName(path) === 'kernels.node' ? ' -- kernels' : '';
  return new Error(`cannot load ${fileName(path)}: ${reason}: mend it with \`${command}${part}\``, {
    ...(cause && { cause }),
  });
}

const fileName = (path: string) => path.split(/[\\/]/).at(-1)!;
