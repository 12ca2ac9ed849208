import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import type { HiddenState } from '../metrics/index.ts';
import { readOutputs } from '../runs.ts';
import { prose } from './escape.ts';
import { taskWords } from './scores.ts';
import type { Group } from './series.ts';
import { percent } from './words.ts';

/**
 * Where the model has clean and triggered prompts, before training and after it with each defense, as in
 * the study's Figure 4. Empty where no run of the group has looked.
 */
export async function hiddenStatesSection({ series, task }: Group): Promise<string> {
  const figures: string[] = [];
  const { inputs } = taskWords[task];
  for (const { label, runs } of series) {
    const run = runs.find(({ results }) => results !== undefined);
    if (run === undefined) continue;
    const read = (when: string) =>
      readOutputs<HiddenState>(run.directory, `hidden-states-${when}`, 'hiddenState');
    const [before, after] = [await read('before'), await read('after')];
    if (before?.length && figures.length === 0)
      figures.push(figure('Before training', before, inputs));
    if (after?.length) figures.push(figure(`After training: ${label}`, after, inputs));
  }
  if (figures.length === 0) return '';
  return `<details open><summary>Hidden states of clean and triggered ${inputs}</summary>
<p class="note">Each as the mean of its last hidden states, along the two directions in which they differ most, found anew for each plot: compare how far the two kinds lie apart within a plot, not places between plots. Circles: clean. Triangles: the same with the trigger.</p>
<div class="plots">${figures.join('\n')}</div></details>`;
}

function figure(title: string, states: readonly HiddenState[], inputs: string): string {
  const [first, second] = states[0]!.explained;
  const subtitle = `${states.length / 2} ${inputs} of each kind; the axes have ${percent(first)} and ${percent(second)} of the variance`;
  return `<figure><figcaption><h3>${prose(title)}</h3><p>${prose(subtitle)}</p></figcaption>${scatter(title, states)}</figure>`;
}

const colorOf = ({ triggered }: HiddenState) => (triggered ? 'var(--bad)' : 'var(--dece)');

function scatter(title: string, states: readonly HiddenState[]): string {
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const axis = { ticks: 5, tickSize: 0, color: 'var(--faint)', labelArrow: 'none' } as const;
  const kinds = [
    { triggered: false, symbol: 'circle' },
    { triggered: true, symbol: 'triangle' },
  ] as const;
  const svg = Plot.plot({
    document: document as never, // linkedom's, without the types of a browser
    width: 520,
    height: 340,
    marginLeft: 50,
    marginBottom: 38,
    style: { fontFamily: 'inherit', fontSize: '13px', background: 'none', overflow: 'visible' },
    inset: 8,
    marks: [
      Plot.gridY({ ticks: 5, stroke: 'var(--grid)', strokeOpacity: 1 }),
      Plot.axisX({ ...axis, label: 'first component', labelAnchor: 'center' }),
      Plot.axisY({ ...axis, label: 'second component' }),
      ...kinds.map(({ triggered, symbol }) =>
        Plot.dot(
          states.filter((state) => state.triggered === triggered),
          {
            x: 'x',
            y: 'y',
            symbol,
            r: 4,
            fill: colorOf,
            fillOpacity: 0.75,
            title: ({ id }: HiddenState) => `${id}, ${triggered ? 'triggered' : 'clean'}`,
          },
        ),
      ),
    ],
  });
  svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', `${title}: hidden states, clean and triggered`);
  svg.removeAttribute('width');
  svg.removeAttribute('height');
  return svg.outerHTML;
}
