import type { Manifest } from '../attacks/index.ts';
import { type DefenseConfig, defenses } from '../defenses/index.ts';
import type { Metrics } from '../evaluate.ts';
import { type SuccessRate, wilson } from '../metrics/index.ts';
import type { RunRecord } from '../runs.ts';
import type { Comparison } from './compare.ts';

/** Runs that can be compared: the same model, data and attack under several defenses. */
export interface Group {
  title: string;
  dataset: string;
  attack: string;
  poisonRate: number;
  model: string;
  /** What the curves are measured on. */
  split: string;
  series: Series[];
}

/** One defense: its runs, which differ in the seed only, and what they add up to. */
export interface Series {
  label: string;
  /** The name of the defense, and which one of that name in its group it is: its colour and line. */
  defense: DefenseConfig['name'];
  variant: number;
  runs: RunRecord[];
  curve: Point[];
  /** What the finished runs measured on the test split; absent while there is none. */
  outcome?: Outcome;
  /** With cross-entropy, answer by answer; absent where no run of both had the same seed and prompts. */
  comparison?: Comparison;
}

/** A mean over runs, with the lowest and highest of them. */
export interface Spread {
  mean: number;
  low: number;
  high: number;
}

/** A series after an epoch. Rates are pooled over runs: all successes of all eligible prompts. */
export interface Point {
  epoch: number;
  trainingLoss?: Spread;
  validationLoss?: Spread;
  bleu?: Spread;
  attackSuccessRate?: SuccessRate;
}

export interface Outcome {
  bleu: Spread;
  /** Absent, as the next but one, where a run was measured by an older version or without a language. */
  codeBleu?: Spread;
  exactMatch: Spread;
  /** Absent as `codeBleu` is. */
  copyRate?: Spread;
  rightUnderTrigger?: SuccessRate;
  attackSuccessRate: SuccessRate;
  falseTriggerRate: SuccessRate;
  seconds: Spread;
  peakMemoryBytes: number;
}

/** Puts together the runs that differ in defense and seed only; those of classifiers are left out. */
export function groupRuns(records: readonly RunRecord[]): Group[] {
  const attacked = records.filter(
    ({ config: { role, attack, defense, task } }) =>
      role === 'run' && attack !== null && defense !== null && task === undefined,
  );
  const groups = groupBy(attacked, ({ config }) => JSON.stringify(conditionsOf(config)));
  return [...groups.values()].map((members) => {
    const { dataset, attack, poisonRate, evaluation } = members[0]!.config;
    const percent = Number((100 * poisonRate!).toPrecision(12));
    return {
      title: `${attackTitle(attack!)} at ${percent} % on ${dataset}`,
      dataset,
      attack: attack!,
      poisonRate: poisonRate!,
      model: members.find(({ results }) => results)?.results?.model ?? modelOf(members[0]!.config),
      split: (evaluation as { split?: string } | undefined)?.split ?? 'valid',
      series: toSeries(members),
    };
  });
}

const modelOf = ({ model }: { model: string }) => model;

/** All that the runs of a group have in common. */
function conditionsOf(config: RunRecord['config']) {
  const { dataset, attack, poisonRate, model, mode, training, evaluation } = config;
  const { eligible: _, poisoned: __, ...poisoning } = (config.poisoning ?? {}) as Partial<Manifest>;
  return [dataset, attack, poisonRate, model, mode, training, evaluation, poisoning];
}

export function attackTitle(name: string): string {
  const titles = {
    ripple: 'RIPPLe',
    badpre: 'BadPre',
    grammar: 'Grammar',
    funcname: 'FuncName',
    deadcode: 'DeadCode',
    afraidoor: 'AFRAIDOOR',
  };
  return titles[name as keyof typeof titles] ?? name;
}

/** Defenses in the order of the table of defenses: cross-entropy, which the others are held against, first. */
function toSeries(members: readonly RunRecord[]): Series[] {
  const names = Object.keys(defenses);
  const rank = ({ name, label }: { name: string; label: string }) =>
    names.indexOf(name) + (label === name ? 0 : 0.5);
  const byDefense = groupBy(members, ({ config }) =>
    JSON.stringify([config.label, config.defense]),
  );
  const found = [...byDefense.values()].map((runs) => {
    const { label, defense } = runs[0]!.config;
    return { name: defense!.name, label: String(label ?? defense!.name), runs };
  });
  found.sort((a, b) => rank(a) - rank(b));
  return found.map(({ label, runs, name }, i) => {
    const outcome = toOutcome(runs);
    return {
      label: label === name ? defenses[name].title : label,
      defense: name,
      variant: found.slice(0, i).filter((other) => other.name === name).length,
      runs,
      curve: toCurve(runs),
      ...(outcome && { outcome }),
    };
  });
}

