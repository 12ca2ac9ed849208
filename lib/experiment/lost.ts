import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { findWeights } from '../model/weight_files.ts';
import type { RunRecord } from '../runs.ts';

/**
 * What a finished run has written and somebody has since taken away: `model`, `outputs/clean.jsonl`,
 * `outputs/triggered.jsonl`. Results stand without them, and weights are large, so that such a run is
 * told of and not made again: whoever wants it again deletes its `results.json`.
 *
 * @example
 * await lostOf((await readRun('runs/dece'))!); // ['model']
 */
export async function lostOf({ directory, config, results }: RunRecord): Promise<string[]> {
  if (results === undefined) return [];
  const lost: string[] = [];
  const hasModel = config.role !== 'evaluation';
  if (hasModel && !(await isThere(findWeights(join(directory, 'model'))))) lost.push('model');
  if (!('attackSuccessRate' in results.metrics)) return lost;
  for (const name of ['outputs/clean.jsonl', 'outputs/triggered.jsonl']) {
    if (!(await isThere(stat(join(directory, name))))) lost.push(name);
  }
  return lost;
}

const isThere = (found: Promise<unknown>) =>
  found.then(
    () => true,
    () => false,
  );
