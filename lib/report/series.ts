import { type DefenseConfig, defenses } from '../defenses/index.ts';
import { type SuccessRate, wilson } from '../metrics/index.ts';
import type { RunConfig, RunRecord } from '../runs.ts';
import type { Comparison } from './compare.ts';
import { differences } from './differences.ts';
import { type AnyMetrics, type ScoreName, scoreNames, scores, type TaskName } from './scores.ts';

/** Runs that can be compared: the same model, data and attack under several defenses. */
export interface Group {
  title: string;
  task: TaskName;
  dataset: string;
  attack: string;
  poisonRate: number;
  model: string;
  /** What the curves are measured on. */
  split: string;
  series: Series[];
}

/** One defense and way of training: its runs, which differ in the seed only, and what they add up to. */
export interface Series {
  /** The defense, and how it was trained where that differs within the group. */
  label: string;
  title: string;
  how: string;
  /** The settings of training: series of one group that have the same are compared. */
  training: string;
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
  scores: Scores;
  attackSuccessRate?: SuccessRate;
}

/** What every run of a series has measured: those of older versions, or without a language, lack some. */
export type Scores = Partial<Record<ScoreName, Spread>>;

export interface Outcome {
  scores: Scores;
  copyRate?: Spread;
  rightUnderTrigger?: SuccessRate;
  attackSuccessRate: SuccessRate;
  falseTriggerRate: SuccessRate;
  seconds: Spread;
  peakMemoryBytes: number;
}

/** Puts together the runs that differ in defense, training and seed only. */
export function groupRuns(records: readonly RunRecord[]): Group[] {
  const attacked = records.filter(
    ({ config: { role, attack, defense } }) =>
      role === 'run' && attack !== null && defense !== null,
  );
  const byConditions = groupBy(attacked, ({ config }) => JSON.stringify(conditionsOf(config)));
  const groups = [...byConditions.values()];
  const titles = tellApart(
    groups.map(([first]) => titleOf(first!.config)),
    groups.map(([first]) => conditionsOf(first!.config)),
  );
  return groups.map((members, i) => {
    const { dataset, attack, poisonRate, evaluation, task, model } = members[0]!.config;
    return {
      title: titles[i]!,
      task: task ?? 'generation',
      dataset,
      attack: attack!,
      poisonRate: poisonRate!,
      model: members.find(({ results }) => results)?.results?.model ?? model,
      split: (evaluation as { split?: string } | undefined)?.split ?? 'valid',
      series: toSeries(members),
    };
  });
}

function titleOf({ attack, poisonRate, dataset }: RunConfig): string {
  const percent = Number((100 * poisonRate!).toPrecision(12));
  return `${attackTitle(attack!)} at ${percent} % on ${dataset}`;
}

/** Names of which none is there twice: those that are get what their settings differ in. */
function tellApart(names: readonly string[], settings: readonly object[]): string[] {
  return names.map((name, i) => {
    const alike = [...names.keys()].filter((other) => names[other] === name);
    const apart = differences(alike.map((other) => settings[other]!))[alike.indexOf(i)];
    return apart ? `${name}, ${apart}` : name;
  });
}

/** All that the runs of a group have in common; seeds change what is drawn, and the poisoned copy. */
function conditionsOf(config: RunConfig): Record<string, unknown> {
  const { dataset, attack, poisonRate, model, mode, evaluation, task, language } = config;
  const { eligible: _, poisoned: __, ...poisoning } = objectOf(config.poisoning);
  const { seed: ___, environment: ____, ...base } = objectOf(config.base);
  const { train, ...others } = config.data;
  const data = others.clean === undefined ? config.data : others;
  const about = { dataset, attack, poisonRate, model, mode, evaluation, task, language };
  return { ...about, poisoning, base, data };
}

/** What may differ between the runs of a group besides the defense. */
const trainingOf = ({ training, head }: RunConfig) => ({ ...objectOf(training), head });

const objectOf = (value: unknown) => (value ?? {}) as Record<string, unknown>;

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
  const keyOf = ({ config }: RunRecord) =>
    JSON.stringify([config.label, config.defense, trainingOf(config)]);
  const found = [...groupBy(members, keyOf).values()].map((runs) => {
    const { config } = runs[0]!;
    const { name } = config.defense!;
    const own = String(config.label ?? name);
    const rank = names.indexOf(name) + (own === name ? 0 : 0.5);
    const title = own === name ? defenses[name].title : own;
    return { name, rank, title, runs, config };
  });
  found.sort((a, b) => a.rank - b.rank);
  const ways = differences(found.map(({ config }) => trainingOf(config)));
  const training = found.map(({ config }) => JSON.stringify(trainingOf(config)));
  const titles = found.map(({ title }, i) => {
    const alike = [...found.keys()].filter(
      (other) => found[other]!.title === title && training[other] === training[i],
    );
    const apart = differences(alike.map((other) => found[other]!.config.defense!));
    return [title, apart[alike.indexOf(i)]!].filter(Boolean).join(', ');
  });
  return found.map(({ name, runs }, i) => {
    const outcome = toOutcome(runs);
    return {
      label: [titles[i]!, ways[i]!].filter(Boolean).join(', '),
      title: titles[i]!,
      how: ways[i]!,
      training: training[i]!,
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
  const metrics = last('metrics').map((event) => event.metrics as AnyMetrics);
  const trainingLoss = losses('epoch');
  const validationLoss = losses('evaluation');
  const rate = pooled(metrics.map(({ attackSuccessRate }) => attackSuccessRate));
  return {
    epoch,
    ...(trainingLoss && { trainingLoss }),
    ...(validationLoss && { validationLoss }),
    scores: scoresOf(metrics),
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
  const copies = all(metrics.map(({ copyRate }) => copyRate));
  return {
    scores: scoresOf(metrics),
    ...(right && { rightUnderTrigger: pooled(right)! }),
    ...(copies && { copyRate: spread(copies)! }),
    attackSuccessRate: attackSuccess,
    falseTriggerRate: falseTriggers,
    seconds: spread(results.map(({ seconds }) => seconds))!,
    peakMemoryBytes: Math.max(...results.map(({ peakMemoryBytes }) => peakMemoryBytes)),
  };
}

/** What was measured at the end of a run; of one by `dece train`, what `dece evaluate` has measured since. */
function metricsOf({ results, evaluation }: RunRecord): AnyMetrics | undefined {
  if (results === undefined) return undefined;
  const { metrics } = 'attackSuccessRate' in results.metrics ? results : (evaluation ?? results);
  return 'attackSuccessRate' in metrics ? (metrics as unknown as AnyMetrics) : undefined;
}

/** The scores that all runs have. */
function scoresOf(metrics: readonly AnyMetrics[]): Scores {
  const found = scoreNames.flatMap((name): [ScoreName, Spread][] => {
    const values = all(metrics.map((one) => scores[name].of(one)));
    const mean = values && spread(values);
    return mean ? [[name, mean]] : [];
  });
  return Object.fromEntries(found);
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
