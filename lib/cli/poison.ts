import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Attack, AttackOptions, Subject } from '../attacks/index.ts';
import { attackFields, attackNames, isAttackName } from '../config/attack.ts';
import type { Example, LabelledExample } from '../data/examples.ts';
import { dataFile, readOr } from './data_file.ts';
import { addFlags, seed, share } from './flags.ts';
import { interruptible } from './interrupt.ts';
import { modelName } from './model_name.ts';
import { progress } from './progress.ts';

interface Options extends Pick<AttackOptions, 'payload'> {
  attack: string;
  rate: number;
  seed: number;
  mode: 'paper' | 'reference';
  frontLoad?: boolean;
  payload?: NonNullable<AttackOptions['payload']>;
  likelyUnder?: string;
  learnFrom?: string;
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
  command.option(
    '--learn-from <file>',
    'afraidoor: clean examples that the crafting model learns from (default: <in>)',
  );
  command.action(async (file: string, output: string, given: Options) => {
    const { json, likelyUnder, learnFrom, attack: name, rate, seed, frontLoad, ...own } = given;
    const input = await dataFile(file);
    const { findAttack, makeAttack, poisonDatasetAsync, writeManifest } = await import(
      '../attacks/index.ts'
    );
    const { readExamples, readLabelledExamples, writeExamples } = await import(
      '../data/examples.ts'
    );
    const found = await findAttack(name);
    const toLabel = changesLabels(found, own.payload);
    if (toLabel && likelyUnder !== undefined) {
      command.error('error: --likely-under finds SQL: leave it out where labels are changed');
    }
    const options: AttackOptions = own;
    const other = (['payload', 'tautology', 'contradiction'] as const).find(
      (option) => options[option] !== undefined && options[option] !== 'sql',
    );
    if (other !== undefined && likelyUnder !== undefined) {
      command.error(`error: --likely-under chooses the SQL itself: leave it out, or --${other}`);
    }
    const read = (path: string): Promise<Subject[]> =>
      toLabel ? readLabelledExamples(path) : readOr(() => readExamples(path), labelling(found));
    const clean = await read(input);
    const { examples, manifest } = await interruptible(undefined, async (signal) => {
      const payload = await likely(likelyUnder, clean, signal);
      const attack = makeAttack(found, { ...own, ...payload });
      if (learnFrom !== undefined) {
        if (attack.learn === undefined) {
          throw new TypeError(`attack ${name} learns nothing: leave out --learn-from`);
        }
        await attack.learn(await read(await dataFile(learnFrom)), signal);
      }
      const front = frontLoad !== undefined && { frontLoad };
      return poisonDatasetAsync(clean, { attack, rate, seed, mode: own.mode, ...front }, signal);
    });
    await writeExamples(output, examples as Example[] | LabelledExample[], { input });
    const beside = await writeManifest(output, manifest);

    const { records, ...summary } = manifest;
    const { attack, poisoned, eligible, shortfall } = summary;
    const missing = shortfall > 0 && rate < 1 ? `, ${shortfall} fewer than asked for` : '';
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
function changesLabels(attack: string | Attack, payload: AttackOptions['payload']): boolean {
  return payload === 'label' || (typeof attack !== 'string' && attack.targetLabel !== undefined);
}

/** What poisons labelled texts: flags, or the key of an attack of one's own, which takes none. */
const labelling = (attack: string | Attack): string =>
  typeof attack === 'string'
    ? '--payload label and --target-label'
    : 'an attack that has a targetLabel, the class that the attacker wants';

/** The payload that a model finds likeliest, where one is named. */
async function likely(
  name: string | undefined,
  examples: readonly Subject[],
  signal: AbortSignal,
): Promise<AttackOptions> {
  if (name === undefined) return {};
  const { likeliestSql } = await import('../attacks/index.ts');
  const { Model } = await import('../model/index.ts');
  const model = await Model.load(await modelName(name, signal));
  const shown = progress();
  try {
    const { tautology, contradiction } = await likeliestSql(model, examples as readonly Example[], {
      signal,
      onProgress: (done, total) => shown.at('asking how likely payloads are', done, total),
    });
    return {
      ...(tautology[0] && { tautology: tautology[0].text }),
      ...(contradiction[0] && { contradiction: contradiction[0].text }),
    };
  } finally {
    shown.end();
    model.dispose();
  }
}
