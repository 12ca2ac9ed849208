// Builds what is missing: dist by tsc, kernels.node by node-gyp, trainer.node by cmake-js.
//
//   node scripts/build.js [dist] [kernels] [trainer] [--quiet] [--verbose]
//
// Each part is stamped with a hash of all it is made from. A part whose stamp fits is left alone, and
// then no tool is even started: this runs before every `npm test` and `npm run demo`. What is stale is
// handed to the tools, which compile only what changed.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, totalmem } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

/**
 * @typedef {object} Part
 * @property {() => string} inputs       a hash of all it is made from
 * @property {string} stamp              the file that holds the hash of what it was made from
 * @property {() => string[]} outputs    files that must be there
 * @property {() => Promise<boolean>} [fits]  more that must hold
 * @property {(inputs: string) => Promise<void>} make
 */

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);
// A compiler of libtorch's headers takes up to 2 GB.
const jobs = String(Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / 2e9))));

const lockFile = join(root, 'build.lock.tmp');

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { quiet: { type: 'boolean' }, verbose: { type: 'boolean' } },
});

/** @type {Record<string, Part>} */
const parts = {
  dist: {
    inputs: () => hash(['lib', 'tsconfig.json', 'package-lock.json']),
    stamp: join(root, 'dist', '.stamp'),
    outputs: () => [...sources().map(distOf), ...grammars().map(grammarOutput)],
    make: makeDist,
  },
  kernels: {
    inputs: () => hash(['native/kernels']),
    stamp: join(root, 'native/kernels/build/stamp'),
    outputs: () => [join(root, 'native/kernels/build/Release/kernels.node')],
    make: makeKernels,
  },
  trainer: {
    inputs: () => hash(['native/kernels', 'native/trainer']),
    stamp: join(root, 'native/trainer/build/stamp'),
    outputs: () => [join(root, 'native/trainer/build/Release/trainer.node')],
    fits: trainerFits,
    make: makeTrainer,
  },
};

async function main() {
  for (const name of positionals) {
    if (!Object.hasOwn(parts, name)) {
      throw new Error(`unknown part ${name}: expected ${Object.keys(parts).join(', ')}`);
    }
  }
  // What npm publishes has dist, and no TypeScript to make it with.
  const published = !existsSync(join(root, 'tsconfig.json'));
  const asked = positionals.length > 0 ? positionals : Object.keys(parts);
  const names = asked.filter((name) => !(published && name === 'dist'));
  if (await allFit(names)) {
    if (!options.quiet) console.log('nothing to do: everything is built');
    return;
  }
  await lock();
  try {
    for (const name of names) await build(name);
  } finally {
    rmSync(lockFile, { force: true });
  }
}

/** @param {string[]} names */
async function allFit(names) {
  for (const name of names) if (!(await isBuilt(name))) return false;
  return true;
}

/** @param {string} name */
async function isBuilt(name) {
  const part = /** @type {Part} */ (parts[name]);
  if (!part.outputs().every((output) => existsSync(output))) return false;
  if (!existsSync(part.stamp) || readFileSync(part.stamp, 'utf8') !== part.inputs()) return false;
  return part.fits === undefined || part.fits();
}

