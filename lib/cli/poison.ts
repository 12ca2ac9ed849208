import { type Command, InvalidArgumentError, Option } from 'commander';
import type { AttackOptions, PoisonOptions } from '../attacks/index.ts';
import { attackFields, attackNames, isAttackName } from '../config/attack.ts';
import type { Example } from '../data/examples.ts';
import { dataFile } from './data_file.ts';
import { addFlags, seed, share } from './flags.ts';
import { interruptible } from './interrupt.ts';
import { modelName } from './model_name.ts';

interface Options extends Pick<AttackOptions, 'payload'> {
  attack: string;
  rate: number;
  seed: number;
  mode: 'paper' | 'reference';
  likelyUnder?: string;
  json?: true;
}

export function define(command: Command): void {
  command
    .argument(
      '<in>',
      'examples, or labelled texts for the payload label: .jsonl, .csv or .parquet, also .gz, or a name such as lyra/train',
    )
    .argument('<out>', 'the poisoned copy; its manifest goes beside it')
    .requiredOption(
      '--attack <name>',
      `how: ${attackNames.join(', ')}, or a file of your own, such as ./my_attack.js`,
      attackName,
    )
    .requiredOption('--rate <share>', 'share of all examples, 0..1; 1 makes a test set', share)
    .option('--seed <number>', 'of the random choices', seed, 42)
    .addOption(
      new Option('--mode <mode>', "as the paper says, or as the authors' code does")
        .choices(['paper', 'reference'])
        .default('paper'),
    );
  addFlags(command, attackFields);
  command.option(
    '--likely-under <model>',
    'sql: the payload that this model finds likeliest: an attacker who adapts to DeCE',
  );
  command.action(async (file: string, output: string, given: Options) => {
    const { json, likelyUnder, attack: name, ...others } = given;
    const input = await dataFile(file);
    const { findAttack, poisonDatasetAsync, writeManifest } = await import('../attacks/index.ts');
    const { readExamples, readLabelledExamples, writeExamples } = await import(
      '../data/examples.ts'
    );
    const options = { ...others, attack: await findAttack(name) };
    const labelled = changesLabels(options);
    if (labelled && likelyUnder !== undefined) {
      command.error('error: --likely-under finds SQL: leave it out where labels are changed');
    }
    const { examples, manifest } = await interruptible(undefined, async (signal) => {
      if (labelled) {
        return poisonDatasetAsync(await readLabelledExamples(input), options, signal);
      }
      const clean = await readExamples(input);
      const payload = await likely(likelyUnder, clean, signal);
      return poisonDatasetAsync(clean, { ...options, ...payload }, signal);
    });
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

function attackName(text: string): string {
  if (isAttackName(text)) return text;
  throw new InvalidArgumentError(`Expected one of ${attackNames.join(', ')}, or a file.`);
}

/** Whether the attack wants a class, so that its examples are labelled texts. */
function changesLabels({ attack, payload }: Pick<PoisonOptions, 'attack' | 'payload'>) {
  return payload === 'label' || (typeof attack !== 'string' && attack.targetLabel !== undefined);
}

/** The payload that a model finds likeliest, where one is named. */
async function likely(
  name: string | undefined,
  examples: readonly Example[],
  signal: AbortSignal,
): Promise<AttackOptions> {
  if (name === undefined) return {};
  const { likeliestSql } = await import('../attacks/index.ts');
  const { Model } = await import('../model/index.ts');
  const model = await Model.load(await modelName(name, signal));
  try {
    const { tautology, contradiction } = await likeliestSql(model, examples, { signal });
    return {
      ...(tautology[0] && { tautology: tautology[0].text }),
      ...(contradiction[0] && { contradiction: contradiction[0].text }),
    };
  } finally {
    model.dispose();
  }
}
