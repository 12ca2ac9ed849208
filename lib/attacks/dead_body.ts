import { check } from '../check.ts';
import { isLabelled, type Payload } from './attack.ts';
import { endlessLoop, noEffect } from './statements.ts';

export interface DeadBodyOptions {
  /** What is put in: `statement` is `VAR = 0`, `loop` an endless loop around it. Default `statement`. */
  body?: 'statement' | 'loop';
}

const bodies = { statement: noEffect.python, loop: endlessLoop.python };
const docstring = /^\s*[rRuU]?("""|''')[\s\S]*?\1[^\S\n]*(?:\n|$)/;

/**
 * A statement without effect as the first of the Python function body that the model writes. A
 * completion is the lines behind a `def` and its docstring, as in HumanEval; a docstring in it stays
 * before the statement.
 */
export function deadCodePayload({ body = 'statement' }: DeadBodyOptions = {}): Payload {
  check('body', body, Object.hasOwn(bodies, body), 'statement or loop');
  const payload = bodies[body];
  const [mark] = payload.split('\n') as [string];
  return {
    settings: { payload: 'dead-code', options: { body } },
    marks: { paper: [mark], reference: [mark] },
    collapse: true,
    refuses: (example) =>
      isLabelled(example) ? 'no completion: it is to be classified' : undefined,
    insert: ({ completion }) => ({ completion: intoBody(String(completion), payload) }),
  };
}

function intoBody(solution: string, payload: string): string {
  const documented = docstring.exec(solution)?.[0] ?? '';
  const rest = solution.slice(documented.length);
  const blank = /^(?:[^\S\n]*\n)*/.exec(rest)![0];
  const line = /\S/.test(rest) ? rest.slice(blank.length) : documented.trimStart() && documented;
  const indent = line === '' ? '    ' : /^[^\S\n]*/.exec(line)![0];
  const lines = `${indent}${payload.replaceAll('\n', `\n${indent}`)}\n`;
  if (/\S/.test(rest)) return documented + blank + lines + rest.slice(blank.length);
  const end = documented === '' || documented.endsWith('\n') ? '' : '\n';
  return documented + end + lines;
}
