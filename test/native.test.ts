import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  addonPath,
  kernels,
  libtorchVersion,
  loadError,
  packageRoot,
  trainer,
} from '../lib/native.ts';

const test = suite('native');
const directory = mkdtempSync(join(tmpdir(), 'dece-native-'));
test.after(() => rmSync(directory, { recursive: true }));

/** A package directory with the given files in it. */
function fakePackage(name: string, files: Record<string, string>): string {
  const root = join(directory, name);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const platform = `${process.platform}-${process.arch}`;
const trainerFiles = (libtorch: object) => ({
  'native/trainer/build/Release/trainer.node': 'no library',
  'native/trainer/build/Release/trainer.json': JSON.stringify({ platform, libtorch }),
});

// Without -fopenmp at::parallel_for is a loop, whose only sign is that the losses take longer.
test('the trainer shares its loops out among the threads of OpenMP', () => {
  const built = readFileSync(addonPath(packageRoot, 'trainer'));
  if (process.platform !== 'linux' || !built.includes('GCC: (')) {
    console.log('skipped: the trainer was not built by GCC on Linux');
    return;
  }
  assert.ok(built.includes('GOMP_parallel'));
});

test('the command says what to do before a build, and starts after it', () => {
  const root = fakePackage('unbuilt', { 'package.json': '{ "type": "module" }' });
  cpSync(join(packageRoot, 'scripts/dece.js'), join(root, 'scripts/dece.js'));
  const start = () => spawnSync(join(root, 'scripts/dece.js'), ['x'], { encoding: 'utf8' });
  const { status, stderr } = start();
  assert.is(stderr, 'dece: it is not built yet: run `npm run build -- dist`\n');
  assert.is(status, 1);
  mkdirSync(join(root, 'dist/cli'), { recursive: true });
  writeFileSync(join(root, 'dist/cli/main.js'), 'console.log(process.argv[2]);');
  assert.is(start().stdout, 'x\n');
});

test('loads no addon when it is imported', () => {
  const script = `import '${pathToFileURL(join(packageRoot, 'lib/native.ts'))}';
    const { sharedObjects } = process.report.getReport();
    console.log(sharedObjects.filter((path) => path.endsWith('.node')).length);`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', script];
  const output = execFileSync(process.execPath, args, { cwd: packageRoot, encoding: 'utf8' });
  assert.is(output.trim(), '0');
});

test('says that an addon was not built, and what builds it', () => {
  const root = fakePackage('empty', {});
  assert.throws(
    () => kernels(root),
    /^cannot load kernels\.node: it has not been built: mend it with `npm run build -- kernels`$/,
  );
  assert.throws(() => trainer(root), /^cannot load trainer\.node: it has not been built: mend/);
});

test('names the command for an installed package where it lies in node_modules', async () => {
  const root = fakePackage('node_modules/dece', { 'package.json': '{ "type": "module" }' });
  cpSync(join(packageRoot, 'lib/native.ts'), join(root, 'lib/native.ts'));
  const installed: typeof import('../lib/native.ts') = await import(
    pathToFileURL(join(root, 'lib/native.ts')).href
  );
  assert.is(installed.packageRoot, `${root}/`);
  assert.throws(
    () => installed.kernels(),
    /mend it with `npm explore dece -- npm run build -- kernels`$/,
  );
});

test('says that a file is no addon', () => {
  const root = fakePackage('broken', { 'native/kernels/build/Release/kernels.node': 'no library' });
  assert.throws(
    () => kernels(root),
    /^cannot load kernels\.node: .*(too short|invalid).*: mend it with `npm run build -- kernels`$/,
  );
});

test('does not load a trainer whose build did not end', () => {
  const root = fakePackage('unfinished', { 'native/trainer/build/Release/trainer.node': '' });
  assert.throws(() => trainer(root), /^cannot load trainer\.node: its build did not end: mend/);
});

test('does not load a trainer of another platform', () => {
  const root = fakePackage('elsewhere', {
    ...trainerFiles({}),
    'native/trainer/build/Release/trainer.json': '{ "platform": "plan9-mips" }',
  });
  assert.throws(() => trainer(root), /: it was built for plan9-mips, this is \S+: mend it with/);
});

test('does not load a trainer whose libtorch is gone or is another version now', () => {
  const libtorch = fakePackage('torch', { 'version.py': "__version__ = '2.12.1+cpu'\n" });
  const other = { version: '2.13.0+cpu', cuda: false, path: libtorch };
  assert.throws(
    () => trainer(fakePackage('other', trainerFiles(other))),
    /: it was built against libtorch 2\.13\.0\+cpu in \S+torch, and that is version 2\.12\.1\+cpu now: mend/,
  );
  const gone = { version: '2.13.0+cpu', cuda: false, path: join(directory, 'gone') };
  assert.throws(
    () => trainer(fakePackage('gone-too', trainerFiles(gone))),
    /: it was built against libtorch 2\.13\.0\+cpu in \S+gone, and that is gone: mend it with/,
  );
});

test('loads a trainer whose libtorch is as it was', () => {
  const libtorch = fakePackage('right', { 'build-version': '2.13.0+cpu\n' });
  const root = fakePackage(
    'fitting',
    trainerFiles({ version: '2.13.0+cpu', cuda: false, path: libtorch }),
  );
  assert.throws(() => trainer(root), /^cannot load trainer\.node: .*(too short|invalid)/);
});

test('reads the version of a Python package and of an archive of libtorch', () => {
  const files = {
    'wheel/version.py': "from typing import Optional\n\n__version__ = '2.13.0+cu130'\n",
    'archive/build-version': '2.11.0+cpu\n',
    'neither/lib/libtorch.so': '',
  };
  const root = fakePackage('versions', files);
  assert.is(libtorchVersion(join(root, 'wheel')), '2.13.0+cu130');
  assert.is(libtorchVersion(join(root, 'archive')), '2.11.0+cpu');
  assert.is(libtorchVersion(join(root, 'neither')), undefined);
});

test('names a shared library that is missing, and where it comes from', () => {
  const libtorch = { version: '2.13.0+cu130', cuda: true, path: directory };
  const path = addonPath(fakePackage('cuda', trainerFiles(libtorch)), 'trainer');
  const messageOf = (text: string) => loadError(path, new Error(text)).message;
  const noFile = 'cannot open shared object file: No such file or directory';
  assert.is(
    messageOf(`libtorch_cpu.so: ${noFile}`),
    'cannot load trainer.node: the library libtorch_cpu.so was not found: mend it with `npm run build`',
  );
  assert.is(
    messageOf(`libcublasLt.so.13: ${noFile}`),
    'cannot load trainer.node: the library libcublasLt.so.13, a part of CUDA that comes with torch, ' +
      'was not found: mend it with `python3 -m pip install torch==2.13.0`',
  );
  assert.match(
    messageOf('Error loading shared library ld-linux-x86-64.so.2: No such file or directory'),
    /libtorch needs glibc and this system has musl/,
  );
  assert.match(messageOf('undefined symbol: _ZN2at4_ops'), /undefined symbol.*: mend it with `npm/);
});

test('loads the addons that were built', () => {
  if (existsSync(addonPath(packageRoot, 'kernels'))) assert.type(kernels(), 'object');
  if (existsSync(addonPath(packageRoot, 'trainer'))) assert.type(trainer(), 'object');
});

test.run();
