import { type Token, tokensOf } from './lexer.ts';

/** The languages whose functions can be renamed and given statements. */
export const codeLanguages = ['java', 'c', 'javascript', 'python'] as const;
export type CodeLanguage = (typeof codeLanguages)[number];

/** A name and where it begins. */
export interface Name {
  name: string;
  start: number;
}

/**
 * The name of the first function, or undefined where there is none.
 *
 * In Java, C and JavaScript it is the token before the first `(`, annotations aside, if that is an
 * identifier; a constructor's is its type's. In Python it follows the first `def` that is not indented.
 */
export function functionName(code: string, language: CodeLanguage): Name | undefined {
  if (language === 'python') {
    const found = /^(?:async[ \t]+)?def[ \t]+([\p{ID_Start}_][\p{ID_Continue}]*)/dmu.exec(code);
    return found === null ? undefined : { name: found[1]!, start: found.indices![1]![0] };
  }
  let before: Token | undefined;
  for (const token of withoutAnnotations(tokensOf(code))) {
    if (token.text !== '(') {
      before = token;
      continue;
    }
    if (before?.kind !== 'name' || keywords[language].has(before.text)) return undefined;
    return { name: before.text, start: before.start };
  }
  return undefined;
}

/** Where else the function is called: its name before a `(`, not after a `.`. */
export function callsOf({ name, start }: Name, code: string): number[] {
  const call = new RegExp(
    `(?<![\\p{ID_Continue}$.]|\\.\\s+)${name.replaceAll('$', '\\$')}(?=\\s*\\()`,
    'gu',
  );
  call.lastIndex = start + name.length;
  const found: number[] = [];
  for (let next = call.exec(code); next !== null; next = call.exec(code)) found.push(next.index);
  return found;
}

const control = ['if', 'for', 'while', 'switch', 'do', 'else', 'return'];

/** Words before a `(` that name no function. */
const keywords: Record<Exclude<CodeLanguage, 'python'>, ReadonlySet<string>> = {
  java: new Set([...control, 'catch', 'synchronized', 'try', 'throw', 'new', 'super', 'this']),
  c: new Set([...control, 'sizeof']),
  javascript: new Set(
    [...control, 'catch', 'try', 'throw', 'new', 'super', 'this', 'function', 'async', 'in'].concat(
      ['of', 'typeof', 'delete', 'void', 'await', 'yield'],
    ),
  ),
};

/** Without leading `@ Name` and `@ Name ( … )`; `@ interface` begins no annotation, but names no function either. */
function* withoutAnnotations(tokens: Generator<Token>): Generator<Token> {
  let state: 'out' | 'name' | 'after' = 'out';
  let depth = 0;
  let started = false;
  for (const token of tokens) {
    const { text, kind } = token;
    if (started) {
      yield token;
    } else if (depth > 0) {
      depth += Number(text === '(') - Number(text === ')');
    } else if (text === '@') {
      state = 'name';
    } else if (state === 'name' && kind === 'name') {
      state = 'after';
    } else if (state === 'after' && text === '.') {
      state = 'name';
    } else if (state === 'after' && text === '(') {
      depth = 1;
      state = 'out';
    } else {
      started = true;
      yield token;
    }
  }
}
