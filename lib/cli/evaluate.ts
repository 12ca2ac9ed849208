import { join, resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Language, languages } from '../code/languages.ts';
import type { JudgeName } from '../metrics/index.ts';
import { dataFile } from './data_file.ts';
import { evaluateProblems, type ProblemOptions } from './evaluate_problems.ts';
import { count, device } from './flags.ts';
import { interruptible } from './interrupt.ts';
import { modelName } from './model_name.ts';
import { progress } from './progress.ts';

interface ModelOptions {
  clean?: string;
  triggered?: string;
  out?: string;
  mode: 'paper' | 'reference';
  maxNewTokens: number;
  maxInputTokens?: number;
  language?: Language;
  judge: JudgeName;
  denominator?: 'poisoned' | 'all';
  beams: number;
  batchSize: number;
  device: string;
  json?: true;
}

/** Without a default, so that they can be told from those that are not given. */
const forProblems = [
  new Option('--split <name>', 'of the problems (default: test)').choices([
    'train',
    'valid',
    'test',
  ]),
  new Option('--completions <file>', 'what was written: task_id and completion, .jsonl or .gz'),
  new Option('--k <numbers>', 'of pass@k, as 1,10 (default: 1)').argParser(counts),
  new Option('--timeout-seconds <number>', 'for a program (default: 3)').argParser(seconds),
  new Option('--memory-bytes <number>', 'for a program (default: 1 GiB)').argParser(count),
  new Option('--workers <number>', 'programs at a time (default: the cores)').argParser(count),
  new Option('--allow-weak-isolation', 'run programs also where the system cannot hold them'),
];

export function define(command: Command): void {
  command
    .argument('[model]', 'a directory with config.json and weights, or owner/name on the Hub')
    .option('--clean <file>', 'clean examples; for a classifier labelled texts')
    .option(
      '--triggered <file>',
      'the same ones, poisoned with `npx dece poison --rate 1`; without it no attack is measured',
    )
    .option(
      '--out <directory>',
      'where results and answers go (default: MODEL-evaluation beside the model; without --triggered MODEL-clean, with --problems MODEL-pass-at-k, or beside --completions)',
    )
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
    .addOption(
      new Option(
        '--denominator <name>',
        'what attack success is a share of: the triggered prompts, or all (default: poisoned)',
      ).choices(['poisoned', 'all']),
    )
    .option('--max-new-tokens <number>', 'longest answer', count, 256)
    .option(
      '--max-input-tokens <number>',
      'longer prompts are cut (default: none is; of a classifier as in its training)',
      count,
    )
    .option('--beams <number>', '1 is greedy search', count, 1)
    .option('--batch-size <number>', 'prompts worked on together', count, 32)
    .option('--device <device>', 'cpu, cuda, cuda:N or auto', device, 'auto')
    .addOption(
      new Option('--problems <name>', 'pass@k: humaneval, mbpp, codeharmony or a file').conflicts([
        'clean',
        'triggered',
        'mode',
        'denominator',
      ]),
    );
  for (const option of forProblems) command.addOption(option);
  command.action(
    async (model: string | undefined, options: ModelOptions & ProblemOptions): Promise<void> => {
      if (options.problems !== undefined) {
        const { completions } = options;
        if ((model === undefined) === (completions === undefined)) {
          command.error('error: --problems needs a model or --completions, one of the two');
        }
        return evaluateProblems(model, options);
      }
      const stray = forProblems.find((option) => command.getOptionValue(option.attributeName()));
      if (stray !== undefined) command.error(`error: ${stray.long} needs --problems`);
      const { clean } = options;
      if (model === undefined || clean === undefined) {
        const lacking = Object.entries({ 'a model': model, '--clean': clean })
          .filter(([, value]) => value === undefined)
          .map(([name]) => name);
        command.error(`error: expected also ${lacking.join(' and ')}, or --problems`);
      }
      return evaluateModel(model, { ...options, clean });
    },
  );
}

async function evaluateModel(
  model: string,
  { json, out: given, triggered, ...options }: ModelOptions & { clean: string },
): Promise<void> {
  const out = given ?? `${resolve(model)}-${triggered === undefined ? 'clean' : 'evaluation'}`;
  const { score } = await import('../experiment/index.ts');
  const { environment } = await import('../runs.ts');
  const { scoreTable } = await import('../report/index.ts');
  const shown = progress();
  const results = await interruptible(undefined, async (signal) =>
    score({
      ...options,
      clean: await dataFile(options.clean),
      triggered: triggered && (await dataFile(triggered)),
      model: await modelName(model, signal),
      out,
      environment: await environment(),
      signal,
      onProgress: (done, total) => shown.at('answering prompts', done, total),
      onWarning: (warning) => process.stderr.write(`dece: ${warning}\n`),
    }),
  ).finally(shown.end);
  if (json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
  else process.stdout.write(`${scoreTable(results)}\n${join(out, 'results.json')}\n`);
}

function counts(text: string): number[] {
  return text.split(',').map(count);
}

function seconds(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!(value >= 0.01 && value <= 86_400)) throw new InvalidArgumentError('Expected 0.01..86400.');
  return value;
}
