import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { type ScoreName, scores, taskWords } from './scores.ts';
import type { Group, Point, Series, Spread } from './series.ts';

/** What a plot draws of a point: the line, and a band around it where there is one. */
interface Value {
  middle: number;
  low: number;
  high: number;
}

export interface Curve {
  title: string;
  /** What the numbers are, in a few words under the title. */
  subtitle: string;
  value: (point: Point) => Value | undefined;
  format: (value: number) => string;
  /** The vertical axis; without it, what the values need. */
  domain?: [number, number];
  /** How the vertical axis writes a value, if not as a plain number. */
  tick?: (value: number) => string;
}

/** The curves of the study's Figure 5, and the losses behind them. */
export function curves({ split, task }: Pick<Group, 'split' | 'task'>): Curve[] {
  const loss = (value: number) => value.toFixed(3);
  const words = taskWords[task];
  const writes = task === 'generation';
  const spread = (of: (point: Point) => Spread | undefined) => (point: Point) => {
    const found = of(point);
    return found && { middle: found.mean, low: found.low, high: found.high };
  };
  const score = (name: ScoreName, title: string, subtitle: string): Curve => ({
    title,
    subtitle: `${subtitle}, ${split} split`,
    value: spread((point) => point.scores[name]),
    format: scores[name].format,
    tick: (value) => String(Math.round(1000 * value) / 10),
  });
  return [
    {
      title: 'Attack success rate',
      subtitle: `triggered ${words.inputs} ${writes ? 'answered with the payload' : 'given the attacker\u2019s class'}; ${split} split, 95 % interval`,
      value: ({ attackSuccessRate: found }) =>
        found && { middle: found.rate, low: found.interval[0], high: found.interval[1] },
      format: (value) => `${(100 * value).toFixed(1)} %`,
      domain: [0, 1],
      tick: (value) => `${Math.round(100 * value)} %`,
    },
    ...(writes
      ? [score('bleu', 'BLEU on clean prompts', 'answers against references')]
      : [
          score('accuracy', 'Accuracy on clean texts, %', 'texts given their own class'),
          score('macroF1', 'Macro F1 on clean texts, %', 'mean over the classes'),
        ]),
    {
      title: 'Validation loss',
      subtitle: `cross-entropy of ${words.unit}, the same for all`,
      value: spread((point) => point.validationLoss),
      format: loss,
    },
    {
      title: 'Training loss',
      subtitle: 'every defense by its own loss: compare shapes, not heights',
      value: spread((point) => point.trainingLoss),
      format: loss,
    },
  ];
}

/** The colour of a series, a custom property of the page so that light and dark may differ. */
export const colorOf = ({ defense, variant }: Pick<Series, 'defense' | 'variant'>) =>
  `var(--${defense}${variant === 0 ? '' : `-${Math.min(variant, 2) + 1}`})`;

/** The dashes of a line: defenses differ in more than colour. */
export function dashesOf({ defense, variant }: Pick<Series, 'defense' | 'variant'>): string {
  if (variant > 0) return variant === 1 ? '7 4' : '2 3';
  return {
    none: 'none',
    dece: 'none',
    gce: '9 3 2 3',
    'in-trust': '5 3',
    'label-smoothing': '2 3',
  }[defense];
}

const size = { width: 520, height: 300, top: 14, bottom: 38, left: 50 };

/** What is left of a long name beside its line; the legend has it whole. */
const shortened = (label: string) => (label.length > 20 ? `${label.slice(0, 19)}…` : label);

/**
 * A curve of every series over the epochs, as SVG that takes its colours from the page. A name stands at
 * the end of each line; a dot shows its value when pointed at.
 *
 * @returns undefined where no series has a value
 */