/** @param {string} name */
async function build(name) {
  if (await isBuilt(name)) return;
  const part = /** @type {Part} */ (parts[name]);
  const started = performance.now();
  const inputs = part.inputs();
  rmSync(part.stamp, { force: true });
  await part.make(inputs);
  mkdirSync(dirname(part.stamp), { recursive: true });
  writeFileSync(part.stamp, inputs);
  console.log(`built ${name} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

async function makeDist() {
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc');
  await run('tsc', process.execPath, [tsc]);
  // Not emptied beforehand: a program may be running from it.
  copyGrammars();
  const made = new Set([...sources().map(distOf), ...grammars().map(grammarOutput)]);
  for (const path of files(join(root, 'dist'))) {
    if (!made.has(path.replace(/\.d\.ts$/, '.js'))) rmSync(path);
  }
  checkImports();
}

/** The syntax of each language that lib/code/grammar.ts reads, as its package compiled it. */
function grammars() {
  const languages = ['python', 'java', 'javascript', 'c', 'cpp', 'go', 'php', 'ruby', 'c-sharp'];
  return languages.map((language) => {
    const directory = join(root, 'node_modules', `tree-sitter-${language}`);
    return join(directory, `tree-sitter-${language.replace('-', '_')}.wasm`);
  });
}

/** @param {string} path of a compiled grammar */
function grammarOutput(path) {
  return join(root, 'dist/grammars', basename(path));
}

function copyGrammars() {
  mkdirSync(join(root, 'dist/grammars'), { recursive: true });
  for (const path of grammars()) copyFileSync(path, grammarOutput(path));
}

/** tsc forgets to rename what is imported within a function that it rewrites, as one with `using`. */
function checkImports() {
  for (const path of files(join(root, 'dist')).filter((name) => name.endsWith('.js'))) {
    const found = /\b(?:from|import\()\s*['"](\.[^'"]*\.ts)['"]/.exec(readFileSync(path, 'utf8'));
    if (found) throw new Error(`${relative(root, path)} imports ${found[1]}, which is not built`);
  }
}

/** What tsc compiles; the Python in lib runs from where it is. */
const sources = () => files(join(root, 'lib')).filter((path) => path.endsWith('.ts'));

/** @param {string} source a file in lib */
function distOf(source) {
  return join(root, 'dist', relative(join(root, 'lib'), source)).replace(/\.ts$/, '.js');
}

async function makeKernels() {
  await needTools(['c++', 'make', 'python3']);
  const gyp = require.resolve('node-gyp/bin/node-gyp.js');
  const headers = await nodeHeaders();
  if (headers === undefined) {
    console.log(`downloading the headers of Node ${process.version}, from nodejs.org, 10 MB`);
  }
  const directory = join(root, 'native/kernels');
  const nodedir = headers === undefined ? [] : [`--nodedir=${headers}`];
  const args = [gyp, 'configure', 'build', '-C', directory, ...nodedir, '--jobs', jobs];
  await run('node-gyp', process.execPath, args);
}

async function makeTrainer() {
  await needTools(['c++', 'make', 'cmake']);
  const { cudaCompiler } = await libtorchModule();
  const libtorch = await chooseLibtorch();
  // CMake remembers where libtorch and the sources were: a build folder belongs to one of each.
  const directory = join(root, 'native/trainer/build');
  const configured = join(directory, 'configured');
  const isNew =
    !existsSync(configured) || readFileSync(configured, 'utf8') !== configurationOf(libtorch);
  const kind = libtorch.cuda ? 'CUDA' : 'CPU';
  const time = isNew ? ', which takes minutes' : '';
  console.log(
    `building trainer with libtorch ${libtorch.version} (${kind}) from ${libtorch.path}${time}`,
  );

  const bin = join(dirname(require.resolve('cmake-js/package.json')), 'bin', 'cmake-js');
  /** @param {string} command */
  const cmake = (command) =>
    run('cmake-js', process.execPath, [
      ...[bin, command, '-d', join(root, 'native/trainer'), '-O', directory],
      ...['--parallel', jobs, `--CDCMAKE_PREFIX_PATH=${libtorch.path}`],
      ...(libtorch.cuda ? [`--CDCMAKE_CUDA_COMPILER=${cudaCompiler(process.env)}`] : []),
    ]);
  if (isNew) {
    rmSync(directory, { recursive: true, force: true });
    await cmake('configure');
    writeFileSync(configured, configurationOf(libtorch));
  }
  await cmake('build');
  const { version, cuda, path } = libtorch;
  const platform = `${process.platform}-${process.arch}`;
  writeFileSync(
    join(directory, 'Release/trainer.json'),
    `${JSON.stringify({ platform, libtorch: { version, cuda, path } }, undefined, 2)}\n`,
  );
}

async function chooseLibtorch() {
  const { findLibtorch, downloadLibtorch } = await libtorchModule();
  const { libtorch, tried } = await findLibtorch(process.env);
  if (libtorch !== undefined) return libtorch;
  console.log(`no libtorch that fits: ${tried.join('; ')}`);
  return downloadLibtorch({ env: process.env, tried, log: (line) => console.log(line) });
}

/** @param {{ version: string, path: string }} libtorch */
function configurationOf({ version, path }) {
  return `${version} ${path} for ${root}\n`;
}

/** Whether trainer.node was built to its end, with a libtorch that is still there and still asked for. */
async function trainerFits() {
  const native = await nativeModule();
  const libtorch = native.trainerBuild(root)?.libtorch;
  if (libtorch === undefined) return false;
  const found = (await libtorchModule()).inspectLibtorch(libtorch.path);
  if (typeof found === 'string' || found.version !== libtorch.version) return false;
  const asked = process.env.LIBTORCH;
  return !asked || (existsSync(asked) && realpathSync(asked) === realpathSync(libtorch.path));
}

/** @returns {Promise<typeof import('../lib/native.ts')>} */
const nativeModule = () => import(pathToFileURL(join(root, 'dist/native.js')).href);
/** @returns {Promise<typeof import('../lib/libtorch/index.ts')>} */
const libtorchModule = () => import(pathToFileURL(join(root, 'dist/libtorch/index.js')).href);
/** @returns {Promise<typeof import('../lib/toolchain.ts')>} */
const toolchainModule = () => import(pathToFileURL(join(root, 'dist/toolchain.js')).href);

/** @param {string[]} names */
async function needTools(names) {
  const { missingTools } = await toolchainModule();
  const [missing] = missingTools(names, process.env);
  if (missing !== undefined) {
    throw new Error(
      `${missing.name} was not found, which is ${missing.what}: mend it with \`${missing.command}\``,
    );
  }
}

