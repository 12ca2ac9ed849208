import { once } from 'node:events';
import type { Command } from 'commander';
import { evidenceOf, firstBy, type ModelAudit } from '../audit/evidence.ts';
import type { Audit, Suspect } from '../audit/index.ts';
import { trainFileSchema } from '../config/index.ts';
import { whole } from '../fields.ts';
import type { Model } from '../model/index.ts';
import type { TrainingExample } from '../train.ts';
import { dataFile } from './data_file.ts';
import { addFlags, count, share } from './flags.ts';
import { interruptible } from './interrupt.ts';
import { modelName } from './model_name.ts';
import { type Progress, progress } from './progress.ts';

interface Options {
  out?: string;
  minRows?: number;
  falsePositiveRate: number;
  model?: string;
  json?: true;
  [option: string]: unknown;
}

const { batchSize, learningRate, maxInputTokens, maxOutputTokens, seed, device, head } =
  trainFileSchema.shape;
const modelFlags = {
  epochs: whole(1).default(3).describe('passes over the data'),
  ...{ batchSize, learningRate, maxInputTokens, maxOutputTokens, seed, device, head },
};

export function define(command: Command): void {
  command
    .argument(
      '<file>',
      'examples or labelled texts, of any number: .jsonl, .csv or .parquet, also .gz, or a name such as lyra/train',
    )
    .option('--out <directory>', 'where ranked rows, a cleaned copy, SARIF and a page go')
    .option(
      '--min-rows <number>',
      'rarer triggers are not looked for (default: 8, or one row in 20,000; of labelled texts 20, or one in 1,000); fewer than 8 leave repeated completions at 8',
      count,
    )
    .option('--false-positive-rate <share>', 'of chance alone, above 0', share, 0.01)
    .option(
      '--model <name>',
      'rank rows by what this model learns from them too, at most 50,000: a directory, or owner/name on the Hub; the options below are for it',
    );
  addFlags(command, modelFlags);
  command.action(async (given: string, options: Options) => {
    const flags = Object.keys(modelFlags).filter((key) => key in options);
    if (options.model === undefined && flags.length > 0) {
      command.error(`error: --${flags[0]} needs --model`);
    }
    const shown = progress();
    const look = (signal: AbortSignal) => run(given, options, shown, signal);
    await interruptible(undefined, look).finally(shown.end);
  });
}

async function run(given: string, options: Options, shown: Progress, signal: AbortSignal) {
  const { audit, auditLabelled } = await import('../audit/index.ts');
  const { isLabelledFile, streamExamples, streamLabelledExamples } = await import(
    '../data/examples.ts'
  );
  const { writeAudit } = await import('../report/index.ts');
  const { makeDirectory } = await import('../data/files.ts');
  const { out, json, minRows, falsePositiveRate } = options;
  const input = await dataFile(given);
  const labelled = await isLabelledFile(input);
  const walks = labelled ? 4 : 6;
  const onProgress = (walk: number, rows: number) =>
    shown.at('walking the rows', walk - 1, walks, `${rows} rows of walk ${walk}`);
  const settings = {
    ...(minRows !== undefined && { minRows }),
    falsePositiveRate,
    onProgress,
    signal,
  };
  // Before the walks, which may take long.
  const source = labelled ? streamLabelledExamples(input) : streamExamples(input);
  const loaded = await loadModel(source, options, signal);
  // Where that cannot be, nobody waits for the walks to hear of it.
  if (out !== undefined) await makeDirectory(out);
  const result = labelled
    ? await auditLabelled(streamLabelledExamples(input), settings)
    : await audit(streamExamples(input), settings);

  const write = async (told?: ModelAudit) =>
    out === undefined ? {} : writeAudit(out, input, result, told);
  let files = {};
  let told: ModelAudit | undefined;
  try {
    files = await write();
    if (loaded) {
      told = await askModel(loaded, options, shown, signal);
      files = await write(told);
    }
  } finally {
    loaded?.model.dispose();
    // What was found is told also where it cannot be written, and where the model fails or is stopped.
    shown.end();
    await print(json === true, input, files, result, told);
  }
}

async function print(
  json: boolean,
  input: string,
  files: object,
  result: Audit,
  told: ModelAudit | undefined,
): Promise<void> {
  if (json) {
    const suspects = result.suspects.map((one) => withEvidence(one, told));
    const all = { ...result, ...(told && { model: firstOf(told) }), suspects };
    await printJson({ ...{ input, ...files }, ...all });
    return;
  }
  const { auditText } = await import('../report/index.ts');
  const beside = Object.values(files).map((path) => `\n${path}`);
  process.stdout.write(
    `${auditText(result, told)}\n${beside.join('')}${beside.length ? '\n' : ''}`,
  );
}

/** The model of `--model` and the rows for it; nothing without one. */
async function loadModel(
  source: AsyncIterable<TrainingExample>,
  { model: name, device, head, seed }: Options,
  signal: AbortSignal,
) {
  if (name === undefined) return undefined;
  const { checkFirst, readRows } = await import('../audit/with_model.ts');
  const { Model } = await import('../model/index.ts');
  const rows = await readRows(source);
  const model = await Model.load(await modelName(name, signal), given({ device, head, seed }));
  await checkFirst(model, rows);
  return { model, rows };
}

async function askModel(
  { model, rows }: { model: Model; rows: readonly TrainingExample[] },
  { epochs, batchSize, learningRate, maxInputTokens, maxOutputTokens, seed }: Options,
  shown: Progress,
  signal: AbortSignal,
): Promise<ModelAudit> {
  const { auditWithModel } = await import('../audit/with_model.ts');
  const training = { epochs, batchSize, learningRate, maxInputTokens, maxOutputTokens, seed };
  const onProgress = (what: string, done: number, total: number) => shown.at(what, done, total);
  return auditWithModel(model, rows, { ...given(training), signal, onProgress });
}

/** Options without those that were not given. */
const given = (options: object) =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));

const withEvidence = (suspect: Suspect, told: ModelAudit | undefined) =>
  told ? { ...suspect, model: evidenceOf(told.rows[suspect.row - 1]!) } : suspect;

/** What is printed of a model's evidence: the first rows of each rank. */
function firstOf({ rows, ...rest }: ModelAudit) {
  return { ...rest, learnt: firstBy(rows, 'learntRank'), spectral: firstBy(rows, 'spectralRank') };
}

/** Suspects may be more than one text can hold. */
async function printJson(result: object & { suspects: readonly object[] }): Promise<void> {
  const { suspects, ...rest } = result;
  const head = JSON.stringify(rest, null, 2).replace(/\n}$/, ',\n  "suspects": [');
  process.stdout.write(head);
  for (const [i, suspect] of suspects.entries()) {
    const text = `${i > 0 ? ',' : ''}\n    ${JSON.stringify(suspect)}`;
    if (!process.stdout.write(text)) await once(process.stdout, 'drain');
  }
  process.stdout.write(`${suspects.length > 0 ? '\n  ' : ''}]\n}\n`);
}
