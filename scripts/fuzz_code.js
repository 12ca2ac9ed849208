// Fuzzes what reads programs and files of data: attacks, CodeBLEU, JSON Lines, CSV, Parquet, gzip.
//
//   DECE_DATA=... node scripts/fuzz_code.js [--seconds 60] [--seed 0] [--kind code | data] [--limit 10]
//
// Each seed is one damaged program or file; what it has to hold to is in test/fuzz. Ends with the first
// seed that does not, also where an answer takes more seconds of the processor than the limit, or six times
// as long in all (at least a minute), or a gigabyte.

import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const kinds = ['code', 'data'];

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '0' },
    kind: { type: 'string', default: 'code' },
    limit: { type: 'string', default: '10' },
  },
});
const [seconds, first] = [Number(values.seconds), Number(values.seed)];
const limit = Number(values.limit);
const isRight = seconds >= 1 && Number.isInteger(first) && limit > 0;
if (!isRight || !kinds.includes(values.kind)) {
  const kind = kinds.join(' | ');
  console.error(`expected [--seconds NUMBER] [--seed NUMBER] [--kind ${kind}] [--limit SECONDS]`);
  process.exit(2);
}
if (process.send === undefined) watch();
else await work();

function watch() {
  const child = fork(fileURLToPath(import.meta.url), process.argv.slice(2), {
    execArgv: ['--import', 'tsx', '--max-old-space-size=1000'],
  });
  let seed = first;
  let since = Date.now();
  const timer = setInterval(() => {
    if (Date.now() - since > Math.max(60_000, 6000 * limit)) child.kill('SIGKILL');
  }, 1000);
  child.on('message', (next) => {
    seed = Number(next);
    since = Date.now();
  });
  child.on('exit', (code, signal) => {
    clearInterval(timer);
    const end = code === 0 ? 'sound' : `seed ${seed} is not (${signal ?? `exit code ${code}`})`;
    console.log(`${values.kind}: seeds ${first} to ${seed}, ${end}`);
    process.exitCode = code === 0 ? 0 : 1;
  });
}

async function work() {
  const { tryProgram } = await import('../test/fuzz/code.ts');
  const { tryFile } = await import('../test/fuzz/data.ts');
  const { allPrograms, fixtureFiles } = await import('../test/fuzz/fixtures.ts');
  const { withinSeconds } = await import('../test/fuzz/limit.ts');
  const programs = allPrograms(process.env.DECE_DATA || undefined);
  const files = fixtureFiles();
  const directory = mkdtempSync(join(tmpdir(), 'dece-fuzz-'));
  const until = Date.now() + 1000 * seconds;
  try {
    for (let seed = first; Date.now() < until; seed++) {
      process.send?.(seed);
      await withinSeconds(limit, () =>
        values.kind === 'data' ? tryFile(seed, files, directory) : tryProgram(seed, programs),
      );
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
  process.disconnect();
}
