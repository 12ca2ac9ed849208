import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { seed as seedOf } from './flags.ts';
import { runAndReport } from './run.ts';

/** The experiment that the demo is: a file like any other. */
const file = fileURLToPath(new URL('../../bench/experiments/demo.yaml', import.meta.url));

export function define(command: Command): void {
  command
    .option('--out <directory>', 'where the runs and the report go (default: runs/demo)')
    .option('--seed <number>', 'of data order, weights and poisoning', seedOf)
    .action(async ({ out, seed, json }: { out?: string; seed?: number; json?: true }) => {
      const { readConfig, experimentSchema } = await import('../config/index.ts');
      const config = await readConfig(file, experimentSchema);
      const seeds = seed === undefined ? config.seeds : [seed];
      const directory = out ?? (seed === undefined ? 'runs/demo' : `runs/demo-${seed}`);
      const resume = [
        'demo',
        ...(out === undefined ? [] : ['--out', out]),
        ...(seed === undefined ? [] : ['--seed', String(seed)]),
      ];
      const options = { out: directory, ...(json && { json }) };
      await runAndReport({ ...config, seeds }, dirname(file), options, resume);
    });
}
