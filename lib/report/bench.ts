import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import type { BenchResult, Measurement } from '../bench/index.ts';
import { csv } from '../data/csv.ts';
import { writeWhole } from '../data/files.ts';
import type { Environment } from '../environment.ts';
import { escapeHtml, htmlPage, prose } from './escape.ts';
import { apart } from './plots.ts';
import { align } from './table.ts';
import { bytes } from './words.ts';

/** A table for each shape, as text for a terminal. */
export function benchTable({ measurements }: BenchResult): string {
  return byShape(measurements)
    .map((rows) => `${titleOf(rows[0]!)}\n\n${align([[...header], ...rows.map(cellsOf)])}`)
    .join('\n\n');
}

/** Writes `<path>.csv`, with where it was measured in each line, and `<path>.html`, with a plot. */
export async function writeBench(
  path: string,
  result: BenchResult,
  environment: Environment,
): Promise<void> {
  const { machine, commit } = environment;
  const about = {
    commit: commit?.replace(/^([\da-f]{7})[\da-f]*/, '$1'),
    date: new Date().toISOString().slice(0, 10),
    machine: `${machine.processor} x${machine.cores}`,
    isa: result.isa,
    torch: result.torch,
    load: result.load.toFixed(1),
  };
  const lines = result.measurements.map((one) => ({
    provider: one.provider,
    options: one.options,
    dtype: one.dtype,
    place: one.place,
    rows: one.rows,
    classes: one.classes,
    threads: one.threads,
    ms: one.ms.toFixed(3),
    quarter: one.quarter.toFixed(3),
    threeQuarters: one.threeQuarters.toFixed(3),
    least: one.least.toFixed(3),
    p95: one.p95.toFixed(3),
    toCopy: one.toCopy.toFixed(3),
    usefulGbPerSecond: one.usefulGbPerSecond.toFixed(2),
    peakBytes: one.peakBytes,
    errorMedian: one.errorMedian?.toExponential(1),
    errorMost: one.errorMost?.toExponential(1),
    ...about,
  }));
  await writeWhole(`${path}.csv`, csv(lines));
  await writeWhole(`${path}.html`, page(result, about));
}

const header = [
  'provider',
  'dtype',
  'place',
  'of copy',
  'ms',
  'quartiles',
  'GB/s',
  'memory',
  'gradient error',
] as const;

function cellsOf(one: Measurement): string[] {
  return [
    labelOf(one),
    one.dtype,
    one.place,
    `${one.toCopy.toFixed(2)} ×`,
    one.ms.toFixed(2),
    `${one.quarter.toFixed(2)}–${one.threeQuarters.toFixed(2)}`,
    one.usefulGbPerSecond.toFixed(2),
    one.peakBytes === undefined ? '' : bytes(one.peakBytes),
    one.errorMost === undefined ? '' : one.errorMost.toExponential(1),
  ];
}

const labelOf = ({ provider, options }: Measurement) => `${provider} ${options}`.trim();

const titleOf = ({ rows, classes, threads }: Measurement) =>
  `${rows} × ${classes}, ${threads} thread${threads === 1 ? '' : 's'}`;

/** In the order of the first of each shape. */
function byShape(measurements: readonly Measurement[]): Measurement[][] {
  const groups = new Map<string, Measurement[]>();
  for (const one of measurements)
    groups.set(titleOf(one), [...(groups.get(titleOf(one)) ?? []), one]);
  return [...groups.values()];
}

function page({ measurements, missing }: BenchResult, about: Record<string, unknown>): string {
  const facts = Object.entries(about)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(String(value))}</dd>`);
  const tables = byShape(measurements).map(
    (rows) => `<section><h2>${escapeHtml(titleOf(rows[0]!))}</h2><div class="scroll"><table>
<thead><tr>${header.map((name) => `<th scope="col">${name}</th>`).join('')}</tr></thead>
<tbody>${rows.map((one) => `<tr>${cellsOf(one).map(cell).join('')}</tr>`).join('\n')}</tbody>
</table></div></section>`,
  );
  const notMeasured =
    missing.length === 0
      ? ''
      : `<section><h2>Not measured</h2><ul>${missing.map((line) => `<li>${escapeHtml(line)}</li>`).join('')}</ul></section>`;
  return htmlPage(
    'Losses beside a copy',
    `<header>
