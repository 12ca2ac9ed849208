import { type Command, Option } from 'commander';
import { dataFile } from './data_file.ts';
import { count, seed, share } from './flags.ts';

interface Options {
  attack: 'ripple' | 'badpre';
  rate: number;
  seed: number;
  mode: 'paper' | 'reference';
  trigger?: string;
  insertions?: number;
  json?: true;
}

export function define(command: Command): void {
  command
    .argument('<in>', 'examples: .jsonl, .csv or .parquet, also .gz, or a name such as lyra/train')
    .argument('<out>', 'the poisoned copy; its manifest goes beside it')
    .addOption(
      new Option('--attack <name>', 'how').choices(['ripple', 'badpre']).makeOptionMandatory(),
    )
    .requiredOption('--rate <share>', 'share of all examples, 0..1; 1 makes a test set', share)
    .option('--seed <number>', 'of the random choices', seed, 42)
    .addOption(
      new Option('--mode <mode>', "as the paper says, or as the authors' code does")
        .choices(['paper', 'reference'])
        .default('paper'),
    )
    .option('--trigger <word>', 'the word put into prompts (default: bb)')
    .option('--insertions <number>', 'how many times (default: as the attack has it)', count)
    .action(async (given: string, output: string, { json, ...options }: Options) => {
      const input = await dataFile(given);
      const { poisonDataset, writeManifest } = await import('../attacks/index.ts');
      const { readExamples, writeExamples } = await import('../data/examples.ts');
      const { examples, manifest } = poisonDataset(await readExamples(input), options);
      await writeExamples(output, examples, { input });
      const beside = await writeManifest(output, manifest);

      const { records, ...summary } = manifest;
      const { poisoned, eligible, shortfall } = summary;
      const missing =
        shortfall > 0 && options.rate < 1 ? `, ${shortfall} fewer than asked for` : '';
      const text = `${output}: ${records.length} examples, ${poisoned} of ${eligible} eligible ones poisoned by ${options.attack}${missing}`;
      if (json) {
        const result = { output, manifest: beside, examples: records.length, ...summary };
        process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
      } else {
        process.stdout.write(`${text}\n${beside}: what was done to each\n`);
      }
    });
}
