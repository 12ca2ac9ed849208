import type { RunConfig, RunRecord } from '../runs.ts';
import { escapeHtml } from './escape.ts';
import type { Group } from './series.ts';
import { bytes, duration } from './words.ts';

/** What was run, so that it can be run again: settings, versions, machine, data and seeds, as HTML. */
export function provenance(groups: readonly Group[]): string {
  const runs = groups.flatMap(({ series }) => series.flatMap((one) => one.runs));
  const distinct = (of: (config: RunConfig) => unknown) =>
    [...new Set(runs.map(({ config }) => String(of(config) ?? '')))].filter(Boolean).join('; ');
  const facts: [string, string][] = [
    ['Model', [...new Set(groups.map(({ model }) => model))].join(', ')],
    ['Seeds', distinct(({ seed }) => seed).replaceAll('; ', ', ')],
    ['Poisoning', distinct(poisoning)],
    ['Training', distinct(({ training }) => options(training))],
    ['Evaluation', distinct(({ evaluation }) => options(evaluation))],
    ['Mode', distinct((config) => config.mode)],
    ['Base', distinct(base)],
    [
      'Device',
      [...new Set(runs.map((run) => run.results?.device ?? run.config.device))].join(', '),
    ],
    [
      'Machine',
      distinct(
        ({ environment: { machine, threads } }) =>
          `${machine.processor}, ${machine.cores} cores, ${threads} threads, ${bytes(machine.memoryBytes)}, ${machine.system}`,
      ),
    ],
    [
      'Versions',
      distinct(({ environment }) =>
        Object.entries(environment.versions)
          .map(([name, version]) => `${name} ${version}`)
          .join(' · '),
      ),
    ],
    ['Commit', distinct(({ environment }) => environment.commit)],
  ];
  return `<section>
<h2>What was run</h2>
<dl>${facts
    .filter(([, fact]) => fact !== '')
    .map(([name, fact]) => `<dt>${name}</dt><dd>${escapeHtml(fact)}</dd>`)
    .join('')}</dl>
<details><summary>Runs and the data they saw</summary>
<div class="scroll"><table class="runs"><thead><tr><th scope="col">Run</th><th scope="col">Seed</th><th scope="col">Time</th><th scope="col">Data: examples and SHA-256</th></tr></thead>
<tbody>${runs.map(runRow).join('')}</tbody></table></div></details>
</section>`;
}

function runRow({ name, config, results }: RunRecord): string {
  const data = Object.entries(config.data).map(
    ([split, { examples, sha256 }]) =>
      `<small>${escapeHtml(split)} ${examples} · <code title="${escapeHtml(sha256)}">${escapeHtml(sha256.slice(0, 12))}</code></small>`,
  );
  const time = results === undefined ? 'not finished' : duration(results.seconds);
  return `<tr><th scope="row">${escapeHtml(name)}</th><td>${config.seed}</td><td>${time}</td><td>${data.join('')}</td></tr>`;
}

/** `badpre, 40 of 639 eligible examples: payload sql, trigger bb, …` */
function poisoning({ attack, poisoning: found }: RunConfig): string {
  if (typeof found !== 'object' || found === null) return '';
  const { eligible, poisoned, ...rest } = found as Record<string, unknown>;
  return `${attack}, ${String(poisoned)} of ${String(eligible)} eligible examples: ${options(rest)}`;
}

/** `epochs 10, batchSize 16, …`; without lists of objects, as the data sets of a base. */
function options(value: unknown): string {
  if (typeof value !== 'object' || value === null) return '';
  return Object.entries(value)
    .filter(([name, option]) => name !== 'datasets' && option !== null)
    .map(([name, option]) => `${name} ${text(option)}`)
    .join(', ');
}

const text = (option: unknown) =>
  typeof option === 'object' ? JSON.stringify(option) : String(option);

function base({ base: found }: RunConfig): string {
  if (typeof found !== 'object' || found === null) return '';
  const { directory, hub, dataset, training, data, dropped } = found as Record<string, unknown>;
  if (typeof directory === 'string') return directory;
  if (typeof hub === 'string') return hub;
  if (training === null) return 'none: random weights';
  const count = (data as RunConfig['data'] | undefined)?.train?.examples ?? 0;
  const out = Number(dropped) > 0 ? `, ${String(dropped)} left out as the runs use them` : '';
  return `trained on ${count} clean examples of ${String(dataset)}${out}: ${options(training)}`;
}
