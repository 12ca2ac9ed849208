import { bleu, mcnemar, pairedBootstrap } from '../metrics/index.ts';
import { type RunRecord, readOutputs } from '../runs.ts';
import type { Group, Series } from './series.ts';

/** Two runs of one seed on the same prompts, answer by answer. */
export interface Comparison {
  seed: number;
  triggered: number;
  /** Triggered prompts that only this one, and only the other, answers with the payload; McNemar's p. */
  payload: { onlyThis: number; onlyOther: number; p: number };
  clean: number;
  /**
   * Mean difference in the BLEU of single answers to clean prompts, of a classifier in accuracy, with a
   * paired bootstrap.
   */
  quality: { difference: number; interval: [low: number, high: number]; p: number };
}

interface Answer {
  id: string;
  prompt?: string;
  reference?: string;
  text?: string;
  pair?: string;
  label?: number;
  output: string | number;
  succeeded?: boolean;
}

/** Compares every series of the groups with cross-entropy trained alike, by the first seed that both have finished. */
export async function compare(groups: readonly Group[]): Promise<void> {
  for (const { series } of groups) {
    const plains = series.filter(({ defense }) => defense === 'none');
    for (const one of series) {
      const plain = plains.find(({ training }) => training === one.training);
      if (plain === undefined || one === plain) continue;
      const comparison = await comparisonOf(one, plain);
      if (comparison !== undefined) one.comparison = comparison;
    }
  }
}

async function comparisonOf(one: Series, other: Series): Promise<Comparison | undefined> {
  for (const run of one.runs) {
    const twin = other.runs.find(({ config }) => config.seed === run.config.seed);
    if (twin === undefined) continue;
    const triggered = await shared(run, twin, 'triggered');
    const clean = await shared(run, twin, 'clean');
    if (triggered === undefined || clean === undefined) continue;
    const [carriesOne, carriesOther] = sides(triggered, ({ succeeded }) => succeeded === true);
    const [scoresOne, scoresOther] = sides(clean, scoreOf);
    const { onlyA, onlyB, p } = mcnemar(carriesOne, carriesOther);
    return {
      seed: run.config.seed,
      triggered: triggered.length,
      payload: { onlyThis: onlyA, onlyOther: onlyB, p },
      clean: clean.length,
      quality: pairedBootstrap(scoresOne, scoresOther),
    };
  }
  return undefined;
}

function scoreOf({ output, reference, label }: Answer): number {
  if (label !== undefined) return Number(output === label);
  return bleu([String(output)], [reference!], { mode: 'reference' });
}

/** The answers of two runs to the same prompts, or undefined where the prompts differ, or there are none. */
async function shared(one: RunRecord, other: RunRecord, name: 'triggered' | 'clean') {
  const rows = await readOutputs<Answer>(one.directory, name);
  const others = await readOutputs<Answer>(other.directory, name);
  if (rows === undefined || others === undefined) return undefined;
  if (rows.length === 0 || rows.length !== others.length) return undefined;
  const pairs = rows.map((row, i) => [row, others[i]!] as const);
  const same = pairs.every(
    ([a, b]) => a.id === b.id && a.prompt === b.prompt && a.text === b.text && a.pair === b.pair,
  );
  return same ? pairs : undefined;
}

const sides = <Value>(
  pairs: readonly (readonly [Answer, Answer])[],
  of: (answer: Answer) => Value,
): [Value[], Value[]] => [pairs.map(([one]) => of(one)), pairs.map(([, other]) => of(other))];
