import type { Grammar, Node } from '../code/grammar.ts';

/** A method's tokens, and its statements as the authors' code sees them. */
export interface JavaTokens {
  tokens: string[];
  statements: string[][];
}

const [before, after] = ['switch(x){case 1:', '}'];

/**
 * Reads a bare Java method as the authors' code does.
 *
 * Their grammar knew no method outside of a class: it took the head for a declaration whose `;` is
 * missing, and such a missing token is an empty one, which shows as a second space. Inside a `case` ours
 * does the same; of the 5,835 published rows 5,832 come out alike, the others but for one space.
 * Comments are no tokens, a text in quotes is one.
 *
 * Every token belongs to the innermost of the nodes called a statement, and a statement is a run of
 * tokens of one node: of `x = 1 ;` the assignment is one, and the `;` left over another.
 */
export function readJava(source: string, parse: Grammar): JavaTokens {
  const end = before.length + source.length;
  return parse(before + source + after, (root) => {
    const leaves = leavesOf(root).filter((leaf) => leaf.start >= before.length && leaf.end <= end);
    const statements: string[][] = [];
    for (const [i, { text, statement }] of leaves.entries()) {
      if (statement === 0) continue;
      if (leaves[i - 1]?.statement === statement) statements.at(-1)!.push(text);
      else statements.push([text]);
    }
    return { tokens: leaves.map(({ text }) => text), statements };
  });
}

interface Leaf {
  text: string;
  start: number;
  end: number;
  /** The number of the statement it is in, or 0. */
  statement: number;
}

const statementTypes = new Set([
  'local_variable_declaration',
  'assignment_expression',
  'expression_statement',
  'return_statement',
]);

/** In the order of the text, nested to any depth. */
function leavesOf(root: Node): Leaf[] {
  const leaves: Leaf[] = [];
  const agenda = [{ node: root, outer: 0 }];
  let entered = 0;
  for (let next = agenda.pop(); next !== undefined; next = agenda.pop()) {
    const { node, outer } = next;
    const { type, children } = node;
    const statement = statementTypes.has(type) ? ++entered : outer;
    if (type.endsWith('comment')) continue;
    if (children.length === 0 || type === 'string_literal' || type === 'character_literal') {
      const { text, startIndex: start } = node;
      leaves.push({ text, start, end: start + text.length, statement });
      continue;
    }
    for (let i = children.length; i-- > 0; ) agenda.push({ node: children[i]!, outer: statement });
  }
  return leaves;
}
