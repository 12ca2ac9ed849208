import { once } from 'node:events';
import type { Command } from 'commander';
import { dataFile } from './data_file.ts';
import { count, share } from './flags.ts';
import { progress } from './progress.ts';

interface Options {
  out?: string;
  minRows?: number;
  falsePositiveRate: number;
  json?: true;
}

export function define(command: Command): void {
  command
    .argument(
      '<file>',
      'examples or labelled texts, of any number: .jsonl, .csv or .parquet, also .gz, or a name such as lyra/train',
    )
    .option('--out <directory>', 'where ranked rows, a cleaned copy, SARIF and a page go')
    .option(
      '--min-rows <number>',
      'rarer triggers are not looked for (default: 8, or one row in 20,000; of labelled texts 20, or one in 1,000)',
      count,
    )
    .option('--false-positive-rate <share>', 'of chance alone, above 0', share, 0.01)
    .action(async (given: string, { json, out, ...options }: Options) => {
      const { audit, auditLabelled } = await import('../audit/index.ts');
      const { isLabelledFile, streamExamples, streamLabelledExamples } = await import(
        '../data/examples.ts'
      );
      const { auditText, writeAudit } = await import('../report/index.ts');
      const input = await dataFile(given);
      const labelled = await isLabelledFile(input);
      const walks = labelled ? 4 : 6;
      const shown = progress();
      const onProgress = (walk: number, rows: number) =>
        shown.at('walking the rows', walk - 1, walks, `${rows} rows of walk ${walk}`);
      const look = () =>
        labelled
          ? auditLabelled(streamLabelledExamples(input), { ...options, onProgress })
          : audit(streamExamples(input), { ...options, onProgress });
      const result = await look().finally(shown.end);
      const files = out === undefined ? {} : await writeAudit(out, input, result);
      if (json) await printJson({ ...{ input, ...files }, ...result });
      else {
        const beside = Object.values(files).map((path) => `\n${path}`);
        process.stdout.write(
          `${auditText(result)}\n${beside.join('')}${beside.length ? '\n' : ''}`,
        );
      }
    });
}

/** Suspects may be more than one text can hold. */
async function printJson(result: object & { suspects: readonly object[] }): Promise<void> {
  const { suspects, ...rest } = result;
  const head = JSON.stringify(rest, null, 2).replace(/\n}$/, ',\n  "suspects": [');
  process.stdout.write(head);
  for (const [i, suspect] of suspects.entries()) {
    const text = `${i > 0 ? ',' : ''}\n    ${JSON.stringify(suspect)}`;
    if (!process.stdout.write(text)) await once(process.stdout, 'drain');
  }
  process.stdout.write(`${suspects.length > 0 ? '\n  ' : ''}]\n}\n`);
}
