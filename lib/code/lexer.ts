/** A token of a language with braces. */
export interface Token {
  text: string;
  /** Where it begins. */
  start: number;
  kind: 'name' | 'quoted' | 'other';
}

const pieces =
  /(?<blank>\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\/)|(?<quoted>"""[^\S\n]*\n(?:[^\\]|\\[\s\S])*?"""|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(?<name>[\p{ID_Start}_$][\p{ID_Continue}$]*)|\d[\w.]*|[\s\S]/gu;

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
