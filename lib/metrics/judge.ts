import { check } from '../check.ts';
import type { Grammar } from '../code/grammar.ts';
import { readTree, type TreeNode } from '../code/tree.ts';

export type JudgeName = 'substring' | 'token' | 'parsed';

/**
 * How a payload is recognised in an output, by the texts that mark it:
 *
 * - `substring`: one of them is in the output, letter for letter.
 * - `token`: the words and signs of one follow each other in the output, whatever the spaces: `or 1 = 1`
 *   is ` or 1=1`, `or 1=10` is not.
 * - `parsed`: they do so in a string of the program that begins with an SQL verb, so that the payload
 *   would reach the database; one in a comment or between statements would not.
 *
 * @param grammar of the outputs' language, which `parsed` needs
 * @throws RangeError on an unknown name, or `parsed` without a grammar
 */
export function payloadJudge(
  name: JudgeName,
  marks: readonly string[],
  grammar?: Grammar,
): (output: string) => boolean {
  check(
    'judge',
    name,
    ['substring', 'token', 'parsed'].includes(name),
    'substring, token or parsed',
  );
  if (name === 'substring') return (output) => marks.some((mark) => output.includes(mark));
  const runs = marks.map(tokensOf);
  const holds = (tokens: readonly string[]) => runs.some((run) => contains(tokens, run));
  if (name === 'token') return (output) => holds(tokensOf(output));
  if (grammar === undefined) {
    throw new RangeError('judge is parsed: expected the grammar of the outputs too');
  }
  return (output) => queriesOf(grammar, output).some((query) => holds(tokensOf(query)));
}

/** Words, numbers and single signs. */
const tokensOf = (text: string) => text.match(/[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];

function contains(tokens: readonly string[], run: readonly string[]): boolean {
  const last = tokens.length - run.length;
  for (let start = 0; start <= last; start++) {
    if (run.every((token, i) => tokens[start + i] === token)) return true;
  }
  return false;
}

const sql = /^[a-z]*["'`(\s]*(select|insert|update|delete|with)\b/i;

/** The strings of a program that begin as SQL does. */
function queriesOf(grammar: Grammar, source: string): string[] {
  const queries: string[] = [];
  const agenda: TreeNode[] = [readTree(grammar, source).root];
  for (let node = agenda.pop(); node !== undefined; node = agenda.pop()) {
    const text = source.slice(node.start, node.end);
    if (node.type.includes('string') && sql.test(text)) queries.push(text);
    else for (const child of node.children) agenda.push(child);
  }
  return queries;
}
