import { mkdir } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import type { Audit } from '../audit/index.ts';
import type { Example } from '../data/examples.ts';
import { dataFile } from './data_file.ts';
import { count, share } from './flags.ts';

interface Options {
  out?: string;
  minRows?: number;
  falsePositiveRate: number;
  json?: true;
}

export function define(command: Command): void {
  command
    .argument('<file>', 'examples: .jsonl, .csv or .parquet, also .gz')
    .option('--out <directory>', 'where ranked rows, a cleaned copy and SARIF go')
    .option(
      '--min-rows <number>',
      'rarer triggers are not looked for (default: 8, or one row in 20,000)',
      count,
    )
    .option('--false-positive-rate <share>', 'of chance alone, above 0', share, 0.01)
    .action(async (given: string, { json, out, ...options }: Options) => {
      const input = await dataFile(given);
      const { audit } = await import('../audit/index.ts');
      const { readExamples } = await import('../data/examples.ts');
      const { auditText } = await import('../report/index.ts');
      const examples = await readExamples(input);
      const result = await audit(examples, options);
      const files = out === undefined ? {} : await write(out, input, examples, result);
      if (json) {
        process.stdout.write(`${JSON.stringify({ input, ...files, ...result }, null, 2)}\n`);
      } else {
        const beside = Object.values(files).map((path) => `\n${path}`);
        process.stdout.write(
          `${auditText(result)}\n${beside.join('')}${beside.length ? '\n' : ''}`,
        );
      }
    });
}

async function write(out: string, input: string, examples: Example[], result: Audit) {
  const { sarif } = await import('../audit/index.ts');
  const { streamWithLines, writeExamples } = await import('../data/examples.ts');
  const { writeWhole } = await import('../data/files.ts');
  const ending = /\.[^./\\]+(\.gz)?$/i.exec(input)![0];
  const files = {
    clean: join(out, `clean${ending}`),
    suspects: join(out, 'suspects.jsonl'),
    sarif: join(out, 'audit.sarif'),
  };
  const rows = new Set(result.suspects.map(({ row }) => row));
  const ranked = result.suspects.map((suspect) => {
    const { prompt, completion } = examples[suspect.row - 1]!;
    return { ...suspect, prompt, completion };
  });
  const lines: number[] = [];
  for await (const { line } of streamWithLines(input)) lines.push(line);
  const log = sarif(result, uriOf(input), ({ row }) => lines[row - 1]!);

  await mkdir(out, { recursive: true });
  const kept = examples.filter((_, i) => !rows.has(i + 1));
  await writeExamples(files.clean, kept, { input });
  await writeExamples(files.suspects, ranked, { input });
  await writeWhole(files.sarif, `${JSON.stringify(log, null, 2)}\n`);
  return files;
}

const uriOf = (path: string) =>
  isAbsolute(path)
    ? pathToFileURL(path).href
    : path.split(/[\\/]/).map(encodeURIComponent).join('/');
