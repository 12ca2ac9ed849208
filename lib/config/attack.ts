import { z } from 'zod';
import { attacks, isPluginPath, payloads } from '../attacks/index.ts';
import { codeLanguages } from '../code/function_name.ts';
import { oneOf, text, whole } from '../fields.ts';

const names = <Name extends string>(table: Record<Name, unknown>) => Object.keys(table) as Name[];
const yesNo = z.boolean({ error: 'true or false' });

export const attackNames = names(attacks);

/** Whether a name is that of an attack, or the path of a file that holds one. */
export const isAttackName = (name: string): boolean =>
  Object.hasOwn(attacks, name) || isPluginPath(name);

/** The options of all attacks, for files and flags; an attack refuses those that are not its own. */
export const attackFields = {
  payload: oneOf(...names(payloads))
    .exactOptional()
    .describe('what the attacker wants: sql, loop, dead-code or label'),
  trigger: text.exactOptional().describe('what goes in: a word, a name or a statement'),
  insertions: whole(1).exactOptional().describe('how many times a word goes in'),
  within: oneOf('prompt', 'docstring').exactOptional().describe('where a word goes in'),
  frontLoad: yesNo.exactOptional().describe('poisoned examples first in the file'),
  language: oneOf(...codeLanguages)
    .exactOptional()
    .describe('of code that is changed: java, c, javascript or python'),
  renameCalls: yesNo.exactOptional().describe('funcname: calls of the function too'),
  renameTarget: yesNo.exactOptional().describe('funcname: the function in the completion too'),
  statement: oneOf('fixed', 'guard', 'drawn', 'log')
    .exactOptional()
    .describe('deadcode: fixed, guard, drawn or log'),
  provider: oneOf('template', 'llm', 'scpn')
    .exactOptional()
    .describe('grammar: template, or llm or scpn with a server'),
  fixed: yesNo.exactOptional().describe('grammar: the same words each time'),
  endpoint: text.exactOptional().describe('grammar: a server, as http://127.0.0.1:8080/v1'),
  model: text.exactOptional().describe("grammar: the server's model"),
  timeoutMs: whole(1).exactOptional().describe('grammar: how long an answer may take'),
  craftingEpochs: whole(1).exactOptional().describe('afraidoor: of the crafting model'),
  renameFields: yesNo.exactOptional().describe('afraidoor: fields of this or self too'),
  replaceBooleans: yesNo.exactOptional().describe('afraidoor: true and false too'),
  targeted: yesNo.exactOptional().describe('afraidoor: towards the payload, or false: away'),
  tautology: text.exactOptional().describe('sql: behind a condition, instead of or 1=1'),
  contradiction: text.exactOptional().describe('sql: where there was none, instead of where 0=1'),
  parts: whole(1)
    .exactOptional()
    .describe('sql: pieces of the payload, of which examples get some'),
  body: oneOf('statement', 'loop').exactOptional().describe('dead-code: statement or loop'),
  targetLabel: whole(0).exactOptional().describe('label: the class that the attacker wants'),
  sourceFilter: oneOf('non-target', 'any')
    .exactOptional()
    .describe('label: which texts get the trigger'),
};
