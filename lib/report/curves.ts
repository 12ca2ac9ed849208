import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import type { Certificate, TrustCurve } from '../bench/curves.ts';
import { csv } from '../data/csv.ts';
import { writeWhole } from '../data/files.ts';
import type { Environment } from '../environment.ts';
import { escapeHtml, htmlPage, prose } from './escape.ts';
import { apart } from './plots.ts';
import { align } from './table.ts';

/** The probabilities of a table; the curves have some near each. */
const shown = [1e-4, 1e-2, 0.1, 0.5, 0.9];

/** What each loss makes of a token, and how near its gradient came to its bound, for a terminal. */
export function curvesTable(
  curves: readonly TrustCurve[],
  certificates: readonly Certificate[],
): string {
  const header = ['weight at p =', ...shown.map(String), 'bound', 'reached', 'share'];
  return align([header, ...curves.map((curve, i) => cellsOf(curve, certificates[i]!))]);
}

/** `<path>.csv` with a line for each point, `<path>-bounds.csv`, and `<path>.html` with a plot. */
export async function writeCurves(
  path: string,
  curves: readonly TrustCurve[],
  certificates: readonly Certificate[],
  seed: number,
  { commit }: Environment,
): Promise<void> {
  const about = {
    commit: commit?.replace(/^([\da-f]{7})[\da-f]*/, '$1'),
    date: new Date().toISOString().slice(0, 10),
  };
  const points = curves.flatMap(({ title, points }) =>
    points.map(({ probability, weight }) => ({
      loss: title,
      probability: probability.toPrecision(6),
      weight: weight.toPrecision(6),
      ...about,
    })),
  );
  const bounds = certificates.map(({ title, rows, bound, most, exceeds }) => ({
    loss: title,
    rows,
    seed,
    bound: bound.toPrecision(7),
    most: most.toPrecision(7),
    share: (most / bound).toFixed(6),
    exceeds,
    ...about,
  }));
  await writeWhole(`${path}.csv`, csv(points));
  await writeWhole(`${path}-bounds.csv`, csv(bounds));
  await writeWhole(`${path}.html`, page(curves, certificates));
}

function cellsOf({ title, points }: TrustCurve, { bound, most, exceeds }: Certificate): string[] {
  const weightAt = (wanted: number) => {
    const distance = (p: number) => Math.abs(Math.log(p / wanted));
    const nearest = points.reduce((a, b) =>
      distance(b.probability) < distance(a.probability) ? b : a,
    );
    return nearest.weight.toPrecision(3);
  };
  const share = `${((100 * most) / bound).toFixed(2)} %${exceeds ? ', EXCEEDED' : ''}`;
  return [title, ...shown.map(weightAt), bound.toPrecision(5), most.toPrecision(5), share];
}

function page(curves: readonly TrustCurve[], certificates: readonly Certificate[]): string {
  const rows = certificates.map(
    ({ title, bound, most, rows, exceeds }) =>
      `<tr><th scope="row">${escapeHtml(title)}</th><td>${bound.toPrecision(5)}</td><td>${most.toPrecision(5)}</td><td>${((100 * most) / bound).toFixed(2)} %</td><td>${rows.toLocaleString('en')}</td><td>${exceeds ? 'exceeded' : 'holds'}</td></tr>`,
  );
  return htmlPage(
    'What a token counts',
    `<header>
<h1>What a token counts</h1>
<p class="lead">${prose('How hard each loss pulls a token whose label has some probability, beside cross-entropy, which pulls all alike. What is steep forgets rare tokens: poison that is not learnt yet, and whatever else is rare.')}</p>
</header>
<main>
<figure><figcaption><h3>Weight of a token</h3><p>by the probability of its label; both logarithmic, measured where another token has the rest; DeCE with base 0.8 and a smoothing of 0.05</p></figcaption>${plot(curves)}</figure>
<section><h2>Bounds of the gradient</h2><div class="scroll"><table>
<thead><tr>${['loss', 'gradientBound', 'largest found', 'share', 'random rows', 'bound'].map((name) => `<th scope="col">${name}</th>`).join('')}</tr></thead>
<tbody>${rows.join('\n')}</tbody>
</table></div></section>
</main>`,
  );
}

/** What the plot shows of probabilities and of weights. */
const rarest = 0.99e-4;
const [least, most] = [0.9e-6, 10];
const colors: Record<string, readonly string[]> = {
  ce: ['var(--none)'],
  dece: ['var(--dece)', 'var(--dece)', 'var(--dece-2)', 'var(--dece-3)'],
  gce: ['var(--gce)'],
  'in-trust': ['var(--in-trust)'],
  custom: ['var(--label-smoothing)', 'var(--label-smoothing-3)'],
};
const dashes = ['none', '7 4', '2 3', '9 3 2 3'];

function plot(curves: readonly TrustCurve[]): string {
  const before = new Map<string, number>();
  const drawn = curves.map(({ title, options: { name }, points }) => {
    const place = before.get(name) ?? 0;
    before.set(name, place + 1);
    const visible = points.filter(
      ({ probability, weight }) => probability >= rarest && weight >= least && weight <= most,
    );
    return {
      title,
      color: colors[name]?.[place] ?? 'var(--ink)',
      dash: dashes[place % 4]!,
      visible,
    };
  });
  // Named at the left end, where the curves differ most.
  const { width, height, marginTop, marginBottom } = {
    width: 760,
    height: 380,
    marginTop: 20,
    marginBottom: 40,
  };
  const inner = height - marginTop - marginBottom;
  const drop = (weight: number) => (inner * Math.log(most / weight)) / Math.log(most / least);
  drawn.sort((a, b) => drop(a.visible[0]!.weight) - drop(b.visible[0]!.weight));
  const ends = drawn.map(({ visible }) => drop(visible[0]!.weight));
  const places = apart(ends, 16, inner);
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const svg = Plot.plot({
    document: document as never, // linkedom's, without the types of a browser
    width,
    height,
    marginTop,
    marginBottom,
    marginLeft: 200,
    marginRight: 64,
    style: { fontFamily: 'inherit', fontSize: '13px', background: 'none', overflow: 'visible' },
    x: { type: 'log', domain: [rarest, 1] },
    y: { type: 'log', domain: [least, most] },
    marks: [
      Plot.gridY({ ticks: 5, stroke: 'var(--grid)', strokeOpacity: 1 }),
      Plot.axisX({
        ticks: 4,
        tickFormat: String,
        label: 'probability of the label',
        color: 'var(--faint)',
      }),
      Plot.axisY({
        anchor: 'right',
        ticks: 7,
        tickSize: 0,
        tickFormat: String,
        label: null,
        color: 'var(--faint)',
      }),
      ...drawn.flatMap(({ title, color, dash, visible }, i) => [
        Plot.line(visible, {
          x: 'probability',
          y: 'weight',
          stroke: color,
          strokeWidth: 2.25,
          strokeDasharray: dash,
        }),
        Plot.text([title], {
          x: () => rarest,
          y: () => visible[0]!.weight,
          dx: -9,
          dy: places[i]! - ends[i]!,
          textAnchor: 'end',
          fill: color,
          fontWeight: 600,
        }),
      ]),
    ],
  });
  svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  svg.setAttribute('role', 'img');
  svg.setAttribute(
    'aria-label',
    `weights of tokens under ${drawn.map(({ title }) => title).join(', ')}`,
  );
  svg.removeAttribute('width');
  svg.removeAttribute('height');
  return svg.outerHTML;
}