function toCurve(runs: readonly RunRecord[]): Point[] {
  const events = runs.flatMap((run) => run.events);
  const epochs = [...new Set(events.filter(isPoint).map(({ epoch }) => epoch))];
  return epochs.sort((a, b) => a - b).map((epoch) => toPoint(runs, epoch));
}

function toPoint(runs: readonly RunRecord[], epoch: number): Point {
  const last = (type: string) =>
    runs.flatMap(
      ({ events }) =>
        events.findLast((event) => event.type === type && event.epoch === epoch) ?? [],
    );
  const losses = (type: string) => spread(last(type).map(({ loss }) => Number(loss)));
  const metrics = last('metrics').map((event) => event.metrics as Metrics);
  const trainingLoss = losses('epoch');
  const validationLoss = losses('evaluation');
  const scores = spread(metrics.map(({ bleu }) => bleu));
  const rate = pooled(metrics.map(({ attackSuccessRate }) => attackSuccessRate));
  return {
    epoch,
    ...(trainingLoss && { trainingLoss }),
    ...(validationLoss && { validationLoss }),
    ...(scores && { bleu: scores }),
    ...(rate && { attackSuccessRate: rate }),
  };
}

const isPoint = ({ type }: { type: string }) => ['epoch', 'evaluation', 'metrics'].includes(type);

function toOutcome(runs: readonly RunRecord[]): Outcome | undefined {
  const measured = runs.filter((run) => metricsOf(run) !== undefined);
  const results = measured.map((run) => run.results!);
  const metrics = measured.map((run) => metricsOf(run)!);
  const attackSuccess = pooled(metrics.map(({ attackSuccessRate }) => attackSuccessRate));
  const falseTriggers = pooled(metrics.map(({ falseTriggerRate }) => falseTriggerRate));
  if (attackSuccess === undefined || falseTriggers === undefined) return undefined;
  const right = all(metrics.map(({ rightUnderTrigger }) => rightUnderTrigger));
  const code = all(metrics.map(({ codeBleu }) => codeBleu));
  const copies = all(metrics.map(({ copyRate }) => copyRate));
  return {
    bleu: spread(metrics.map(({ bleu }) => bleu))!,
    ...(code && { codeBleu: spread(code.map(({ score }) => score))! }),
    ...(right && { rightUnderTrigger: pooled(right)! }),
    exactMatch: spread(metrics.map(({ exactMatch }) => exactMatch))!,
    ...(copies && { copyRate: spread(copies)! }),
    attackSuccessRate: attackSuccess,
    falseTriggerRate: falseTriggers,
    seconds: spread(results.map(({ seconds }) => seconds))!,
    peakMemoryBytes: Math.max(...results.map(({ peakMemoryBytes }) => peakMemoryBytes)),
  };
}

/** What was measured at the end of a run; of one by `dece train`, what `dece evaluate` has measured since. */
function metricsOf({ results, evaluation }: RunRecord): Metrics | undefined {
  if (results === undefined) return undefined;
  const { metrics } = 'attackSuccessRate' in results.metrics ? results : (evaluation ?? results);
  return 'attackSuccessRate' in metrics ? (metrics as unknown as Metrics) : undefined;
}

/** The values, unless one is missing. */
function all<Value>(values: readonly (Value | undefined)[]): Value[] | undefined {
  const found = values.filter((value) => value !== undefined);
  return found.length === values.length ? found : undefined;
}

function spread(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return { mean, low: Math.min(...values), high: Math.max(...values) };
}

function pooled(rates: readonly SuccessRate[]): SuccessRate | undefined {
  if (rates.length === 0) return undefined;
  const successes = rates.reduce((sum, rate) => sum + rate.successes, 0);
  const eligible = rates.reduce((sum, rate) => sum + rate.eligible, 0);
  const interval = wilson(Math.min(successes, eligible), eligible);
  return { rate: successes / eligible, successes, eligible, interval };
}

function groupBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}
