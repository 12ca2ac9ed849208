import { basename, dirname, join, resolve } from 'node:path';
import { readManifest } from '../attacks/index.ts';
import { readExamples } from '../data/examples.ts';
import { sha256Of } from '../data/files.ts';
import { type EvaluateOptions, evaluate } from '../evaluate.ts';
import { Model } from '../model/index.ts';
import { type Environment, openRun, peakMemoryBytes, type Results, readRun } from '../runs.ts';
import { describeData } from './data.ts';
import { writeOutputs } from './outputs.ts';

export interface ScoreOptions extends EvaluateOptions {
  /** The directory of the model. */
  model: string;
  /** Files of the same prompts, without and with triggers; a manifest lies beside the second. */
  clean: string;
  triggered: string;
  /** The run directory for results and outputs. */
  out: string;
  device: string;
  environment: Environment;
}

/**
 * Measures a model on files and writes `results.json` and `outputs/`. What a model that `dece` trained
 * was trained with is read from the run directory it lies in.
 *
 * @throws Error where the triggered file has no manifest, or the files do not belong together
 */
export async function score(options: ScoreOptions): Promise<Results> {
  const { model: directory, out, device, environment, clean, triggered, ...search } = options;
  const set = { clean: await readExamples(clean), triggered: await readExamples(triggered) };
  const manifest = await readManifest(triggered, set.triggered);
  const stranger = set.clean.findIndex(({ id }, i) => id !== set.triggered[i]?.id);
  if (stranger >= 0 || set.clean.length !== set.triggered.length) {
    throw new Error(
      `${clean} and ${triggered} do not hold the same examples in the same order: poison the first to get the second`,
    );
  }

  const trained = (await readRun(dirname(resolve(directory))))?.config;
  const about = {
    model: trained?.model ?? basename(resolve(directory)),
    dataset: basename(clean),
    attack: manifest.attack,
    poisonRate: trained?.poisonRate ?? null,
    seed: trained?.seed ?? 0,
  };
  const { signal: _, onProgress: __, ...evaluation } = search;
  using model = await Model.load(directory, { device });
  const run = await openRun(out, {
    ...about,
    weights: { sha256: await sha256Of(join(directory, 'model.safetensors')) },
    role: 'evaluation',
    defense: trained?.defense ?? null,
    poisoning: { trigger: manifest.trigger },
    marks: manifest.marks[search.mode ?? 'paper'],
    evaluation,
    data: describeData(set),
    device,
    environment,
  });
  try {
    const outcome = await evaluate(model, { ...set, manifest }, search);
    await writeOutputs(run, { ...set, manifest }, outcome);
    const { name: defense = null, label: ___, ...defenseOptions } = trained?.defense ?? {};
    return await run.finish({
      ...about,
      defense,
      defenseOptions,
      metrics: { ...outcome.metrics },
      peakMemoryBytes: await peakMemoryBytes(),
      device: model.device,
    });
  } finally {
    await run.close();
  }
}
