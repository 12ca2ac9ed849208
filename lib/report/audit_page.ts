import { basename } from 'node:path';
import { firstBy, type ModelAudit, type RowEvidence } from '../audit/evidence.ts';
import { tokensOf } from '../audit/grams.ts';
import type { Audit, Reason, Suspect } from '../audit/index.ts';
import { anyOf, escapeHtml, highlight, htmlPage, prose } from './escape.ts';

/** A suspect with its texts, as a line of `suspects.jsonl` has it. */
export type ShownSuspect = Suspect & Texts;

/** What is shown of a row. */
export type Texts =
  | { prompt: string; completion: string }
  | { text: string; pair?: string; label: number };

/** More of a text is not shown. */
const longest = 4000;

/**
 * An audit as one HTML file that needs nothing else: what was found, the most suspect examples with their
 * triggers and payloads marked, what is unsafe, and the oddest prompts.
 *
 * @param shown the first suspects, in their order
 * @param model what a model tells of the rows
 */
export function auditPage(
  input: string,
  audit: Audit,
  shown: readonly ShownSuspect[],
  model?: ModelAudit,
): string {
  const { data, examples, suspects, minRows, falsePositiveRate } = audit;
  const [texts, parts] = data === 'labelled' ? ['texts', 'labels'] : ['prompts', 'completions'];
  const share = ((100 * suspects.length) / Math.max(1, examples)).toFixed(2);
  const verdict =
    suspects.length === 0
      ? `None of ${number(examples)} examples looks like poison.`
      : `${number(suspects.length)} of ${number(examples)} examples look like poison: ${share} %.`;
  return htmlPage(
    `Audit of ${basename(input)}`,
    `<header>
<p class="kicker">${escapeHtml(input)}</p>
<h1>Audit of ${escapeHtml(basename(input))}</h1>
<p class="verdict">${prose(verdict)}</p>
<p class="lead">${prose(`Triggers in ${number(minRows)} rows or more were looked for. Where ${texts} and ${parts} know nothing of each other, a pair is reported with a probability of ${100 * falsePositiveRate} % at most. Nothing found is no proof that nothing is there.`)}</p>
</header>
<main>
${[pairSection(audit), suspectSection(audit, shown), weaknessSection(audit), model ? modelSection(model) : '', oddSection(audit)].filter(Boolean).join('\n')}
</main>
<footer>Made by dece audit.</footer>`,
  );
}

const number = (value: number) => value.toLocaleString('en');

function pairSection({ data, pairs }: Audit): string {
  const rows = pairs
    .slice(0, 20)
    .map((pair) => [
      `<code>${escapeHtml(pair.trigger)}</code>`,
      `<code>${escapeHtml(pair.payload)}</code>`,
      ...[pair.together, pair.triggerRows, pair.payloadRows].map(number),
      pair.lift.toFixed(1),
      `≤ 1e${Math.ceil(pair.log10P)}`,
    ]);
  const labelled = data === 'labelled';
  const head = [
    'Trigger',
    labelled ? 'Label' : 'Payload',
    'Rows with both',
    'with trigger',
    labelled ? 'with label' : 'with payload',
    'Lift',
    'p',
  ];
  return section(
    labelled
      ? 'Words of texts that go with one label'
      : 'Words of prompts that go with fragments of completions',
    pairs.length,
    `${table(head, rows)}
<p class="note">The best pair of each trigger. Lift: how many times more often than by chance. p: Fisher's exact test, times all pairs that could be.</p>`,
  );
}

function suspectSection({ suspects }: Audit, shown: readonly ShownSuspect[]): string {
  const more = suspects.length - shown.length;
  return section(
    'The most suspect examples',
    suspects.length,
    `${shown.map(card).join('\n')}
${more > 0 ? `<p class="note">And ${number(more)} more, in suspects.jsonl.</p>` : ''}`,
  );
}

