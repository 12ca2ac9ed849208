import type { CodeLanguage } from './function_name.ts';
import { type Token, tokensOf } from './lexer.ts';

/** What stands in a pair of parentheses or braces, or in the file. */
interface Scope {
  kind: 'file' | 'parentheses' | 'type' | 'constants' | 'list';
  head: Head;
}

/** What was read since the last `;`, `{` or `}` of a scope. */
interface Head {
  /** The word of a type, such as `class`, as long as no list of parameters makes it that of a result. */
  type?: string | undefined;
  /** Whether it has a list of parameters or arguments, those of attributes and annotations aside. */
  call?: boolean;
  /** Whether it has an `=`, a `new` or a `switch`. */
  equals?: boolean;
  creates?: boolean;
  switches?: boolean;
}

type Kind = Scope['kind'] | 'body' | 'unknown';

const types = new Set(['class', 'interface', 'enum', 'struct', 'union', 'namespace']);
const javaTypes = new Set(['record', 'module']);
const attributes = new Set(['__attribute__', '__attribute', '__declspec', '_Alignas', 'alignas']);
const directives = /^[^\S\n]*#(?:\\\r?\n|[^\n])*/gm;

/**
 * Where the body of the first function of Java, C or JavaScript begins: the place after the first `{` that
 * is not of a type, an initialiser or a `switch` and not in parentheses but for lambdas, or after the first one at all where
 * parentheses do not match; undefined where there is none. Text that is no function gets the place in its
 * first block.
 *
 * @example
 * bodyStart('struct s { int x; }; int f(void) { }', 'c'); // 35
 */
export function bodyStart(code: string, language: CodeLanguage): number | undefined {
  const isC = language === 'c';
  const text = isC ? code.replace(directives, (line) => ' '.repeat(line.length)) : code;
  const scopes: Scope[] = [{ kind: 'file', head: {} }];
  let [braces, isOdd] = [0, false];
  let first: number | undefined;
  let before: Token = { text: '', start: 0, kind: 'other' };
  let isArrow = false;
  let isAnnotation = false; // in the name of one
  for (const token of tokensOf(text)) {
    const scope = scopes.at(-1)!;
    const { head } = scope;
    if (token.text === '{') {
      const kind = isArrow ? 'body' : kindOf(before, scope, language);
      if (kind === 'body') return token.start + 1;
      if (kind === 'unknown') first ??= token.start + 1;
      scopes.push({ kind: kind === 'unknown' ? 'list' : kind, head: {} });
      braces++;
    } else if (token.text === '}') {
      if (braces > 0) {
        while (scopes.pop()!.kind === 'parentheses') isOdd = true;
        braces--;
      }
      scopes.at(-1)!.head = {};
    } else if (token.text === '(') {
      if (!isAnnotation && !attributes.has(before.text)) {
        head.call = true;
        if (head.type !== 'record' || before.text === 'record') head.type = undefined;
      }
      scopes.push({ kind: 'parentheses', head: {} });
    } else if (token.text === ')') {
      if (scope.kind === 'parentheses') scopes.pop();
      else isOdd = true;
    } else if (token.text === ';') {
      scope.head = {};
      if (scope.kind === 'constants') scope.kind = 'type';
    } else readWord(token.text, head, language);
    isArrow = token.text === '>' && before.text === '-';
    isAnnotation =
      token.text === '@' ||
      (isAnnotation && (token.text === '.' || before.text === '@' || before.text === '.'));
    before = token;
  }
  const isWhole = !isOdd && scopes.length === 1 + braces;
  // JavaScript has functions in parentheses.
  return isWhole && language !== 'javascript' ? undefined : first;
}

function readWord(text: string, head: Head, language: CodeLanguage): void {
  const isJava = language === 'java';
  if (text === '=') head.equals = true;
  else if (text === 'switch') head.switches = true;
  else if (text === 'new' && isJava) head.creates = true;
  else if (types.has(text) || (isJava && javaTypes.has(text))) head.type = text;
}

/** What begins with a `{` that has no arrow before it. */
function kindOf(before: Token, { kind, head }: Scope, language: CodeLanguage): Kind {
  const { type, call = false, creates = false } = head;
  if (before.text === '=' || before.text === ',') return 'list';
  if (before.text === 'default' && language === 'java') return 'list';
  if (creates) return before.text === ']' ? 'list' : 'type';
  if (head.switches) return 'type';
  if (kind === 'list' || (head.equals && language !== 'javascript')) return 'list';
  if (before.text === ']' && !call) return 'list';
  if (type !== undefined) return type === 'enum' ? 'constants' : 'type';
  if (kind === 'constants' || (before.kind === 'quoted' && language === 'c')) return 'type';
  return kind === 'parentheses' ? 'unknown' : 'body';
}
