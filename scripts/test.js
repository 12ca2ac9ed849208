// Runs the tests: each file of test/**/*.test.ts in a process of its own, two at a time.
//
//   node scripts/test.js [FILTER ...] [--serial] [--timeout SECONDS]
//
// A filter is a part of a path. Files called NAME.serial.test.ts measure time, and run one by one when
// the others are done. A file fails that ends before its tests do, runs none, forgets a run(), leaves an
// only(), crashes or hangs; uvu alone would let most of that pass. Each file gets an empty folder as its
// temporary directory, which is removed afterwards.

import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, stripVTControlCharacters } from 'node:util';

/**
 * @typedef {{ passed: number, failed: number, skipped: number }} Counts
 * @typedef {Counts & { problems: string[] }} Result
 */

// From the last test's end to the process's end: then something holds it open.
const graceMs = 10_000;

const root = fileURLToPath(new URL('..', import.meta.url));
const { values, positionals: filters } = parseArgs({
  allowPositionals: true,
  options: {
    serial: { type: 'boolean', default: false },
    timeout: { type: 'string', default: '300' },
    root: { type: 'string', default: root },
  },
});
const timeoutMs = 1000 * Number(values.timeout);
const isSerial = (/** @type {string} */ file) => values.serial || file.includes('.serial.');

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
  process.on(signal, () => {
    for (const child of running) kill(child);
    process.exit(signal === 'SIGINT' ? 130 : 143);
  });
}

await main();

async function main() {
  const files = readdirSync(join(values.root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => join('test', file))
    .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)))
    .sort();
  if (files.length === 0) {
    console.error(`no test file has ${filters.join(' or ') || '.test.ts'} in its path`);
    process.exitCode = 1;
    return;
  }

  /** @type {Counts} */
  const total = { passed: 0, failed: 0, skipped: 0 };
  const together = files.filter((file) => !isSerial(file));
  const work = async () => {
    for (let file = together.shift(); file !== undefined; file = together.shift()) {
      add(total, await test(file));
    }
  };
  await Promise.all([work(), work()]);
  for (const file of files.filter(isSerial)) add(total, await test(file));

  const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
  console.log(`\n${total.passed} passed, ${total.failed} failed${skipped}`);
  process.exitCode = total.failed > 0 ? 1 : 0;
}

/**
 * @param {Counts} total
 * @param {Counts} counts
 */
function add(total, { passed, failed, skipped }) {
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
}

/**
 * @param {string} file
 * @returns {Promise<Result>}
 */
async function test(file) {
  const directory = mkdtempSync(join(tmpdir(), 'dece-test-'));
  const started = performance.now();
  const { output, end } = await run(file, directory);
  rmSync(directory, { recursive: true, force: true });
  const result = judge(file, output, end);

  const { passed, failed, skipped, problems } = result;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const counts = [
    `${passed} passed`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
  ].join(', ');
  if (failed > 0) process.stdout.write(`\n${output.trimEnd()}\n`);
  console.log(`${failed > 0 ? '✗' : '✓'} ${file}: ${counts} (${seconds} s)`);
  for (const problem of problems) console.log(`  ${problem}`);
  if (skipped > 0) for (const reason of reasons(file)) console.log(`  skipped: ${reason}`);
  return result;
}

/**
 * @param {string} file
 * @param {string} directory its temporary directory
 * @returns {Promise<{ output: string, end: string | undefined }>} `end`: how it ended, if not well
 */
function run(file, directory) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--import', 'tsx', join(values.root, file)], {
      cwd: root,
      detached: true, // a group of its own, so that what it starts ends with it
      stdio: ['ignore', 'pipe', 'pipe'],
      // One thread each: two files run at a time, and libtorch's teams of threads suffer from neighbours.
      env: { OMP_NUM_THREADS: '1', ...process.env, TMPDIR: directory },
    });
    running.add(child);
    let output = '';
    /** @type {string | undefined} */
    let end;
    const stop = (/** @type {string} */ why) => {
      end = why;
      kill(child);
    };
    const watchdog = setTimeout(() => stop(`hangs: ended after ${values.timeout} s`), timeoutMs);
    /** @type {NodeJS.Timeout | undefined} */
    let grace;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
        output += text;
        if (grace === undefined && /^ {2}Duration: /m.test(stripVTControlCharacters(output))) {
          grace = setTimeout(
            () => stop(`does not end: something holds it open ${graceMs / 1000} s after its tests`),
            graceMs,
          );
        }
      });
    }
    child.on('exit', (code, signal) => {
      if (code !== 0) end ??= signal ? `died of ${signal}` : `ended with exit code ${code}`;
      kill(child); // what it has started and left behind
    });
    child.on('close', () => {
      clearTimeout(watchdog);
      clearTimeout(grace);
      running.delete(child);
      resolve({ output, end });
    });
  });
}

/** @param {import('node:child_process').ChildProcess} child */
function kill(child) {
  try {
    process.kill(-(/** @type {number} */ (child.pid)), 'SIGKILL');
  } catch {
    // Nothing of the group is left.
  }
}

/**
 * @param {string} file
 * @param {string} output
 * @param {string | undefined} end
 * @returns {Result}
 */
function judge(file, output, end) {
  const count = (/** @type {string} */ word) => {
    const numbers = [
      ...stripVTControlCharacters(output).matchAll(RegExp(`^  ${word}: +(\\d+)$`, 'gm')),
    ];
    return numbers.length > 0 ? Number(numbers.at(-1)?.[1]) : undefined;
  };
  const total = count('Total');
  const passed = count('Passed') ?? 0;
  const skipped = count('Skipped') ?? 0;
  const source = readFileSync(join(values.root, file), 'utf8');
  const suites = source.match(/\bsuite\(/g)?.length ?? 0;
  const runs = source.match(/\.run\(\)/g)?.length ?? 0;

  const problems = [];
  const failed = (total ?? 0) - passed;
  // A test that failed makes the exit code: it is one problem, not two.
  if (end !== undefined && !(failed > 0 && end === 'ended with exit code 1')) problems.push(end);
  if (total === undefined && end === undefined) problems.push('ended before its tests did');
  if (total === 0 && skipped === 0) problems.push('ran no test');
  if (runs < suites || runs === 0) problems.push('a run() is missing');
  const isOnly = /^\s*\w+\.only\(/m.test(source);
  if (isOnly) problems.push('an only() keeps the other tests from running');
  return { passed, failed: failed + problems.length, skipped, problems };
}

/**
 * The sentences that a file gives to skip(), which uvu does not print.
 *
 * @param {string} file
 */
function reasons(file) {
  const source = readFileSync(join(values.root, file), 'utf8');
  return [...source.matchAll(/\.skip\(\s*(['"`])(.*?)\1/gs)].map(([, , reason]) => reason);
}
