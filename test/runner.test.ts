import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { packageRoot } from '../lib/native.ts';

// scripts/test.js on test files that go wrong in the ways that uvu by itself lets pass.

const test = suite('runner');
const directory = mkdtempSync(join(tmpdir(), 'dece-runner-'));
test.after(() => rmSync(directory, { recursive: true }));

const head = "import { suite } from 'uvu';\nconst test = suite('a');\n";
let count = 0;

/** Runs the test files given by name and text; `head` goes before each text. */
function run(files: Record<string, string>, ...args: string[]): { code: number; output: string } {
  const root = join(directory, `${count++}`);
  mkdirSync(join(root, 'test'), { recursive: true });
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }');
  symlinkSync(join(packageRoot, 'node_modules'), join(root, 'node_modules'));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(root, 'test', name), `${head}${text}\n`);
  }
  const command = [join(packageRoot, 'scripts/test.js'), '--root', root, ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8' });
  return { code: status ?? -1, output: stdout + stderr };
}

/** Runs one file that must fail with `problem`. */
function fails(text: string, problem: RegExp, ...args: string[]): void {
  const { code, output } = run({ 'bad.test.ts': text }, ...args);
  assert.is(code, 1, output);
  assert.match(output, problem);
  assert.match(output, /\n\d+ passed, [1-9]\d* failed(, \d+ skipped)?\n$/);
}

test('adds up the files, and gives the reason of what is skipped', () => {
  const { code, output } = run({
    'one.test.ts': "test('a', () => {});\ntest('b', () => {});\ntest.run();",
    'two.test.ts': "test('c', () => {});\ntest.skip('the moon: it is day');\ntest.run();",
    'three.serial.test.ts': "test('d', () => {});\ntest.run();",
    'helper.ts': 'throw new Error("is no test");',
  });
  assert.is(code, 0, output);
  assert.match(
    output,
    /✓ test\/two\.test\.ts: 1 passed, 1 skipped \(\S+ s\)\n {2}skipped: the moon: it is day\n/,
  );
  assert.match(
    output,
    /✓ test\/three\.serial\.test\.ts: 1 passed \(\S+ s\)\n\n4 passed, 0 failed, 1 skipped\n$/,
  );
});

test('runs the files that a filter names, and fails where it names none', () => {
  const files = {
    'one.test.ts': "test('a', () => {});\ntest.run();",
    'two.test.ts': "test('b', () => { throw new Error('not asked for'); });\ntest.run();",
  };
  assert.match(run(files, 'one').output, /\n1 passed, 0 failed\n$/);
  const none = run(files, 'three');
  assert.is(none.code, 1);
  assert.match(none.output, /^no test file has three in its path$/m);
});

test('shows what a failing test says', () => {
  const { code, output } = run({
    'bad.test.ts':
      "test('a', () => {});\ntest('b', () => { throw new Error('why'); });\ntest.run();",
  });
  assert.is(code, 1);
  assert.match(
    output,
    /FAIL[\s\S]*"b"[\s\S]*why[\s\S]*✗ test\/bad\.test\.ts: 1 passed, 1 failed \(\S+ s\)\n\n1 passed, 1 failed\n$/,
  );
});

test('fails on a forgotten run()', () => {
  fails("test('a', () => {});", /ended before its tests did\n {2}a run\(\) is missing/);
  fails(
    "const other = suite('b');\ntest('a', () => {});\nother('b', () => {});\ntest.run();",
    /1 passed, 1 failed[^\n]*\n {2}a run\(\) is missing/,
  );
});

test('fails on a file without tests', () => {
  fails('test.run();', /ran no test/);
});

test('fails on an only() that was left in', () => {
  fails("test('a', () => {});\ntest.only('b', () => {});\ntest.run();", /an only\(\) keeps/);
});

test('fails on a promise that nothing will settle', () => {
  fails("test('a', () => new Promise(() => {}));\ntest.run();", /ended with exit code 1/);
});

test('fails on a hook that throws, which uvu swallows', () => {
  fails(
    "test.before(() => { throw new Error('no'); });\ntest('a', () => {});\ntest.run();",
    /0 passed, 1 failed/,
  );
});

test('fails on a crash', () => {
  fails("test('a', () => process.kill(process.pid, 'SIGSEGV'));\ntest.run();", /died of SIGSEGV/);
  fails(
    "test('a', () => {});\ntest.run();\nprocess.on('exit', () => { process.exitCode = 7; });",
    /1 passed, 1 failed[^\n]*\n {2}ended with exit code 7/,
  );
});

test('ends what hangs, with all that it started', () => {
  const started = performance.now();
  fails(
    "import { spawn } from 'node:child_process';\nspawn('sleep', ['60'], { stdio: 'inherit' });\n" +
      "test('a', () => new Promise((resolve) => setTimeout(resolve, 60_000)));\ntest.run();",
    /hangs: ended after 2 s/,
    '--timeout',
    '2',
  );
  assert.ok(performance.now() - started < 20_000);
});

test('gives each file an empty temporary directory and removes it', () => {
  const { output } = run({
    'dir.test.ts':
      "import { writeFileSync, readdirSync } from 'node:fs';\nimport { tmpdir } from 'node:os';\n" +
      "test('a', () => {\n  if (readdirSync(tmpdir()).some((name) => !name.startsWith('tsx'))) throw new Error('not empty');\n" +
      "  writeFileSync(tmpdir() + '/left', '');\n  throw new Error('in ' + tmpdir() + ' here');\n});\ntest.run();",
  });
  const [, path] = /in (\S+) here/.exec(output) ?? [];
  assert.ok(path, output);
  assert.not(spawnSync('ls', [path]).status === 0, path);
});

test.run();
