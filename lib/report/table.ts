import type { CleanMetrics, Metrics } from '../evaluate.ts';
import type { CleanClassifierMetrics } from '../evaluate_classifier.ts';
import type { F1, SuccessRate } from '../metrics/index.ts';
import type { Results } from '../runs.ts';
import { type ScoreName, scoreNames, scores } from './scores.ts';
import type { Group } from './series.ts';
import {
  duration,
  interval,
  notes,
  percent,
  points,
  smallText,
  spreadText,
  verdicts,
} from './words.ts';

/** The results of groups as text for a terminal: a table and a sentence for each. */
export function textReport(groups: readonly Group[]): string {
  const sentences = verdicts(groups);
  return groups
    .map((group, i) =>
      [
        `${group.title}\n\n${textTable(group)}`,
        ...notes(group),
        ...(sentences[i] === undefined ? [] : [sentences[i]]),
      ].join('\n\n'),
    )
    .join('\n\n\n');
}

/** The scores that some series of a group has. */
export const measuredScores = ({ series }: Pick<Group, 'series'>): ScoreName[] =>
  scoreNames.filter((name) => series.some(({ outcome }) => outcome?.scores[name] !== undefined));

function textTable({ series }: Group): string {
  const measured = measuredScores({ series });
  const header = [
    'defense',
    'ASR',
    '95 % interval',
    'successes',
    ...measured.map((name) => scores[name].column),
    'right under trigger',
    'false triggers',
    'time',
  ];
  const rows = series.map(({ label, outcome, curve, runs }) => {
    if (outcome === undefined) {
      const epochs = curve.at(-1)?.epoch ?? 0;
      return [
        label,
        `${runs.every(({ results }) => results) ? 'not evaluated' : 'not finished'}: ${runs.length} run${runs.length === 1 ? '' : 's'}, epoch ${epochs}`,
      ];
    }
    const { attackSuccessRate: rate, falseTriggerRate: clean } = outcome;
    return [
      label,
      percent(rate.rate),
      interval(rate),
      `${rate.successes} of ${rate.eligible}`,
      ...measured.map((name) => {
        const found = outcome.scores[name];
        return found === undefined ? '' : spreadText(found, scores[name].format);
      }),
      outcome.rightUnderTrigger ? percent(outcome.rightUnderTrigger.rate) : '',
      percent(clean.rate),
      duration(outcome.seconds.mean),
    ];
  });
  return align([header, ...rows]);
}

/** The metrics of one run as text for a terminal. */
export function scoreTable({ metrics }: Results): string {
  if ('accuracy' in metrics) return classifierTable(metrics as unknown as CleanClassifierMetrics);
  const { bleu, codeBleu, exactMatch, copyRate } = metrics as unknown as CleanMetrics;
  return align([
    scoreHeader,
    ['BLEU on clean prompts', points(bleu), '', ''],
    ...(codeBleu === undefined
      ? []
      : [['CodeBLEU on clean prompts', points(codeBleu.score), '', '']]),
    ['exact match on clean prompts', percent(exactMatch), '', ''],
    ['clean prompts copied', percent(copyRate), '', ''],
    ...attackRows(metrics),
  ]);
}

/** What triggers do; nothing of an evaluation without them. */
function attackRows(metrics: object): string[][] {
  if (!('attackSuccessRate' in metrics)) return [];
  const { attackSuccessRate, smallestDetectableRate, rightUnderTrigger, falseTriggerRate } =
    metrics as Metrics;
  return [
    rateRow('attack success rate', attackSuccessRate),
    ['smallest rate told from zero', smallText(smallestDetectableRate), '', ''],
    rateRow('right under trigger', rightUnderTrigger),
    rateRow('false trigger rate', falseTriggerRate),
  ];
}

function classifierTable(metrics: CleanClassifierMetrics): string {
  const f1Row = (name: string, { f1, precision, recall }: F1) => [
    name,
    percent(f1, 2),
    '',
    `precision ${percent(precision, 2)}, recall ${percent(recall, 2)}`,
  ];
  return align([
    scoreHeader,
    ['accuracy on clean texts', percent(metrics.accuracy, 2), '', ''],
    f1Row('F1, mean of the classes', metrics.macro),
    ...(metrics.binary === undefined ? [] : [f1Row('F1 of class 1', metrics.binary)]),
    ...attackRows(metrics),
  ]);
}

const scoreHeader = ['metric', 'value', '95 % interval', 'successes'];

const rateRow = (name: string, rate: SuccessRate) => [
  name,
  percent(rate.rate),
  interval(rate),
  `${rate.successes} of ${rate.eligible}`,
];

/** Columns as wide as their widest cell, the first to the left, numbers to the right; a cell alone may run on. */
export function align(rows: readonly string[][]): string {
  const widths = rows[0]!.map((_, column) =>
    Math.max(...rows.filter((row) => row.length > 2).map((row) => row[column]!.length)),
  );
  const first = Math.max(...rows.map((row) => row[0]!.length));
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => {
        if (i === 0) return cell.padEnd(first);
        return row.length > 2 ? cell.padStart(widths[i]!) : cell;
      })
      .join('  ')
      .trimEnd();
  const rule = line(rows[0]!).replace(/./g, '─');
  return [line(rows[0]!), rule, ...rows.slice(1).map(line)].join('\n');
}
