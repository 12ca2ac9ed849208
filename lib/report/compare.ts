import { bleu, pairedBootstrap, signFlip } from '../metrics/index.ts';
import { type RunRecord, readOutputs } from '../runs.ts';
import type { Group, Series } from './series.ts';

/**
 * Runs of two series on the same prompts, answer by answer, over the seeds that both have. What several
 * seeds answer to one prompt is alike, so that the prompt is the item of both tests, with the sum or the
 * mean over the seeds: answers taken for independent would make p too small. The tests speak of other
 * prompts for these models; how seeds scatter stands in the table.
 */
export interface Comparison {
  seeds: number[];
  /** Triggered prompts. */
  triggered: number;
  /**
   * Answers to them with the payload where the other's, of the same seed, is without, and the reverse; the p
   * of the sign-flip test, with one seed McNemar's.
   */
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

/** The answers of both to one prompt. */
type Pair = readonly [Answer, Answer];

/** Compares every series of the groups with cross-entropy trained alike, over the seeds that both have finished. */
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
  const seeds: number[] = [];
  const triggered: Pair[] = [];
  const clean: Pair[] = [];
  for (const run of one.runs) {
    const { seed } = run.config;
    const twin = other.runs.find(({ config }) => config.seed === seed);
    if (twin === undefined) continue;
    const under = await shared(run, twin, 'triggered');
    const without = await shared(run, twin, 'clean');
    if (under === undefined || without === undefined) continue;
    seeds.push(seed);
    triggered.push(...under);
    clean.push(...without);
  }
  if (seeds.length === 0) return undefined;
  const carries = triggered.map(
    (pair) => pair.map(({ succeeded }) => Number(succeeded === true)) as [number, number],
  );
  const swings = [...byId(triggered, (_, i) => carries[i]![0] - carries[i]![1]).values()];
  const scores = [...byId(clean, (pair) => pair.map(scoreOf) as [number, number]).values()];
  return {
    seeds,
    triggered: swings.length,
    payload: {
      onlyThis: carries.filter(([own, others]) => own > others).length,
      onlyOther: carries.filter(([own, others]) => own < others).length,
      p: signFlip(swings.map(sum)),
    },
    clean: scores.length,
    quality: pairedBootstrap(
      scores.map((all) => mean(all.map(([own]) => own))),
      scores.map((all) => mean(all.map(([, others]) => others))),
    ),
  };
}

/** What is found of each prompt, under all seeds. */
function byId<Found>(pairs: readonly Pair[], of: (pair: Pair, i: number) => Found) {
  const found = new Map<string, Found[]>();
  for (const [i, pair] of pairs.entries()) {
    const { id } = pair[0];
    const own = found.get(id) ?? [];
    own.push(of(pair, i));
    found.set(id, own);
  }
  return found;
}

const sum = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;

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
  const pairs = rows.map((row, i): Pair => [row, others[i]!]);
  const same = pairs.every(
    ([a, b]) => a.id === b.id && a.prompt === b.prompt && a.text === b.text && a.pair === b.pair,
  );
  return same ? pairs : undefined;
}