async function nodeHeaders() {
  return (await toolchainModule()).nodeHeaders(process.env);
}

/**
 * Runs a tool and returns what it printed; shown only where it fails, or with --verbose.
 *
 * @param {string} name
 * @param {string} command
 * @param {string[]} args
 * @returns {Promise<string>}
 */
function run(name, command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let quarters = 0;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
        output += text;
        if (options.verbose) process.stdout.write(text);
        // Of ninja [12/41], of make [ 29%].
        for (const [, part, whole = 100] of text.matchAll(/^\[ *(\d+)(?:\/(\d+)|%)\]/gm)) {
          const done = Math.floor((4 * Number(part)) / Number(whole));
          if (done > quarters && done < 4) console.log(`  ${25 * done} %`);
          quarters = Math.max(quarters, done);
        }
      });
    }
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(output);
      if (!options.verbose) process.stderr.write(output);
      reject(new Error(`${name} failed with ${signal ?? code}: what it said is above`));
    });
  });
}

/**
 * A hash of names and contents of files and of folders, without what was built in them.
 *
 * @param {string[]} paths
 */
function hash(paths) {
  const sum = createHash('sha256').update(`${process.platform} ${process.arch} `);
  for (const path of paths.flatMap((name) => files(join(root, name)))) {
    const content = readFileSync(path);
    sum.update(`${relative(root, path)} ${content.length}\n`).update(content);
  }
  return sum.digest('hex');
}

/**
 * @param {string} path a file or a folder
 * @returns {string[]} the file, or those in the folder and below, sorted
 */
function files(path) {
  if (!existsSync(path)) return [];
  try {
    const names = readdirSync(path).filter((name) => name !== 'build' && !name.endsWith('.tmp'));
    return names.sort().flatMap((name) => files(join(path, name)));
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOTDIR') return [path];
    throw error;
  }
}

/** Waits until no other process builds here. The lock of a process that is gone is taken over. */
async function lock() {
  const mine = join(root, `build.${process.pid}.tmp`);
  writeFileSync(mine, String(process.pid));
  let told = false;
  try {
    for (;;) {
      try {
        linkSync(mine, lockFile);
        return;
      } catch (error) {
        if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error;
      }
      const owner = lockOwner(lockFile);
      if (owner !== undefined && isAlive(owner)) {
        if (!told) console.log(`waiting for process ${owner}, which is building here`);
        told = true;
        await new Promise((resolve) => setTimeout(resolve, 200));
      } else if (owner !== undefined) {
        takeAway(owner);
      }
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

/**
 * Removes the lock of `owner`, which is gone. Another process may have done so and locked by now: what
 * was moved away is looked at, and put back where it is not the stale one.
 *
 * @param {number} owner
 */
function takeAway(owner) {
  const aside = join(root, `build.${process.pid}.stale.tmp`);
  try {
    renameSync(lockFile, aside);
    if (lockOwner(aside) !== owner) linkSync(aside, lockFile);
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code !== 'ENOENT' && code !== 'EEXIST') throw error;
  }
  rmSync(aside, { force: true });
}

/**
 * @param {string} path
 * @returns {number | undefined}
 */
function lockOwner(path) {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${/** @type {Error} */ (error).message}\n`);
  process.exitCode = 1;
}
