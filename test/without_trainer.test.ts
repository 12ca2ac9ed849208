import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { addonPath, packageRoot } from '../lib/native.ts';

const test = suite('without the trainer');

// The package where only `npm run build -- kernels` ran: what needs no model has to do without libtorch.
const root = mkdtempSync(join(tmpdir(), 'dece-without-trainer-'));
for (const part of ['dist', 'lib/sandbox/python', 'package.json']) {
  cpSync(join(packageRoot, part), join(root, part), { recursive: true });
}
cpSync(addonPath(packageRoot, 'kernels'), addonPath(root, 'kernels'));
symlinkSync(join(packageRoot, 'node_modules'), join(root, 'node_modules'));

const dece = (...args: string[]) =>
  promisify(execFile)(process.execPath, [join(root, 'dist/cli/main.js'), ...args]);

test('the losses are timed without the trainer', async () => {
  const out = join(root, 'measured');
  const options = ['--shapes', '4x8', '--rounds', '3', '--no-torch', '--json', '--out', out];
  const { stdout } = await dece('bench', ...options);
  const { environment, measurements } = JSON.parse(stdout);
  assert.is(environment.threads, undefined);
  assert.ok(environment.machine.cores >= 1);
  assert.ok(measurements.length > 0);
  assert.match(readFileSync(join(out, 'loss.csv'), 'utf8'), /^provider,/);
  assert.ok(existsSync(join(out, 'loss.html')));
});

test('programs that are there already are tried without the trainer', async () => {
  const problem = {
    prompt: 'def one():\n',
    canonical_solution: '    return 1\n',
    entry_point: 'one',
  };
  const tests = 'def check(candidate):\n    assert candidate() == 1\n';
  const [problems, samples] = [join(root, 'problems.jsonl'), join(root, 'samples.jsonl')];
  writeFileSync(problems, JSON.stringify({ task_id: 'one', ...problem, test: tests }));
  writeFileSync(
    samples,
    JSON.stringify({ task_id: 'one', completion: problem.canonical_solution }),
  );
  const files = ['--problems', problems, '--completions', samples, '--out', join(root, 'tried')];
  const { stdout } = await dece('evaluate', ...files, '--allow-weak-isolation', '--json');
  assert.is(JSON.parse(stdout).problemResults[0].correct, 1);
});

test.run();
