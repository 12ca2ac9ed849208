import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { tryProgram } from './fuzz/code.ts';
import { tryFile } from './fuzz/data.ts';
import { fixtureFiles, fixturePrograms } from './fuzz/fixtures.ts';

const test = suite('fuzz');

// More of the same: scripts/fuzz_code.js.
for (const start of [0, 100, 200]) {
  test(`answers 100 damaged programs from seed ${start}`, async () => {
    const programs = fixturePrograms();
    for (let seed = start; seed < start + 100; seed++)
      await named(seed, tryProgram(seed, programs));
  });
}

test('reads 300 damaged files or says why not', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'dece-'));
  const files = fixtureFiles();
  for (let seed = 0; seed < 300; seed++) await named(seed, tryFile(seed, files, directory));
  await rm(directory, { recursive: true });
});

async function named(seed: number, work: Promise<void>): Promise<void> {
  const started = performance.now();
  await work.catch((error) => {
    throw new Error(`seed ${seed}: ${error.message}`, { cause: error });
  });
  assert.ok(performance.now() - started < 10_000, `seed ${seed} takes over ten seconds`);
}

test.run();