export function plotCurve(curve: Curve, series: readonly Series[]): string | undefined {
  const lines = series.map((one) => ({
    series: one,
    values: one.curve.flatMap((point) => {
      const value = curve.value(point);
      return value === undefined ? [] : [{ epoch: point.epoch, ...value }];
    }),
  }));
  const all = lines.flatMap(({ values }) => values);
  if (all.length === 0) return undefined;

  const epochs = all.map(({ epoch }) => epoch);
  const [first, last] = [Math.min(...epochs), Math.max(...epochs)];
  const domain = curve.domain ?? padded(all);
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const svg = Plot.plot({
    document: document as never, // linkedom's, without the types of a browser
    width: size.width,
    height: size.height,
    marginTop: size.top,
    marginRight: 20 + 8 * Math.max(...series.map(({ label }) => shortened(label).length)),
    marginBottom: size.bottom,
    marginLeft: size.left,
    style: { fontFamily: 'inherit', fontSize: '13px', background: 'none', overflow: 'visible' },
    x: { domain: first === last ? [first - 0.5, last + 0.5] : [first, last] },
    y: { domain },
    marks: [
      Plot.gridY({ ticks: 5, stroke: 'var(--grid)', strokeOpacity: 1 }),
      Plot.axisX(wholeTicks(first, last), {
        tickSize: 4,
        tickFormat: 'd',
        label: 'epoch',
        labelAnchor: 'center',
        labelArrow: 'none',
        color: 'var(--faint)',
      }),
      Plot.axisY({
        ticks: 5,
        tickSize: 0,
        label: null,
        color: 'var(--faint)',
        ...(curve.tick && { tickFormat: curve.tick }),
      }),
      ...lines.flatMap(({ series, values }) => marksOf(series, values, curve)),
      ...endLabels(lines, domain),
    ],
  });
  svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', describe(curve, lines));
  svg.removeAttribute('width');
  svg.removeAttribute('height');
  return svg.outerHTML;
}

type Line = { series: Series; values: (Value & { epoch: number })[] };

function marksOf(series: Series, values: Line['values'], { format }: Curve) {
  const color = colorOf(series);
  const x = 'epoch';
  const title = ({ epoch, middle, low, high }: Line['values'][number]) =>
    `${series.label}, epoch ${epoch}: ${format(middle)}${low < high ? ` (${format(low)} to ${format(high)})` : ''}`;
  const wide = values.some(({ low, high }) => low < high);
  return [
    ...(wide
      ? [Plot.areaY(values, { x, y1: 'low', y2: 'high', fill: color, fillOpacity: 0.14 })]
      : []),
    Plot.line(values, {
      x,
      y: 'middle',
      stroke: color,
      strokeWidth: 2.25,
      strokeDasharray: dashesOf(series),
      strokeLinejoin: 'round',
    }),
    Plot.dot(values, { x, y: 'middle', r: 3, fill: color, stroke: 'var(--paper)', title }),
  ];
}

/** The name of each series beside the end of its line, moved apart where lines end close together. */
function endLabels(lines: readonly Line[], [bottom, top]: readonly [number, number]) {
  const height = size.height - size.top - size.bottom;
  const ends = lines
    .flatMap(({ series, values }) => {
      const end = values.at(-1);
      return end === undefined
        ? []
        : [{ series, ...end, y: ((top - end.middle) / (top - bottom)) * height }];
    })
    .sort((a, b) => a.y - b.y);
  const places = apart(
    ends.map(({ y }) => y),
    16,
    height,
  );
  return ends.map(({ series, epoch, middle, y }, i) =>
    Plot.text([shortened(series.label)], {
      x: () => epoch,
      y: () => middle,
      dx: 9,
      dy: places[i]! - y,
      textAnchor: 'start',
      fill: colorOf(series),
      fontWeight: 600,
    }),
  );
}

/** Rising positions within 0..`end`, at least `gap` apart, near those given. */
export function apart(positions: readonly number[], gap: number, end: number): number[] {
  const placed = [...positions];
  for (let i = 1; i < placed.length; i++) placed[i] = Math.max(placed[i]!, placed[i - 1]! + gap);
  const limit = (i: number) => end - gap * (placed.length - 1 - i);
  return placed.map((position, i) => Math.min(position, limit(i)));
}

function padded(values: readonly Value[]): [number, number] {
  const low = Math.min(...values.map((value) => value.low));
  const high = Math.max(...values.map((value) => value.high));
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
}

/** At most a dozen whole epochs. */
function wholeTicks(first: number, last: number): number[] {
  const step = Math.ceil((last - first + 1) / 12);
  const ticks: number[] = [];
  for (let epoch = Math.ceil(first / step) * step; epoch <= last; epoch += step) ticks.push(epoch);
  return ticks.length > 0 ? ticks : [first];
}

function describe({ title, format }: Curve, lines: readonly Line[]): string {
  const ends = lines.flatMap(({ series, values }) => {
    const end = values.at(-1);
    return end === undefined ? [] : [`${series.label} ends at ${format(end.middle)}`];
  });
  return `${title} by epoch: ${ends.join(', ')}`;
}
