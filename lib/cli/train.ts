import type { Command } from 'commander';
import { trainFileSchema } from '../config/index.ts';
import { lossKeys, lossOptions } from '../defenses/index.ts';
import { dataFile, readOr } from './data_file.ts';
import { addFlags, flagOf, kebab } from './flags.ts';
import { commandLine, interruptible } from './interrupt.ts';
import { modelName } from './model_name.ts';
import { progress } from './progress.ts';

interface Options {
  model: string;
  out: string;
  loss?: string;
  config?: string;
  validation?: string;
  resume?: true;
  json?: true;
  [option: string]: unknown;
}

const { loss: _, ...trainingFlags } = trainFileSchema.shape;

export function define(command: Command): void {
  command
    .argument(
      '<data>',
      'examples to learn from, for a classifier labelled texts: .jsonl, .csv or .parquet, also .gz, or a name such as lyra/train',
    )
    .requiredOption('--model <name>', 'what to start from: a directory, or owner/name on the Hub')
    .requiredOption('--out <directory>', 'the run directory')
    .option('--loss <name>', 'ce, dece, gce or in-trust (default: dece)')
    .option('--validation <file>', 'examples whose cross-entropy is measured after every epoch')
    .option('--resume', 'go on with the run in --out')
    .option(
      '--config <file>',
      'YAML or JSON with loss and the options below, as batchSize; flags go before it',
    );
  addFlags(command, lossOptions);
  addFlags(command, trainingFlags);
  command.action(train);
}

async function train(data: string, options: Options, command: Command): Promise<void> {
  const settings = await settingsOf(options, command);
  const { fineTune, lostOf } = await import('../experiment/index.ts');
  const { environment } = await import('../runs.ts');
  const { lostText, showTraining } = await import('./show_experiment.ts');
  const { model, out, validation, resume, json } = options;
  const { readRun } = await import('../runs.ts');
  const before = resume ? await readRun(out) : undefined;
  const lost = before ? await lostOf(before) : [];
  const shown = progress();
  const results = await interruptible(resumeLine(), async (signal) => {
    try {
      const given = {
        data: await dataFile(data),
        model: await modelName(model, signal),
        out,
        settings,
        ...(validation !== undefined && { validation: await dataFile(validation) }),
        ...(resume && { resume }),
        environment: await environment(),
        signal,
        onEvent: showTraining(shown),
      };
      return await readOr(() => fineTune(given), '--head classification');
    } finally {
      shown.end();
    }
  });
  if (json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
  else {
    const state = before?.results ? 'finished already, after' : 'trained in';
    const seconds = Math.round(results.seconds);
    process.stdout.write(`${out}/model: ${state} ${seconds} s${lostText(lost)}\n`);
  }
}

/** Defaults, over them the file of --config, over that the flags. */
async function settingsOf(options: Options, command: Command) {
  const { checkConfig, readConfig } = await import('../config/index.ts');
  const file =
    options.config === undefined
      ? checkConfig({}, trainFileSchema)
      : await readConfig(options.config, trainFileSchema);
  const given = (shape: object) =>
    Object.fromEntries(
      Object.keys(shape).flatMap((key) => (key in options ? [[key, options[key]]] : [])),
    );
  const { loss: name = file.loss.name } = options;
  const known = lossKeys[name];
  const stray = Object.keys(given(lossOptions)).find((key) => known?.includes(key) === false);
  if (stray !== undefined) {
    const own = known!.map((key) => `--${kebab(key)}`).join(', ');
    command.error(`error: --${kebab(stray)} is no option of the loss ${name}: expected ${own}`);
  }
  const loss = { ...(name === file.loss.name ? file.loss : {}), ...given(lossOptions), name };
  const merged = { ...file, ...given(trainingFlags), loss };
  try {
    return checkConfig(merged, trainFileSchema, (path) => flagOf(command, path) ?? path.join('.'));
  } catch (error) {
    command.error(`error: ${(error as Error).message}`);
  }
}

function resumeLine(): string {
  const args = process.argv.slice(2);
  return commandLine(args.includes('--resume') ? args : [...args, '--resume']);
}
