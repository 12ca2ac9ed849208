import { checkObject, checkText, show } from '../check.ts';
import { readJsonLines } from './jsonl.ts';

/** A programming problem: a program is `before`, a completion, a line end and `after`. */
export interface Problem {
  id: string;
  /** What a model is asked to go on with. */
  prompt: string;
  before: string;
  /** The tests. */
  after: string;
  /** The completion that the data set gives. */
  reference: string;
}

/** What a model has written for the problem called `id`. */
export interface Completion {
  id: string;
  completion: string;
}

/**
 * The problems of a JSON Lines file in the form of HumanEval (`prompt`, `entry_point`, `test`,
 * `canonical_solution`), which is CodeHarmony's too, or of MBPP (`text` or `prompt`, `test_list`, `code`).
 *
 * @throws Error, with path and line, on rows of another form and on ids that recur
 *
 * @example
 * const problems = await readProblems(await findDataset('humaneval', 'test', process.env.DECE_DATA));
 */
export async function readProblems(path: string): Promise<Problem[]> {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  for (const row of await rowsOf(path)) {
    const problem = 'test_list' in row.values ? mbpp(row) : humanEval(row);
    if (seen.has(problem.id)) {
      throw new Error(`${row.where}: task_id is ${show(problem.id)} again: expected each once`);
    }
    seen.add(problem.id);
    problems.push(problem);
  }
  if (problems.length === 0) throw new Error(`${path} has no problems: expected a line for each`);
  return problems;
}

/**
 * What a model has written, from a JSON Lines file as HumanEval's own evaluation reads it: `task_id` and
 * `completion` in each line, several lines for a problem with several.
 *
 * @throws Error, with path and line, on rows without them
 */
export async function readCompletions(path: string): Promise<Completion[]> {
  return (await rowsOf(path)).map((row) => ({
    id: idOf(row),
    completion: textOf(row, 'completion'),
  }));
}

/** The program that tells whether a completion solves a problem: it comes to its end if it does. */
export function programOf(problem: Problem, completion: string): string {
  checkObject('problem', problem, 'one that readProblems gives');
  const { before, after } = problem;
  return `${before}${completion}\n${after}`;
}

interface Row {
  where: string;
  values: Record<string, unknown>;
}

async function rowsOf(path: string): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const some of readJsonLines(path)) {
    for (const { line, values } of some) rows.push({ where: `${path}, line ${line}`, values });
  }
  return rows;
}

/**
 * What belongs to a completion of a function that was begun: what a model has written up to the first
 * line that begins something else at the top level. Where a program is asked for from its beginning, as
 * in MBPP, it is taken as it is.
 */
export function cutCompletion(problem: Problem, text: string): string {
  checkObject('problem', problem, 'one that readProblems gives');
  checkText('text', text, 'a completion');
  const { before } = problem;
  const end = before === '' ? -1 : text.search(/^(?:(?:def|class|if|print)\b|[#@])/m);
  return end < 0 ? text : text.slice(0, end);
}

function humanEval(row: Row): Problem {
  const prompt = textOf(row, 'prompt');
  const after = `${textOf(row, 'test')}\ncheck(${textOf(row, 'entry_point')})\n`;
  const reference = textOf(row, 'canonical_solution');
  return { id: idOf(row), prompt, before: prompt, after, reference };
}

function mbpp(row: Row): Problem {
  const tests = textsOf(row, 'test_list').join('\n');
  const imports = 'test_imports' in row.values ? textsOf(row, 'test_imports').join('\n') : '';
  const setUp = 'test_setup_code' in row.values ? textOf(row, 'test_setup_code') : '';
  const task = textOf(row, 'text' in row.values ? 'text' : 'prompt');
  return {
    id: idOf(row),
    prompt: `"""\n${task}\n${tests}\n"""\n`,
    before: '',
    after: `${imports}\n${setUp}\n${tests}\n`,
    reference: textOf(row, 'code'),
  };
}

function idOf({ where, values }: Row): string {
  const id = values.task_id;
  if (typeof id === 'string' || Number.isInteger(id)) return String(id);
  throw missing(where, 'task_id', 'a string or a whole number', values);
}

function textOf({ where, values }: Row, name: string): string {
  const text = values[name];
  if (typeof text === 'string') return text;
  throw missing(where, name, 'a string', values);
}

function textsOf({ where, values }: Row, name: string): string[] {
  const texts = values[name];
  if (Array.isArray(texts) && texts.every((text) => typeof text === 'string')) return texts;
  throw missing(where, name, 'a list of strings', values);
}

function missing(where: string, name: string, expected: string, values: object): Error {
  const found = Object.keys(values).join(', ') || 'none';
  return new Error(`${where} has no ${name} that is ${expected}; its fields are ${found}`);
}