<h1>Losses beside a copy</h1>
<p class="lead">${prose('Forward and backward together, beside a memcpy of the logits on as many threads in the same rounds: 100 % is as fast as moving the logits once. Cross-entropy is an easier loss than DeCE.')}</p>
</header>
<main>
<figure><figcaption><h3>Share of copy</h3><p>by classes; float32, medians</p></figcaption>${plot(measurements)}</figure>
${tables.join('\n')}
${notMeasured}
<section><h2>Where</h2><dl>${facts.join('')}</dl></section>
</main>`,
  );
}

const cell = (text: string, column: number) =>
  column === 0 ? `<th scope="row">${escapeHtml(text)}</th>` : `<td>${escapeHtml(text)}</td>`;

/** What the plot shows: how a provider is drawn. Others are in the tables. */
const lines: { label: string; color: string; dashes: string; is: (one: Measurement) => boolean }[] =
  [
    {
      label: 'DeCE in place',
      color: 'var(--dece)',
      dashes: 'none',
      is: ({ provider, options, place }) =>
        provider === 'dece' && place === 'in place' && /labelSmoothing=0\.05$/.test(options),
    },
    {
      label: 'CE in place',
      color: 'var(--none)',
      dashes: 'none',
      is: ({ provider, options }) => provider === 'ce' && options === '',
    },
    {
      label: 'PyTorch CE',
      color: 'var(--none)',
      dashes: '7 4',
      is: ({ provider, options }) => provider === 'torch ce' && options !== '',
    },
    {
      label: 'PyTorch DeCE, compiled',
      color: 'var(--dece-2)',
      dashes: '7 4',
      is: ({ provider, options }) => provider === 'torch dece compiled' && options !== '',
    },
    {
      label: 'PyTorch DeCE, eager',
      color: 'var(--dece-3)',
      dashes: '2 3',
      is: ({ provider, options }) => provider === 'torch dece eager' && options !== '',
    },
  ];

/** Share of the copy's speed against the number of classes, a line for each provider. */
function plot(measurements: readonly Measurement[]): string {
  const float32 = measurements.filter(({ dtype }) => dtype === 'float32');
  const classes = [...new Set(float32.map((one) => one.classes))].sort((a, b) => a - b);
  const drawn = lines
    .map((line) => ({
      ...line,
      points: classes.flatMap((width) => {
        // The shape with the most rows stands for a width.
        const found = float32
          .filter((one) => one.classes === width && line.is(one))
          .sort((a, b) => b.rows - a.rows)[0];
        return found === undefined ? [] : [{ classes: width, share: 1 / found.toCopy }];
      }),
    }))
    .filter(({ points }) => points.length > 0);
  const top = Math.max(1, ...drawn.flatMap(({ points }) => points.map(({ share }) => share)));
  const { height, marginTop, marginBottom } = { height: 320, marginTop: 20, marginBottom: 30 };
  const inner = height - marginTop - marginBottom;
  drawn.sort((a, b) => b.points.at(-1)!.share - a.points.at(-1)!.share);
  const ends = drawn.map(({ points }) => (1 - points.at(-1)!.share / top) * inner);
  const places = apart(ends, 16, inner);
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const svg = Plot.plot({
    document: document as never, // linkedom's, without the types of a browser
    width: 760,
    height,
    marginTop,
    marginBottom,
    marginRight: 190,
    marginLeft: 50,
    style: { fontFamily: 'inherit', fontSize: '13px', background: 'none', overflow: 'visible' },
    x: { type: classes.length > 1 ? 'log' : 'point', domain: classes },
    y: { domain: [0, top] },
    marks: [
      Plot.gridY({ ticks: 5, stroke: 'var(--grid)', strokeOpacity: 1 }),
      Plot.axisX(classes, { tickFormat: String, label: 'classes', color: 'var(--faint)' }),
      Plot.axisY({
        ticks: 5,
        tickSize: 0,
        label: null,
        color: 'var(--faint)',
        tickFormat: (share: number) => `${Math.round(100 * share)} %`,
      }),
      ...drawn.flatMap(({ points, color, dashes, label }, i) => [
        Plot.line(points, {
          x: 'classes',
          y: 'share',
          stroke: color,
          strokeWidth: 2.25,
          strokeDasharray: dashes,
        }),
        Plot.dot(points, { x: 'classes', y: 'share', r: 3, fill: color }),
        Plot.text(points.slice(-1), {
          x: 'classes',
          y: 'share',
          dx: 9,
          dy: places[i]! - ends[i]!,
          textAnchor: 'start',
          fill: color,
          fontWeight: 600,
          text: () => label,
        }),
      ]),
    ],
  });
  svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  svg.setAttribute('role', 'img');
  svg.setAttribute(
    'aria-label',
    drawn
      .map(({ label, points }) => `${label}: ${Math.round(100 * points.at(-1)!.share)} % of copy`)
      .join(', '),
  );
  svg.removeAttribute('width');
  svg.removeAttribute('height');
  return svg.outerHTML;
}
