import { escapeHtml, htmlPage, prose } from './escape.ts';
import { exampleSection } from './examples.ts';
import { hiddenStatesSection } from './hidden_states.ts';
import { colorOf, curves, dashesOf, plotCurve } from './plots.ts';
import { provenance } from './provenance.ts';
import { type ScoreName, scores, taskWords } from './scores.ts';
import type { Group, Outcome, Series } from './series.ts';
import { measuredScores } from './table.ts';
import { bytes, duration, interval, notes, percent, spreadText, verdicts } from './words.ts';

/** The page of a set of runs: one file that asks nothing of the network and runs no script. */
export async function page(
  title: string,
  description: string,
  groups: readonly Group[],
): Promise<string> {
  const sentences = verdicts(groups).map((text) =>
    text === undefined ? '' : `<p class="verdict">${prose(text)}</p>`,
  );
  const one = groups.length === 1;
  const sections: string[] = [];
  for (const [i, group] of groups.entries()) {
    sections.push(await section(group, one ? '' : sentences[i]!));
  }
  const lead = one ? sentences[0]! : '';
  return htmlPage(
    title,
    `<header>
<h1>${escapeHtml(title)}</h1>
${lead}
${description === '' ? '' : `<p class="lead">${prose(description)}</p>`}
</header>
<main>
${sections.join('\n')}
${provenance(groups)}
</main>`,
  );
}

async function section(group: Group, sentence: string): Promise<string> {
  const plots = curves(group).flatMap((curve) => {
    const svg = plotCurve(curve, group.series);
    if (svg === undefined) return [];
    return `<figure><figcaption><h3>${prose(curve.title)}</h3><p>${prose(curve.subtitle)}</p></figcaption>${svg}</figure>`;
  });
  return `<section>
<h2>${prose(group.title)}</h2>
${sentence}
${legend(group.series)}
<div class="plots">${plots.join('\n')}</div>
${table(group)}
${await hiddenStatesSection(group)}
${await exampleSection(group)}
</section>`;
}

function legend(series: readonly Series[]): string {
  const keys = series.map(
    (one) =>
      `<li><svg viewBox="0 0 30 10" aria-hidden="true"><line x1="0" x2="30" y1="5" y2="5" stroke="${colorOf(one)}" stroke-width="3" stroke-dasharray="${dashesOf(one)}"/></svg>${escapeHtml(one.label)}</li>`,
  );
  return `<ul class="legend">${keys.join('')}</ul>`;
}

function table(group: Group): string {
  const { series, split, task } = group;
  const measured = measuredScores(group);
  const heads = measured.map((name) => `<th scope="col">${scores[name].heading}</th>`).join('');
  const several = series.some(({ runs }) => runs.length > 1);
  return `<div class="scroll"><table>
<thead><tr><th scope="col">Defense</th><th scope="col">Attack success rate</th>${heads}<th scope="col">Right under trigger</th><th scope="col">False triggers</th><th scope="col">Time</th><th scope="col">Memory</th></tr></thead>
<tbody>
${series.map((one) => row(one, several, measured)).join('\n')}
</tbody></table></div>
<p class="note">Measured at the end of training on the test split; the curves above are on the ${split} split. ${prose(taskWords[task].notes)}${several ? ` Several seeds: ${taskWords[task].inputs} are pooled for rates; other numbers are means, with the lowest and highest run.` : ''}</p>
${notes(group)
  .map((note) => `<p class="note">${prose(note)}</p>`)
  .join('\n')}`;
}

function row(series: Series, several: boolean, measured: readonly ScoreName[]): string {
  const { label, runs, outcome } = series;
  const options = optionText(series);
  const seeds = several ? `${runs.length} ${runs.length === 1 ? 'seed' : 'seeds'}` : '';
  const small = [options, seeds].filter((text) => text !== '').join(' · ');
  const head = `<th scope="row"><span class="key" style="background:${colorOf(series)}"></span>${escapeHtml(label)}${small === '' ? '' : `<small>${escapeHtml(small)}</small>`}</th>`;
  if (outcome === undefined) {
    return `<tr>${head}<td colspan="${5 + measured.length}">${stateText(series)}</td></tr>`;
  }
  return `<tr>${head}${cells(series, outcome, measured)}</tr>`;
}

/** Of runs without results of the test split. */
const stateText = ({ runs, curve }: Series) =>
  runs.every(({ results }) => results)
    ? 'not evaluated'
    : `not finished; epoch ${curve.at(-1)?.epoch ?? 0} so far`;

function cells(series: Series, outcome: Outcome, measured: readonly ScoreName[]): string {
  const { attackSuccessRate: rate, falseTriggerRate: clean, rightUnderTrigger: right } = outcome;
  const [low, high] = rate.interval.map((end) => (100 * end).toFixed(2));
  const bar = `<div class="bar" aria-hidden="true"><i style="left:${low}%;width:${(Number(high) - Number(low)).toFixed(2)}%;background:${colorOf(series)}"></i><b style="left:${(100 * Math.min(1, rate.rate)).toFixed(2)}%;background:${colorOf(series)}"></b></div>`;
  const two = (text: string, small: string) => `<td>${text}<small>${small}</small></td>`;
  return [
    `<td><strong>${percent(rate.rate)}</strong> <small>${interval(rate)} · ${rate.successes} of ${rate.eligible}</small>${bar}</td>`,
    ...measured.map((name, i) => {
      const found = outcome.scores[name];
      if (found === undefined) return '<td></td>';
      const { format } = scores[name];
      const [mean, low, high] = [found.mean, found.low, found.high].map((value) => format(value));
      const notes = [
        ...(low === high ? [] : [`${low}–${high}`]),
        ...(name === 'exactMatch' ? [copiesText(outcome)] : []),
      ].filter((note) => note !== '');
      const small = notes.map((note) => `<small>${note}</small>`).join('');
      return `<td>${i === 0 ? `<strong>${mean}</strong>` : mean}${small}</td>`;
    }),
    right === undefined
      ? '<td></td>'
      : two(percent(right.rate), `${right.successes} of ${right.eligible}`),
    two(percent(clean.rate), `${clean.successes} of ${clean.eligible}`),
    `<td>${duration(outcome.seconds.mean)}</td>`,
    `<td>${bytes(outcome.peakMemoryBytes)}</td>`,
  ].join('');
}

/** Nothing where no prompt was copied: models that translate copy none. */
function copiesText({ copyRate }: Outcome): string {
  return copyRate?.mean ? `${spreadText(copyRate, percent)} copied` : '';
}

/** The options that a label such as "DeCE 0.8 / 0.05" may not say. */
function optionText({ runs }: Series): string {
  const {
    name: _,
    label: __,
    mode,
    ...options
  } = runs[0]!.config.defense as unknown as Record<string, unknown>;
  const shown = Object.entries(options).map(([key, value]) => `${key} ${String(value)}`);
  return [...shown, ...(mode === 'reference' ? ['reference mode'] : [])].join(', ');
}
