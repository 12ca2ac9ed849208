import { execFile, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { packageRoot } from '../lib/native.ts';
import { nodeHeaders } from '../lib/toolchain.ts';

/*
 * The real build script, compilers and tools, on a package of the same shape whose parts are so small
 * that they build in seconds. Its libtorch is an empty one.
 */

const test = suite('build');
const directory = mkdtempSync(join(tmpdir(), 'dece-build-'));
const root = join(directory, 'package');
const libtorch = join(directory, 'libtorch');
test.after(() => rmSync(directory, { recursive: true }));

function write(files: Record<string, string>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
}

const addon = (value: number) => `#include <node_api.h>
NAPI_MODULE_INIT() {
  napi_value value;
  napi_create_int32(env, ${value}, &value);
  return value;
}
`;

function libtorchAt(name: string): void {
  write({
    [`${name}/version.py`]: "__version__ = '2.13.0+cpu'\n",
    [`${name}/include/torch/torch.h`]: '',
    [`${name}/lib/libtorch_cpu.so`]: '',
    [`${name}/share/cmake/Torch/TorchConfig.cmake`]: '',
  });
}

function makePackage(): void {
  mkdirSync(root);
  const copies = ['scripts/build.js', 'lib/check.ts', 'lib/native.ts', 'lib/toolchain.ts'];
  for (const path of [...copies, 'lib/libtorch', 'tsconfig.json', 'package-lock.json']) {
    cpSync(join(packageRoot, path), join(root, path), { recursive: true });
  }
  symlinkSync(join(packageRoot, 'node_modules'), join(root, 'node_modules'));
  libtorchAt('libtorch');
  write({
    'package/package.json': '{ "type": "module" }',
    'package/lib/cli/main.ts': "console.log('main');\n",
    'package/native/kernels/binding.gyp': `{ "targets": [{ "target_name": "kernels", "sources": ["binding.c"] }] }`,
    'package/native/kernels/binding.c': addon(1),
    'package/native/trainer/package.json': '{ "binary": { "napi_versions": [8] } }',
    'package/native/trainer/binding.c': addon(2),
    'package/native/trainer/CMakeLists.txt': `cmake_minimum_required(VERSION 3.22)
project(trainer LANGUAGES C)
add_library(trainer MODULE binding.c)
set_target_properties(trainer PROPERTIES PREFIX "" SUFFIX ".node"
  LIBRARY_OUTPUT_DIRECTORY \${CMAKE_BINARY_DIR}/Release)
target_include_directories(trainer PRIVATE \${CMAKE_JS_INC})
file(WRITE \${CMAKE_BINARY_DIR}/prefix \${CMAKE_PREFIX_PATH})
`,
  });
}

interface Outcome {
  code: number;
  output: string;
  errors: string;
  elapsedMs: number;
}

async function build(args: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  const started = performance.now();
  const options = { cwd: root, env: { ...process.env, LIBTORCH: libtorch, ...env } };
  const result = await promisify(execFile)(
    process.execPath,
    [join(root, 'scripts/build.js'), ...args],
    options,
  ).catch((error) => error);
  return {
    code: result.code ?? 0,
    output: result.stdout,
    errors: result.stderr,
    elapsedMs: performance.now() - started,
  };
}

/** What the addon called `name` is, in a process of its own: a loaded library is never loaded again. */
function addonValue(name: string): number {
  const path = join(root, `native/${name}/build/Release/${name}.node`);
  return Number(spawnSync(process.execPath, ['-p', `require('${path}')`]).stdout);
}

test('builds all that is missing, a line for each part', async () => {
  makePackage();
  const { code, output, errors } = await build(['--quiet']);
  assert.is(code, 0, errors);
  assert.match(
    output,
    /^built dist in [\d.]+ s\nbuilt kernels in [\d.]+ s\nbuilding trainer with libtorch 2\.13\.0\+cpu \(CPU\) from \S+, which takes minutes\n(?: {2}\d+ %\n)*built trainer in [\d.]+ s\n$/,
  );
  assert.is(addonValue('kernels'), 1);
  assert.is(addonValue('trainer'), 2);
  assert.equal(
    JSON.parse(readFileSync(join(root, 'native/trainer/build/Release/trainer.json'), 'utf8')),
    {
      platform: `${process.platform}-${process.arch}`,
      libtorch: { version: '2.13.0+cpu', cuda: false, path: libtorch },
    },
  );
});

test('does nothing the second time, within a second and without a tool', async () => {
  const { code, output, errors, elapsedMs } = await build(['--quiet'], { PATH: '' });
  assert.equal({ code, output, errors }, { code: 0, output: '', errors: '' });
  assert.ok(elapsedMs < 1000, `took ${elapsedMs} ms`);
  assert.is((await build()).output, 'nothing to do: everything is built\n');
});

test('builds again what changed, and only that', async () => {
  write({ 'package/native/trainer/binding.c': addon(3) });
  const { output } = await build();
  assert.match(
    output,
    /^building trainer with libtorch \S+ \(CPU\) from \S+\n(?: {2}\d+ %\n)*built trainer in \S+ s\n$/,
  );
  assert.is(addonValue('trainer'), 3);
});

test('takes out of dist what is no longer in lib', async () => {
  write({ 'package/lib/extra.ts': 'export {};\n' });
  await build(['dist']);
  assert.ok(existsSync(join(root, 'dist/extra.js')));
  rmSync(join(root, 'lib/extra.ts'));
  await build(['dist']);
  assert.not(existsSync(join(root, 'dist/extra.js')));
  assert.ok(existsSync(join(root, 'dist/native.js')));
});

test('misses any file of dist', async () => {
  rmSync(join(root, 'dist/check.js'));
  assert.match((await build()).output, /^built dist in \S+ s\n$/);
  assert.ok(existsSync(join(root, 'dist/check.js')));
});

test("shows a compiler's errors, fails, and tries again the next time", async () => {
  write({ 'package/native/kernels/binding.c': `${addon(1)}\nint broken = nothing;\n` });
  for (const attempt of [1, 2]) {
    const { code, errors } = await build(['kernels']);
    assert.is(code, 1, `attempt ${attempt}`);
    assert.match(
      errors,
      /nothing.* undeclared[\s\S]*\nnode-gyp failed with 1: what it said is above\n$/,
    );
  }
  write({ 'package/native/kernels/binding.c': addon(4) });
  assert.match((await build(['kernels'])).output, /^built kernels in/);
  assert.is(addonValue('kernels'), 4);
});

test('fails on a type error and does not take what it wrote for built', async () => {
  write({ 'package/lib/wrong.ts': "export const wrong: number = 'text';\n" });
  for (const attempt of [1, 2]) {
    const { code, errors } = await build(['dist']);
    assert.is(code, 1, `attempt ${attempt}`);
    assert.match(errors, /^lib\/wrong\.ts\(1,14\): error TS2322/);
  }
  rmSync(join(root, 'lib/wrong.ts'));
  assert.is((await build(['dist'])).code, 0);
});

test('builds the trainer anew for another libtorch', async () => {
  libtorchAt('libtorch-2');
  const LIBTORCH = join(directory, 'libtorch-2');
  const { output } = await build([], { LIBTORCH });
  assert.match(output, /from \S+libtorch-2, which takes minutes\n(?: {2}\d+ %\n)*built trainer/);
  assert.is(readFileSync(join(root, 'native/trainer/build/prefix'), 'utf8'), LIBTORCH);
  assert.is((await build([], { LIBTORCH: '' })).output, 'nothing to do: everything is built\n');

  rmSync(join(LIBTORCH, 'lib/libtorch_cpu.so'));
  assert.match(
    (await build()).output,
    /from \S+libtorch, which takes minutes\n(?: {2}\d+ %\n)*built trainer/,
  );
});

test('builds once where two are started together', async () => {
  rmSync(join(root, 'native/kernels/build'), { recursive: true });
  const outcomes = await Promise.all([build(['kernels']), build(['kernels'])]);
  const outputs = outcomes.map(({ code, output }) => `${code} ${output}`).sort();
  assert.match(outputs[0]!, /^0 built kernels in [\d.]+ s\n$/);
  assert.match(outputs[1]!, /^0 waiting for process \d+, which is building here\n$/);
  assert.is(addonValue('kernels'), 4);
});

test('takes over the lock of a build that was killed', async () => {
  const { pid } = spawnSync(process.execPath, ['--version']);
  write({ 'package/build.lock.tmp': String(pid), 'package/native/kernels/binding.c': addon(5) });
  const { code, output } = await build(['kernels']);
  assert.is(code, 0);
  assert.match(output, /^built kernels/);
  assert.equal(
    readdirSync(root).filter((name) => name.endsWith('.tmp')),
    [],
  );
});

test('names the program that is missing and what installs it', async () => {
  write({ 'package/native/trainer/binding.c': addon(6) });
  const { code, errors } = await build(['trainer'], { PATH: directory, CXX: 'nothing' });
  assert.is(code, 1);
  assert.match(errors, /^c\+\+ was not found, which is a C\+\+20 compiler: mend it with `.*\S`\n$/);
});

test('says what is wrong with LIBTORCH', async () => {
  const { code, errors } = await build(['trainer'], { LIBTORCH: join(directory, 'nowhere') });
  assert.is(code, 1);
  assert.match(
    errors,
    /^LIBTORCH is ".*nowhere": there is no such directory: mend it with `env -u/,
  );
});

test('knows no other part', async () => {
  const { code, errors } = await build(['kernel']);
  assert.is(code, 1);
  assert.is(errors, 'unknown part kernel: expected dist, kernels, trainer\n');
});

// Without its own headers beside it, node-gyp would download them: a test does not.
if (nodeHeaders(process.env) !== undefined) test.run();
else {
  const none = suite('build');
  none.skip(
    "what building does: Node's headers are not beside it, and node-gyp would download them",
  );
  none.run();
}
