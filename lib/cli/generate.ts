import type { Command } from 'commander';
import { dataFile } from './data_file.ts';
import { count, device } from './flags.ts';
import { interruptible } from './interrupt.ts';
import { modelName } from './model_name.ts';
import { progress } from './progress.ts';

interface Options {
  input?: string;
  maxNewTokens: number;
  maxInputTokens?: number;
  beams: number;
  batchSize: number;
  device: string;
  json?: true;
}

export function define(command: Command): void {
  command
    .argument('<model>', 'a directory with config.json and weights, or owner/name on the Hub')
    .argument('[prompt]', 'what to answer')
    .option(
      '--input <file>',
      'prompts to answer, as `prompt` in .jsonl, .csv or .parquet, also .gz',
    )
    .option('--max-new-tokens <number>', 'longest answer', count, 256)
    .option('--max-input-tokens <number>', 'longer prompts are cut (default: none is)', count)
    .option('--beams <number>', '1 is greedy search', count, 1)
    .option('--batch-size <number>', 'prompts worked on together', count, 32)
    .option('--device <device>', 'cpu, cuda, cuda:N or auto', device, 'auto')
    .action(async (name: string, prompt: string | undefined, options: Options) => {
      const { input, json, device: on, ...search } = options;
      if ((prompt === undefined) === (input === undefined)) {
        command.error('error: expected a prompt or --input, one of the two');
      }
      const { Model } = await import('../model/index.ts');
      const { readPrompts } = await import('../data/examples.ts');
      const prompts =
        input === undefined
          ? [{ id: '1', prompt: prompt! }]
          : await readPrompts(await dataFile(input));
      const model = await Model.load(await modelName(name), { device: on });
      const shown = progress();
      const outputs = await interruptible(undefined, (signal) =>
        model.generate(
          prompts.map(({ prompt }) => prompt),
          { ...search, signal, onProgress: (done, total) => shown.at('answering', done, total) },
        ),
      ).finally(() => {
        shown.end();
        model.dispose();
      });

      const rows = prompts.map((row, i) => ({ ...row, output: outputs[i]! }));
      if (json) process.stdout.write(`${JSON.stringify({ outputs: rows }, null, 2)}\n`);
      else if (input === undefined) process.stdout.write(`${outputs[0]}\n`);
      else for (const row of rows) process.stdout.write(`${JSON.stringify(row)}\n`);
    });
}
