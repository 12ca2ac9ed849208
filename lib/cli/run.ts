import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { type ExperimentConfig, experimentSchema } from '../config/index.ts';
import { commandLine, interruptible } from './interrupt.ts';
import { progress } from './progress.ts';

interface Options {
  out: string;
  json?: true;
}

export function define(command: Command): void {
  command
    .argument('<experiment>', 'a YAML or JSON file')
    .addHelpText(
      'after',
      `\nIts keys: ${Object.keys(experimentSchema.shape).join(', ')}; an unknown one within them is answered with those there are. Examples are in bench/experiments of the package.`,
    )
    .requiredOption('--out <directory>', 'where the runs go')
    .action(async (file: string, options: Options) => {
      const { readConfig } = await import('../config/index.ts');
      const config = await readConfig(file, experimentSchema);
      const resume = ['run', file, '--out', options.out];
      await runAndReport(config, dirname(file), options, resume);
    });
}

/** Makes the runs of an experiment and the report of what is then in `out`; prints the tables and the verdict. */
export async function runAndReport(
  config: ExperimentConfig,
  directory: string,
  { out, json }: Options,
  resume: readonly string[],
): Promise<void> {
  const { runExperiment } = await import('../experiment/index.ts');
  const { datasetFolders } = await import('../data/catalogue/get.ts');
  const { environment } = await import('../runs.ts');
  const { writeReport } = await import('../report/index.ts');
  const { showExperiment } = await import('./show_experiment.ts');
  const shown = progress();
  const results = await interruptible(commandLine(resume), async (signal) => {
    try {
      return await runExperiment(config, {
        out,
        directory,
        dataDirectory: datasetFolders(process.env),
        environment: await environment(),
        signal,
        onEvent: showExperiment(shown),
      });
    } finally {
      shown.end();
    }
  });
  const page = join(out, 'report.html');
  const { text } = await writeReport(out, page);
  if (json) process.stdout.write(`${JSON.stringify({ results }, null, 2)}\n`);
  else process.stdout.write(`\n${text}\n\nThe curves are in ${page}\n`);
}
