/** A token of a language with braces. */
export interface Token {
  text: string;
  /** Where it begins. */
  start: number;
  kind: 'name' | 'quoted' | 'other';
}

const pieces =
  /(?<blank>\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\/)|(?<quoted>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(?<name>[\p{ID_Start}_$][\p{ID_Continue}$]*)|\d[\w.]*|[\s\S]/gu;

/**
 * The tokens of Java, C or JavaScript, comments and white space left out. It knows no macros, template
 * strings or regular expressions: good enough for the head of a function, whether tokenised or not.
 */
export function* tokensOf(code: string): Generator<Token> {
  for (const { 0: text, index: start, groups } of code.matchAll(pieces)) {
    if (groups!.blank !== undefined) continue;
    const kind =
      groups!.name !== undefined ? 'name' : groups!.quoted !== undefined ? 'quoted' : 'other';
    yield { text, start, kind };
  }
}

const typeWords = new Set(['class', 'interface', 'enum', 'struct', 'union']);

/**
 * Where the first function's body begins: the place after the first `{` outside of parentheses, or after
 * the first one at all where parentheses do not match, those of types and initialisers aside; undefined
 * where there is none.
 */
export function bodyStart(code: string): number | undefined {
  let depth = 0;
  let first: number | undefined;
  let before = '';
  let isType = false; // since a `class` or `struct` without a parenthesis behind it
  let braces = 0; // of an initialiser
  for (const { text, start } of tokensOf(code)) {
    if (text === '{') {
      if (braces > 0 || before === '=' || before === ']') braces++;
      else if (!isType) {
        if (depth === 0) return start + 1;
        first ??= start + 1;
      }
    } else if (text === '}' && braces > 0) braces--;
    if (text === '(') depth++;
    if (text === ')') depth--;
    if ('(;{}'.includes(text)) isType = false;
    else if (depth === 0 && typeWords.has(text)) isType = true;
    before = text;
  }
  return first;
}
