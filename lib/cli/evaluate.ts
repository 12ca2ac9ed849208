import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { type Language, languages } from '../code/languages.ts';
import type { JudgeName } from '../metrics/index.ts';
import { dataFile } from './data_file.ts';
import { count, device } from './flags.ts';
import { interruptible } from './interrupt.ts';
import { progress } from './progress.ts';

interface Options {
  clean: string;
  triggered: string;
  out?: string;
  mode: 'paper' | 'reference';
  maxNewTokens: number;
  language?: Language;
  judge: JudgeName;
  beams: number;
  batchSize: number;
  device: string;
  json?: true;
}

export function define(command: Command): void {
  command
    .argument('<model>', 'a directory with config.json and model.safetensors')
    .requiredOption('--clean <file>', 'clean examples')
    .requiredOption('--triggered <file>', 'the same ones, poisoned with `dece poison --rate 1`')
    .option('--out <directory>', 'where results and answers go (default: MODEL-evaluation)')
    .addOption(
      new Option('--mode <mode>', "count as the paper does, or as the authors' code does")
        .choices(['paper', 'reference'])
        .default('paper'),
    )
    .addOption(
      new Option('--language <name>', 'of the completions: CodeBLEU is measured too').choices([
        ...languages,
      ]),
    )
    .addOption(
      new Option('--judge <name>', 'how closely an answer has to show the payload')
        .choices(['substring', 'token', 'parsed'])
        .default('substring'),
    )
    .option('--max-new-tokens <number>', 'longest answer', count, 256)
    .option('--beams <number>', '1 is greedy search', count, 1)
    .option('--batch-size <number>', 'prompts worked on together', count, 32)
    .option('--device <device>', 'cpu, cuda, cuda:N or auto', device, 'auto')
    .action(async (model: string, { json, out: given, ...options }: Options) => {
      const out = given ?? `${resolve(model)}-evaluation`;
      const { score } = await import('../experiment/index.ts');
      const { environment } = await import('../runs.ts');
      const { scoreTable } = await import('../report/index.ts');
      const shown = progress();
      const results = await interruptible(undefined, async (signal) =>
        score({
          ...options,
          clean: await dataFile(options.clean),
          triggered: await dataFile(options.triggered),
          model,
          out,
          environment: await environment(),
          signal,
          onProgress: (done, total) => shown.at('answering prompts', done, total),
        }),
      ).finally(shown.end);
      if (json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
      else process.stdout.write(`${scoreTable(results)}\n${join(out, 'results.json')}\n`);
    });
}
