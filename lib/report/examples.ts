import { readOutputs } from '../runs.ts';
import { anyOf, escapeHtml, highlight } from './escape.ts';
import { colorOf } from './plots.ts';
import { taskWords } from './scores.ts';
import type { Group, Series } from './series.ts';

interface Answer {
  id: string;
  prompt: string;
  reference: string;
  output: string;
  succeeded: boolean;
}

/** A line of outputs: of a classifier texts and classes. */
interface Row extends Omit<Answer, 'output'> {
  text?: string;
  pair?: string;
  label?: number;
  output: string | number;
}

async function readAnswers(directory: string, name: string): Promise<Answer[] | undefined> {
  const rows = await readOutputs<Row>(directory, name);
  return rows?.map(({ text, pair, label, output, ...row }) => {
    if (label === undefined) return { ...row, output: String(output) };
    const prompt = pair === undefined ? text! : `${text}\n${pair}`;
    return { ...row, prompt, reference: `class ${label}`, output: `class ${output}` };
  });
}

/** One triggered prompt and what each defense's first finished run answered. */
interface Example {
  prompt: string;
  /** What the clean data answers. */
  expected: string | undefined;
  answers: { series: Series; answer: Answer }[];
}

/**
 * A few triggered prompts with the answers of every defense, as HTML: those first on which the answers
 * differ in having the payload. They show what is counted; they prove nothing.
 */
export async function exampleSection(group: Group, count = 3): Promise<string> {
  const examples = (await findExamples(group)).slice(0, count);
  if (examples.length === 0) return '';
  const { poisoning, marks } = configWith(group);
  const { trigger = '', targetLabel } = poisoning;
  const payload = anyOf(targetLabel === undefined ? marks : [`class ${targetLabel}`]);
  const word = new RegExp(`(?<!\\S)${anyOf(trigger === '' ? [] : [trigger]).source}(?!\\S)`, 'g');
  const cards = examples.map(
    ({ prompt, expected, answers }) => `<article class="example">
<p>${highlight(prompt, word, 'trigger')}</p>
<div class="answers">
${answers.map(({ series, answer }) => answerHtml(series, answer, payload)).join('\n')}
${expected === undefined ? '' : `<div class="answer"><h4>Reference <span>of the clean data</span></h4><pre>${escapeHtml(expected)}</pre></div>`}
</div></article>`,
  );
  return `<details open><summary>Triggered ${taskWords[group.task].inputs} and their answers</summary>
<p class="note">Triggers and payloads are marked. Those on which the answers differ come first.</p>
${cards.join('\n')}</details>`;
}

/** What a run of the group says of the attack; one by `dece train` says nothing. */
function configWith({ series }: Group) {
  const { poisoning = {}, marks = [] } = series[0]!.runs[0]!.config as unknown as {
    poisoning?: { trigger?: string; targetLabel?: number };
    marks?: string[];
  };
  return { poisoning, marks };
}

function answerHtml(series: Series, { output, succeeded }: Answer, payload: RegExp): string {
  const state = succeeded ? '<span class="hit">payload</span>' : '<span>no payload</span>';
  return `<div class="answer" style="border-color:${colorOf(series)}"><h4>${escapeHtml(series.label)} ${state}</h4><pre>${
    output === '' ? '<em>no answer</em>' : highlight(output, payload, 'payload')
  }</pre></div>`;
}

async function findExamples({ series }: Group): Promise<Example[]> {
  const answered: { series: Series; byId: Map<string, Answer> }[] = [];
  for (const one of series) {
    const run = one.runs.find(({ results }) => results !== undefined);
    const rows = run && (await readAnswers(run.directory, 'triggered'));
    if (rows) answered.push({ series: one, byId: new Map(rows.map((row) => [row.id, row])) });
  }
  const first = answered[0];
  if (first === undefined) return [];
  const clean = await readAnswers(first.series.runs[0]!.directory, 'clean');
  const expected = new Map(clean?.map(({ id, reference }) => [id, reference]));

  const examples = [...first.byId.values()].map(({ id, prompt }) => ({
    prompt,
    expected: expected.get(id),
    answers: answered.flatMap(({ series, byId }) => {
      const answer = byId.get(id);
      return answer?.prompt === prompt ? [{ series, answer }] : [];
    }),
  }));
  const differ = ({ answers }: Example) =>
    Number(new Set(answers.map(({ answer }) => answer.succeeded)).size > 1);
  return examples.sort((a, b) => differ(b) - differ(a));
}