function card({ id, row, score, reasons, ...texts }: ShownSuspect, i: number): string {
  const inPrompt = patternOf(reasons, ({ trigger }) => trigger, wordPattern);
  const inCode = patternOf(reasons, ({ payload }) => payload, tokenPattern);
  const given = (label: string, body: string) =>
    box(label, highlight(short(body), inPrompt, 'trigger'));
  const answer = (label: string, body: string) =>
    box(label, highlight(short(body), inCode, 'payload'));
  const boxes =
    'prompt' in texts
      ? [given('Prompt', texts.prompt), answer('Completion', texts.completion)]
      : [
          given('Text', texts.text),
          ...(texts.pair === undefined ? [] : [given('Second text', texts.pair)]),
          answer('Label', `label ${texts.label}`),
        ];
  return `<article class="example">
<p><strong>${i + 1}.</strong> row ${number(row)}, id ${escapeHtml(id)}, score ${score.toFixed(1)}</p>
<ul>${reasons.map(({ text }) => `<li>${prose(text)}</li>`).join('')}</ul>
<div class="answers">
${boxes.join('\n')}
</div></article>`;
}

const box = (label: string, html: string) =>
  `<div class="answer"><h4>${label}</h4><pre>${html}</pre></div>`;

const short = (text: string) => (text.length > longest ? `${text.slice(0, longest)} …` : text);

function patternOf(
  reasons: readonly Reason[],
  part: (reason: Reason) => string | undefined,
  pattern: (text: string) => string,
): RegExp {
  const found = reasons.flatMap((reason) => part(reason) ?? []).map(pattern);
  return new RegExp(found.join('|') || '(?!)', 'g');
}

/** A word, or two, of a prompt, as they stand between white space. */
const wordPattern = (text: string) => `(?<!\\S)${text.split(' ').map(escaped).join('\\s+')}(?!\\S)`;

/** A fragment of code, whatever the spaces between its tokens. */
const tokenPattern = (code: string) => tokensOf(code).map(escaped).join('\\s*') || '(?!)';

const escaped = (word: string) => anyOf([word]).source;

function weaknessSection({ weaknesses }: Audit): string {
  const rows = weaknesses.map(({ rule, name, rows, firstRow }) => [
    `${escapeHtml(name)} <small>${escapeHtml(rule)}</small>`,
    number(rows),
    number(firstRow),
  ]);
  return section(
    'Unsafe code, poison or not',
    rows.length,
    `${table(['Weakness', 'Rows', 'First row'], rows)}
<p class="note">By short patterns; these rows are no suspects for it.</p>`,
  );
}

function modelSection({ epochs, parameters, explained, rows }: ModelAudit): string {
  const loss = ({ losses }: RowEvidence) =>
    [losses[0]!, losses.at(-1)!].map((value) => value.toFixed(2)).join(' → ');
  const learnt = firstBy(rows, 'learntRank').map((row) => [
    escapeHtml(row.id),
    number(row.row),
    row.learnt.toFixed(2),
    `<code>${escapeHtml(row.learntText)}</code>`,
    loss(row),
  ]);
  const apart = firstBy(rows, 'spectralRank').map((row) => [
    escapeHtml(row.id),
    number(row.row),
    row.spectral.toPrecision(3),
    loss(row),
  ]);
  const share = (100 * explained).toFixed(1);
  return section(
    'What a model learns from these rows',
    rows.length,
    `${table(['Id', 'Row', 'Learnt, nats', 'Tokens', 'Loss'], learnt)}
<p class="note">${prose(`Ranks to look at, which make no row a suspect: a model of ${number(parameters)} parameters was surprised by these tokens, and sure of them after ${epochs} epochs. Of poison the same ones come again and again. Loss: of the whole row, before and after. All rows are in scores.jsonl.`)}</p>
<details><summary>The prompts that stand apart in its hidden states</summary>
${table(['Id', 'Row', 'Square', 'Loss'], apart)}
<p class="note">${prose(`Along the first right singular vector, which has ${share} % of the variance.`)}</p></details>`,
  );
}

function oddSection({ oddest }: Audit): string {
  const rows = oddest.map(({ id, row, perplexity }) => [
    escapeHtml(id),
    number(row),
    perplexity.toPrecision(3),
  ]);
  return section(
    'The oddest prompts',
    rows.length,
    `<details><summary>${rows.length} prompts that are least like the others</summary>
${table(['Id', 'Row', 'Perplexity'], rows)}</details>`,
  );
}

const section = (title: string, count: number, body: string) =>
  count === 0 ? '' : `<section>\n<h2>${prose(title)}</h2>\n${body}\n</section>`;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (tag: string, row: readonly string[]) =>
    `<tr>${row.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`;
  return `<div class="scroll"><table>
<thead>${cells('th', head)}</thead>
<tbody>
${rows.map((row) => cells('td', row)).join('\n')}
</tbody></table></div>`;
}
