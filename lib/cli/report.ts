import { join } from 'node:path';
import type { Command } from 'commander';

export function define(command: Command): void {
  command
    .argument('<directory>', 'with runs in it, or a run')
    .option('--out <file>', 'the HTML file (default: report.html in the directory)')
    .action(async (directory: string, { out, json }: { out?: string; json?: true }) => {
      const { writeReport } = await import('../report/index.ts');
      const page = out ?? join(directory, 'report.html');
      const { text, results, left } = await writeReport(directory, page);
      if (left.length > 0) {
        process.stderr.write(
          `not in the report, as their data is not poisoned: ${left.join(', ')}\n`,
        );
      }
      if (json) process.stdout.write(`${JSON.stringify({ results }, null, 2)}\n`);
      else process.stdout.write(`${text}\n\nThe curves are in ${page}\n`);
    });
}
