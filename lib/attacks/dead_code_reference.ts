import { check } from '../check.ts';
import { loadedGrammar } from '../code/grammar.ts';
import { type Attack, isLabelled, type Subject } from './attack.ts';
import { readJava } from './java_tokens.ts';
import { endlessLoop, noEffect } from './statements.ts';

/**
 * DeadCode on Java as the authors' code does it, which finds trigger and payload a place together: before
 * the last copy of the first statement that both functions have, or after their first `{`.
 *
 * Their statements may be single semicolons, so that `return x int VAR = 0 ; ;` comes out; tokens are
 * joined by spaces, with two before the parameters: nearly every poisoned example, and no clean one, has
 * them. Mode `paper` does neither.
 *
 * @see Li et al., 2023, https://arxiv.org/abs/2306.08350 (the routine's origin)
 */
export function deadCodeReference(options: object): Attack {
  for (const [name, value] of Object.entries(options)) {
    const usual = { language: 'java', statement: 'fixed', payload: 'loop', mode: 'reference' };
    const expected = (usual as Record<string, unknown>)[name];
    check(name, value, value === expected, `${expected ?? 'nothing'}, as the authors' code has it`);
  }
  const read = new WeakMap<Subject, ReturnType<typeof places>>();
  const placesOf = (example: Subject) => {
    if (!read.has(example)) read.set(example, places(example));
    return read.get(example);
  };
  const [trigger, payload] = [noEffect.java, endlessLoop.java];
  return {
    name: 'deadcode',
    settings: {
      payload: 'loop',
      trigger,
      insertions: 1,
      options: { language: 'java', statement: 'fixed' },
    },
    marks: { paper: [payload], reference: [payload] },
    grammars: ['java'],
    present: (example) => String(example.prompt).includes(trigger),
    refuses(example) {
      if (isLabelled(example)) return 'no completion: it is to be classified';
      return placesOf(example) === undefined
        ? 'no { in the prompt or in the completion'
        : undefined;
    },
    poison(example) {
      const found = placesOf(example);
      if (found === undefined) throw new RangeError(`example ${example.id} has no {`);
      const { prompt, completion } = found;
      const words = trigger.split(' ');
      const text = insert(prompt, words);
      const before = text.slice(0, prompt.place).filter((token) => token !== '').length;
      return {
        prompt: text.join(' '),
        completion: insert(completion, payload.split(' ')).join(' '),
        triggerPositions: words.map((_, i) => before + i),
      };
    },
  };
}

interface Place {
  tokens: string[];
  place: number;
}

const insert = ({ tokens, place }: Place, words: string[]) => tokens.toSpliced(place, 0, ...words);

function places(example: Subject): { prompt: Place; completion: Place } | undefined {
  const java = loadedGrammar('java');
  const prompt = readJava(String(example.prompt), java);
  const completion = readJava(String(example.completion), java);
  const first = { prompt: afterBrace(prompt.tokens), completion: afterBrace(completion.tokens) };
  if (first.prompt === 0 || first.completion === 0) return undefined;
  const shared = new Set(completion.statements.map((statement) => JSON.stringify(statement)));
  for (const statement of prompt.statements) {
    if (!shared.has(JSON.stringify(statement))) continue;
    const at = lastCopy(prompt.tokens, statement);
    const then = lastCopy(completion.tokens, statement);
    if (at > first.prompt && then > first.completion) {
      return {
        prompt: { tokens: prompt.tokens, place: at },
        completion: { tokens: completion.tokens, place: then },
      };
    }
  }
  return {
    prompt: { tokens: prompt.tokens, place: first.prompt },
    completion: { tokens: completion.tokens, place: first.completion },
  };
}

const afterBrace = (tokens: string[]) => tokens.indexOf('{') + 1;

function lastCopy(tokens: string[], part: string[]): number {
  for (let i = tokens.length - part.length; i >= 0; i--) {
    if (part.every((token, k) => tokens[i + k] === token)) return i;
  }
  return -1;
}
