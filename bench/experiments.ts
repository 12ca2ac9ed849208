// Results of an experiment as a file that can be committed:
//
//     npx dece run bench/experiments/demo-seeds.yaml --out runs/demo-seeds
//     node --import tsx bench/experiments.ts runs/demo-seeds     writes bench/results/demo-seeds.csv
//
// A line for the curves' split after each epoch, and one for the test split at a run's end. Rates and
// scores are shares, 0..1; low and high are Wilson's 95 % interval. Classifiers have scores of their own.

import { stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { csv } from '../lib/data/csv.ts';
import type { Metrics } from '../lib/evaluate.ts';
import type { ClassifierMetrics } from '../lib/evaluate_classifier.ts';
import { findRuns, type RunRecord } from '../lib/runs.ts';

type AnyMetrics = Metrics | ClassifierMetrics;

const [directory] = process.argv.slice(2);
if (directory === undefined) throw new TypeError('expected a directory with runs');

const lines = await Promise.all((await findRuns(directory)).map(linesOf));
const file = new URL(`results/${basename(directory)}.csv`, import.meta.url);
await writeFile(file, csv(lines.flat()));
console.log(`${file.pathname}: ${lines.flat().length} lines`);

async function linesOf({ directory, config, events, results }: RunRecord) {
  if (results === undefined || config.role !== 'run') return [];
  const { mtime } = await stat(join(directory, 'results.json'));
  const { environment } = config;
  const { attack, poisonRate, defense, defenseOptions, dataset, model, seed } = results;
  const run = { dataset, model, attack, poisonRate, defense, options: optionsOf(defenseOptions) };
  const made = {
    commit: environment.commit?.replace(/^(.{7})[\da-f]*/, '$1'),
    date: mtime.toISOString().slice(0, 10),
    machine: `${environment.machine.processor} x${environment.threads}`,
  };
  const line = (split: string, epoch: number, metrics: AnyMetrics) => {
    const { attackSuccessRate: rate, falseTriggerRate, rightUnderTrigger: right } = metrics;
    return {
      ...run,
      seed,
      split,
      epoch,
      ...('bleu' in metrics ? writing(metrics) : classifying(metrics)),
      attackSuccessRate: rate?.rate.toFixed(4),
      low: rate?.interval[0].toFixed(4),
      high: rate?.interval[1].toFixed(4),
      successes: rate?.successes,
      eligible: rate?.eligible,
      falseTriggers: falseTriggerRate?.successes,
      ...('bleu' in metrics && { codeBleu: metrics.codeBleu?.score.toFixed(4) }),
      rightUnderTrigger: right?.successes,
      ...made,
    };
  };

  const curve = events.flatMap(({ type, epoch, split, metrics }) =>
    type === 'metrics' ? [line(curveOf(split), epoch, metrics as AnyMetrics)] : [],
  );
  return [
    ...curve,
    line('test', events.at(-1)?.epoch ?? 0, results.metrics as unknown as AnyMetrics),
  ];
}

/** What curves were measured on; of the test split it may have been a part. */
function curveOf(split: unknown): string {
  return split === 'test' ? 'test, curve' : String(split);
}

function writing({ bleu, exactMatch }: Metrics) {
  return { bleu: bleu.toFixed(4), exactMatch: exactMatch.toFixed(4) };
}

function classifying({ accuracy, macro, binary }: ClassifierMetrics) {
  return {
    accuracy: accuracy.toFixed(4),
    macroF1: macro.f1.toFixed(4),
    f1: binary?.f1.toFixed(4),
  };
}

function optionsOf(options: Record<string, unknown>): string {
  return Object.entries(options)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}
