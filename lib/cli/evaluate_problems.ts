import { basename, join, resolve } from 'node:path';
import type { Split } from '../data/datasets.ts';
import type { Completion, Problem } from '../data/problems.ts';
import type { PassAtK } from '../pass_at_k.ts';
import { interruptible } from './interrupt.ts';
import { modelName } from './model_name.ts';
import { progress } from './progress.ts';

export interface ProblemOptions {
  problems?: string;
  split?: Split;
  completions?: string;
  out?: string;
  k?: number[];
  timeoutSeconds?: number;
  memoryBytes?: number;
  workers?: number;
  allowWeakIsolation?: true;
  maxNewTokens: number;
  maxInputTokens?: number;
  beams: number;
  batchSize: number;
  device: string;
  json?: true;
}

/** `dece evaluate --problems`: pass@k of a file's completions, or of those a model writes. */
export async function evaluateProblems(
  model: string | undefined,
  options: ProblemOptions,
): Promise<void> {
  const { problems: name = '', split = 'test', completions, json } = options;
  const { k, timeoutSeconds, memoryBytes, workers, allowWeakIsolation } = options;
  const given = { k, timeoutSeconds, memoryBytes, workers, allowWeakIsolation };
  const settings = Object.fromEntries(Object.entries(given).filter(([, value]) => value));

  const { findDataset, isDatasetName } = await import('../data/datasets.ts');
  const { readCompletions, readProblems } = await import('../data/problems.ts');
  const { evaluatePassAtK } = await import('../pass_at_k.ts');
  const { DECE_DATA } = process.env;
  const path = isDatasetName(name)
    ? await findDataset(name, split, DECE_DATA).catch((error) => explain(name, error))
    : name;
  const problems = await readProblems(path);
  const shown = progress();
  const result = await interruptible(undefined, async (signal) => {
    const written =
      completions === undefined
        ? await answers(model!, problems, options, signal)
        : await readCompletions(completions);
    const onProgress = (done: number, total: number) => shown.at('running programs', done, total);
    return evaluatePassAtK(problems, written, { ...settings, signal, onProgress }).catch(
      (error: Error) => {
        throw inFile(error, completions);
      },
    );
  }).finally(shown.end);

  const from = resolve(completions?.replace(/\.jsonl(\.gz)?$/i, '') ?? model!);
  const out = options.out ?? `${from}-pass-at-k`;
  const about = { model: model === undefined ? null : basename(from), completions, problems: name };
  const results = await write(out, about, result);
  const { passAtKText } = await import('../report/index.ts');
  if (json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
  else process.stdout.write(`${passAtKText(result)}\n${join(out, 'results.json')}\n`);
}

/** `samples.jsonl, completion 3` for `completions[2]`. */
function inFile(error: Error, file = 'completions'): Error {
  const message = error.message.replace(
    /^completions\[(\d+)\]/,
    (_, i) => `${file}, completion ${Number(i) + 1},`,
  );
  return message === error.message ? error : new Error(message, { cause: error });
}

/** Throws: names the sets of problems where `name` is none of them. */
async function explain(name: string, error: Error): Promise<never> {
  const { catalogue } = await import('../data/catalogue/index.ts');
  const sets = Object.entries<{ task: string }>(catalogue)
    .filter(([, { task }]) => task === 'pass@k')
    .map(([name]) => name);
  if (sets.includes(name)) throw error;
  throw new RangeError(`problems is "${name}": expected ${sets.join(', ')}, or a file`, {
    cause: error,
  });
}

async function answers(
  name: string,
  problems: readonly Problem[],
  { maxNewTokens, maxInputTokens, beams, batchSize, device }: ProblemOptions,
  signal: AbortSignal,
): Promise<Completion[]> {
  const { Model } = await import('../model/index.ts');
  const { completeProblems } = await import('../pass_at_k.ts');
  const model = await Model.load(await modelName(name, signal), { device });
  const cut = maxInputTokens === undefined ? {} : { maxInputTokens };
  const search = { maxNewTokens, ...cut, beams, batchSize, signal };
  return completeProblems(model, problems, search).finally(() => model.dispose());
}

/** Writes results.json, and what became of each program to programs.jsonl. */
async function write(
  out: string,
  about: object,
  { passAtK, problems, isolation, limits }: PassAtK,
) {
  const { environment } = await import('../environment.ts');
  const { jsonLines } = await import('../data/jsonl.ts');
  const { makeDirectory, writeWhole } = await import('../data/files.ts');
  const counts = problems.map(({ id, samples, correct }) => ({ id, samples, correct }));
  const results = {
    ...about,
    metrics: { passAtK },
    problemResults: counts,
    isolation,
    limits,
    environment: await environment(),
  };
  const rows = problems.flatMap(({ id, programs }) =>
    programs.map((program) => ({ task_id: id, ...program })),
  );
  await makeDirectory(out);
  await writeWhole(join(out, 'programs.jsonl'), jsonLines(rows));
  await writeWhole(join(out, 'results.json'), `${JSON.stringify(results, null, 2)}\n`);
  return results;
}
