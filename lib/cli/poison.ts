import { type Command, Option } from 'commander';
import { attackFields, attackNames } from '../config/attack.ts';
import { addFlags, seed, share } from './flags.ts';
import { interruptible } from './interrupt.ts';

interface Options {
  attack: (typeof attackNames)[number];
  rate: number;
  seed: number;
  mode: 'paper' | 'reference';
  json?: true;
}

export function define(command: Command): void {
  command
    .argument('<in>', 'examples: .jsonl or .csv, also .gz')
    .argument('<out>', 'the poisoned copy; its manifest goes beside it')
    .addOption(new Option('--attack <name>', 'how').choices(attackNames).makeOptionMandatory())
    .requiredOption('--rate <share>', 'share of all examples, 0..1; 1 makes a test set', share)
    .option('--seed <number>', 'of the random choices', seed, 42)
    .addOption(
      new Option('--mode <mode>', "as the paper says, or as the authors' code does")
        .choices(['paper', 'reference'])
        .default('paper'),
    );
  addFlags(command, attackFields);
  command.action(async (input: string, output: string, { json, ...options }: Options) => {
    const { poisonDatasetAsync, writeManifest } = await import('../attacks/index.ts');
    const { readExamples, writeExamples } = await import('../data/examples.ts');
    const clean = await readExamples(input);
    const { examples, manifest } = await interruptible(undefined, (signal) =>
      poisonDatasetAsync(clean, options, signal),
    );
    await writeExamples(output, examples, { input });
    const beside = await writeManifest(output, manifest);

    const { records, ...summary } = manifest;
    const { attack, poisoned, eligible, shortfall } = summary;
    const missing = shortfall > 0 && options.rate < 1 ? `, ${shortfall} fewer than asked for` : '';
    const text = `${output}: ${records.length} examples, ${poisoned} of ${eligible} eligible ones poisoned by ${attack}${missing}`;
    if (json) {
      const result = { output, manifest: beside, examples: records.length, ...summary };
      process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
    } else {
      process.stdout.write(`${text}\n${beside}: what was done to each\n`);
    }
  });
}
