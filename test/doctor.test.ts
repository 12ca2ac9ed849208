import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type DoctorReport, doctor } from '../lib/doctor.ts';
import { packageRoot } from '../lib/native.ts';
import { notHere } from './sandbox/there.ts';

const test = suite('doctor');
const directory = mkdtempSync(join(tmpdir(), 'dece-doctor-'));
test.after(() => rmSync(directory, { recursive: true }));

/** A package in which nothing was built. */
function emptyPackage(name: string, node?: string): string {
  const root = join(directory, name);
  mkdirSync(root);
  cpSync(join(packageRoot, 'package.json'), join(root, 'package.json'));
  if (node !== undefined) {
    const text = JSON.stringify({ version: '0.0.0', engines: { node } });
    writeFileSync(join(root, 'package.json'), text);
  }
  return root;
}

const finding = ({ findings }: DoctorReport, name: string) =>
  findings.find((each) => each.name === name);

const DECE_CACHE = join(directory, 'cache');

test('misses what is not built and not installed, and says what gets each', async () => {
  const root = emptyPackage('nothing');
  const report = await doctor({ env: { PATH: directory, DECE_CACHE, CXX: 'none' }, root });
  assert.not(report.ok);
  assert.equal(finding(report, 'kernels'), {
    name: 'kernels',
    state: 'missing',
    detail: 'cannot load kernels.node: it has not been built',
    command: 'npm run build -- kernels',
  });
  assert.is(finding(report, 'trainer')?.state, 'missing');
  for (const name of ['c++', 'make', 'cmake', 'python3']) {
    assert.is(finding(report, name)?.state, 'missing', name);
    assert.ok(finding(report, name)?.command, name);
  }
  const libtorch = finding(report, 'libtorch');
  assert.is(libtorch?.state, 'missing');
  assert.match(libtorch!.detail, /LIBTORCH: not set; cache: .*; python3: not found/);
  assert.equal(report.environment, { DECE_CACHE, CXX: 'none' });
});

test('says what holds programs, which is needed for pass@k only', async () => {
  const report = await doctor({ env: process.env });
  const { state, detail } = finding(report, 'sandbox')!;
  if (notHere === undefined) {
    assert.is(state, 'found');
    assert.match(detail, /^(namespaces|bubblewrap), Landlock (\d|missing), system calls filtered$/);
  } else {
    assert.equal([state, detail], ['not needed', notHere]);
  }
});

test('neither builds nor downloads', () => {
  assert.equal(readdirSync(join(directory, 'nothing')), ['package.json']);
  assert.equal(readdirSync(directory), ['nothing']);
});

test('says what is wrong with LIBTORCH and how to do without', async () => {
  const env = { ...process.env, LIBTORCH: join(directory, 'nowhere') };
  const libtorch = finding(await doctor({ env, root: emptyPackage('libtorch') }), 'libtorch');
  assert.is(libtorch?.state, 'missing');
  assert.match(libtorch!.detail, /^LIBTORCH is ".*nowhere": there is no such directory$/);
  assert.is(libtorch!.command, 'env -u LIBTORCH npm run build');
});

test('compares Node with what the package asks for', async () => {
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
  const ranges: [string, boolean][] = [
    [`^${major}.${minor}.0`, true],
    [`^${major}.${minor + 1}.0`, false],
    [`^${major + 1}.0.0`, false],
    [`>=${major - 1}.99.0`, true],
    [`^${major - 1}.0.0`, false],
    [`^${major - 1}.0.0 || >=${major}.0.0`, true],
  ];
  for (const [i, [range, fits]] of ranges.entries()) {
    const root = emptyPackage(`node-${i}`, range);
    const node = finding(await doctor({ env: {}, root }), 'node');
    assert.is(node?.state, fits ? 'found' : 'missing', range);
  }
});

test('tells this machine: text for a person, JSON for an issue, exit code 1 where something is missing', () => {
  const dece = (...args: string[]) => {
    const command = ['--import', 'tsx', join(packageRoot, 'lib/cli/main.ts'), 'doctor', ...args];
    return spawnSync(process.execPath, command, { cwd: packageRoot, encoding: 'utf8' });
  };
  const json = dece('--json');
  const report = JSON.parse(json.stdout) as DoctorReport;
  assert.is(json.status, report.ok ? 0 : 1, json.stderr);
  assert.is(finding(report, 'node')?.detail, process.version);

  const text = dece();
  assert.is(text.status, json.status);
  for (const { name, state } of report.findings) {
    const mark = { found: '✓', missing: '✗', 'not needed': '·' }[state];
    assert.ok(text.stdout.includes(`\n${mark} ${name} `), `${mark} ${name}`);
  }
});

test.run();
