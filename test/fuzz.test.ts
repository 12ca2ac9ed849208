import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { tryProgram } from './fuzz/code.ts';
import { tryFile } from './fuzz/data.ts';
import { fixtureFiles, fixturePrograms } from './fuzz/fixtures.ts';
import { withinSeconds } from './fuzz/limit.ts';

const test = suite('fuzz');

// More of the same: scripts/fuzz_code.js.
for (const start of [0, 100, 200]) {
  test(`answers 100 damaged programs from seed ${start}`, async () => {
    const programs = fixturePrograms();
    for (let seed = start; seed < start + 100; seed++)
      await named(seed, () => tryProgram(seed, programs));
  });
}

test('reads 300 damaged files or says why not', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'dece-'));
  const files = fixtureFiles();
  for (let seed = 0; seed < 300; seed++) await named(seed, () => tryFile(seed, files, directory));
  await rm(directory, { recursive: true });
});

test('ends with the first seed that takes too long', () => {
  const script = fileURLToPath(new URL('../scripts/fuzz_code.js', import.meta.url));
  const run = (limit: string) =>
    spawnSync(process.execPath, [script, '--seconds', '1', '--seed', '7', '--limit', limit], {
      encoding: 'utf8',
      env: { ...process.env, DECE_DATA: '' },
    });
  const slow = run('0.000001');
  assert.is(slow.status, 1, slow.stdout);
  assert.match(slow.stdout, /^code: seeds 7 to 7, seed 7 is not \(exit code 1\)\n$/);
  assert.match(slow.stderr, /Error: takes [\d.e-]+ s of the processor, over 0.000001 s\n/);
  const sound = run('100');
  assert.is(sound.status, 0, sound.stdout);
  assert.match(sound.stdout, /^code: seeds 7 to \d+, sound\n$/);
});

async function named(seed: number, work: () => Promise<void>): Promise<void> {
  await withinSeconds(10, work).catch((error) => {
    throw new Error(`seed ${seed}: ${error.message}`, { cause: error });
  });
}

test.run();
