import { Command, CommanderError } from 'commander';
import { inFlags } from './flags.ts';
import { Interrupted } from './interrupt.ts';

/** The module of a command adds its arguments, options and action. */
interface CommandModule {
  define(command: Command): void;
}

/*
 * Summaries stand here, and modules are loaded when their command is called, so that `dece --help`
 * loads nothing.
 */
const commands: Record<string, { summary: string; load: () => Promise<CommandModule> }> = {
  demo: {
    summary: 'poison built-in data, train with CE and with DeCE, compare, write a report',
    load: () => import('./demo.ts'),
  },
  data: {
    summary: "the study's data sets: what there is, where it is, and how to get it",
    load: () => import('./data.ts'),
  },
  poison: {
    summary: 'write a poisoned copy of a data set, and the manifest of what was done',
    load: () => import('./poison.ts'),
  },
  audit: {
    summary: 'what in a data set looks like poison, and why',
    load: () => import('./audit.ts'),
  },
  train: {
    summary: 'fine-tune a model on a data set',
    load: () => import('./train.ts'),
  },
  generate: {
    summary: 'let a model answer a prompt, or those of a file',
    load: () => import('./generate.ts'),
  },
  evaluate: {
    summary: 'measure BLEU on clean prompts and the attack success rate on triggered ones',
    load: () => import('./evaluate.ts'),
  },
  run: {
    summary: 'make every run of an experiment file; goes on where it was interrupted',
    load: () => import('./run.ts'),
  },
  report: {
    summary: 'tables of runs, and one HTML file with their curves',
    load: () => import('./report.ts'),
  },
  plugin: {
    summary: 'try an attack of your own: `npx dece plugin test FILE`',
    load: () => import('./plugin.ts'),
  },
  bench: {
    summary: "the loss kernels on this machine, beside the copy bandwidth and PyTorch's",
    load: () => import('./bench.ts'),
  },
  doctor: {
    summary: 'what was found on this machine, what is missing and how to get it',
    load: () => import('./doctor.ts'),
  },
};

async function main(argv: readonly string[]): Promise<void> {
  const program = new Command('dece')
    .description('Train code models on data you do not trust.')
    .version(await (await import('../environment.ts')).packageVersion(), '-V, --version')
    .exitOverride()
    .showHelpAfterError('(add --help for what there is)')
    .addHelpText('after', '\nDECE_DEBUG=1 shows where an error comes from.');
  for (const [name, { summary, load }] of Object.entries(commands)) {
    const command = program
      .command(name)
      .summary(summary)
      .description(`${upper(summary)}.`);
    if (argv[0] !== name && !(argv[0] === 'help' && argv[1] === name)) continue;
    command.option('--json', 'print the result as JSON on stdout, everything else on stderr');
    (await load()).define(command);
  }
  if (argv.length === 0) program.help();
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    const command = program.commands.find((one) => one.name() === argv[0]);
    throw (command && asUsage(error, command)) ?? error;
  }
}

/** An option out of range as what it is for who typed its flag: wrong usage. */
function asUsage(error: unknown, command: Command): Usage | undefined {
  if (!(error instanceof RangeError || error instanceof TypeError)) return undefined;
  const message = inFlags(command, error.message);
  return message === undefined ? undefined : new Usage(message, { cause: error });
}

class Usage extends Error {}

const upper = (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1);

/** The exit code for what a command threw, after one sentence about it on stderr. */
function explain(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof Interrupted) {
    process.stderr.write(`${error.message}\n`);
    return 130;
  }
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`dece: ${message}\n`);
  if (process.env.DECE_DEBUG === '1' && error instanceof Error) {
    process.stderr.write(`${error.stack}\n`);
    if (error.cause !== undefined) process.stderr.write(`cause: ${String(error.cause)}\n`);
  }
  return error instanceof Usage ? 2 : 1;
}

// A reader that closes early, such as `head`, is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = explain(error);
}
