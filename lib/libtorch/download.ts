import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { buildCommand, cacheDirectory } from '../native.ts';
import { cachedLibtorch, inspectLibtorch, type Libtorch, pinnedVersion, python } from './find.ts';

/** A wheel of torch, of which lib/, include/ and share/ are a prebuilt libtorch. */
export interface Wheel {
  tag: string;
  sha256: string;
  bytes: number;
}

// The CPU builds that the PyTorch project publishes. Whatever Python is there, it is the wheel for
// Python 3.11 that is taken: only its C++ libraries are used, and one file has one hash.
const wheels: Partial<Record<string, Wheel>> = {
  'linux-x64': {
    tag: 'cp311-cp311-manylinux_2_28_x86_64',
    sha256: '6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b',
    bytes: 191_794_682,
  },
};
const officialIndex = 'https://download.pytorch.org/whl/cpu';

export interface DownloadOptions {
  env: NodeJS.ProcessEnv;
  /** Told, before anything is downloaded, what, from where and how much. */
  log: (line: string) => void;
  /** What was looked at before, for the error. */
  tried?: readonly string[];
  wheel?: Wheel | undefined;
  index?: string;
}

/**
 * Downloads the pinned libtorch into the cache: by pip from the indexes it is set up with, else from
 * the PyTorch project. What arrives is compared with the hash known here, unpacked beside its final
 * place and renamed, so that what has that name is whole.
 *
 * @throws Error that lists what was tried, in order, and the command that mends it
 */
export async function downloadLibtorch(options: DownloadOptions): Promise<Libtorch> {
  const { env, log, wheel = wheels[platform()], index = officialIndex } = options;
  const tried = [...(options.tried ?? [])];
  const version = `${pinnedVersion}+cpu`;
  if (wheel === undefined) {
    tried.push(`download: none is known for ${platform()}`);
    throw failed(tried, `${python} -m pip install torch==${pinnedVersion}`);
  }
  const path = cachedLibtorch(env);
  const cache = cacheDirectory(env);
  await mkdir(cache, { recursive: true });
  await removeLeftovers(cache);
  const directory = await mkdtemp(join(cache, 'download-'));
  try {
    const file = `torch-${version}-${wheel.tag}.whl`;
    const url = `${index}/${encodeURIComponent(file)}`;
    const what = `libtorch ${pinnedVersion} for the CPU: ${file}, ${Math.round(wheel.bytes / 1e6)} MB`;
    const ways = [
      { from: 'the package index of pip', get: () => byPip(directory, version, wheel, env) },
      { from: url, get: () => byUrl(join(directory, file), url, env) },
    ];
    for (const { from, get } of ways) {
      log(`downloading ${what}, from ${from}`);
      try {
        await get();
        await verify(join(directory, file), wheel);
        await unpack(join(directory, file), directory, env);
        await put(join(directory, 'torch'), path);
        return { path, version, cuda: false, source: 'cache' };
      } catch (error) {
        tried.push(`${from}: ${(error as Error).message}`);
        await rm(join(directory, file), { force: true });
      }
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  throw failed(tried, `${python} -m pip install torch==${pinnedVersion} --index-url ${index}`);
}

function failed(tried: readonly string[], command: string): Error {
  return new Error(
    `no libtorch: tried, in order,\n${tried.map((line) => `  ${line}\n`).join('')}` +
      `mend it with \`${command}\`, then \`${buildCommand}\``,
  );
}

/** Such as linux-x64; Linux without glibc is told apart, as libtorch is not built for it. */
function platform(): string {
  const header = (process.report.getReport() as { header?: { glibcVersionRuntime?: string } })
    .header;
  const musl = process.platform === 'linux' && header?.glibcVersionRuntime === undefined;
  return `${process.platform}-${process.arch}${musl ? '-musl' : ''}`;
}

async function byPip(
  directory: string,
  version: string,
  { tag }: Wheel,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const [, abi, name] = tag.split('-');
  // biome-ignore format: an option and its value on one line
  await runPython([
    '-m', 'pip', 'download', `torch==${version}`, '--no-deps', '--only-binary=:all:',
    '--implementation', 'cp', '--python-version', '3.11', '--abi', abi!, '--platform', name!,
    '--dest', directory, '--no-cache-dir', '--progress-bar', 'off', '--retries', '2',
    '--disable-pip-version-check',
  ], env);
}

// Python's own client: unlike Node's it takes the proxy and the certificates that the system has.
async function byUrl(path: string, url: string, env: NodeJS.ProcessEnv): Promise<void> {
  const script = `import shutil, sys, urllib.request
with urllib.request.urlopen(sys.argv[1], timeout=60) as source, open(sys.argv[2], 'wb') as file:
    shutil.copyfileobj(source, file, 1 << 20)`;
  await runPython(['-c', script, url, path], env);
}

async function verify(path: string, { sha256, bytes }: Wheel): Promise<void> {
  const size = (await stat(path)).size;
  if (size < bytes) throw new Error(`the file ends after ${size} of ${bytes} bytes`);
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  const found = hash.digest('hex');
  if (found !== sha256) throw new Error(`the file has sha256 ${found}: expected ${sha256}`);
}

async function unpack(wheel: string, directory: string, env: NodeJS.ProcessEnv): Promise<void> {
  const script = `import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    wanted = ('torch/lib/', 'torch/include/', 'torch/share/', 'torch/version.py')
    wheel.extractall(sys.argv[2], [name for name in wheel.namelist() if name.startswith(wanted)])`;
  await runPython(['-c', script, wheel, directory], env);
}

/**
 * Moves what is complete to where it is looked for. Another build may have been faster; what else has
 * the name is broken, or nothing would have been downloaded.
 */
async function put(from: string, to: string): Promise<void> {
  for (;;) {
    try {
      return await rename(from, to);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'ENOTDIR') throw error;
      if (typeof inspectLibtorch(to) !== 'string') return;
      await rm(to, { recursive: true, force: true });
    }
  }
}

/** Removes what a download left behind that was killed, not what another is writing now. */
async function removeLeftovers(cache: string): Promise<void> {
  const yesterday = Date.now() - 86_400_000;
  for (const name of await readdir(cache)) {
    if (!name.startsWith('download-')) continue;
    const path = join(cache, name);
    if ((await stat(path)).mtimeMs < yesterday) await rm(path, { recursive: true, force: true });
  }
}

/** Runs python3; an error's message is the last line that says why. */
async function runPython(args: string[], env: NodeJS.ProcessEnv): Promise<void> {
  try {
    await promisify(execFile)(python, args, { env, maxBuffer: 1 << 26 });
  } catch (error) {
    const { code, stderr = '' } = error as NodeJS.ErrnoException & { stderr?: string };
    if (code === 'ENOENT') throw new Error(`${python} not found`);
    const lines = stderr.trim().split('\n');
    const line = lines.findLast((text) => text.startsWith('ERROR: ')) ?? lines.at(-1) ?? '';
    throw new Error(line.replace(/^ERROR: /, '') || `${python} failed with ${code}`);
  }
}
