import { readFile } from 'node:fs/promises';
import type { Node } from 'web-tree-sitter';
import { choose } from '../check.ts';
import { compiled } from './cursor.ts';
import { files, type Language } from './languages.ts';

export type { Node } from 'web-tree-sitter';
export { type Language, languages } from './languages.ts';

/**
 * Reads source code into a syntax tree.
 *
 * A tree lives outside JavaScript's memory and is freed when `use` returns: `use` takes from it what
 * it needs and keeps no node. Code that does not parse gives a tree with `ERROR` nodes
 * (`root.hasError`), not an error.
 */
export type Grammar = <Result>(source: string, use: (root: Node) => Result) => Result;

const loading = new Map<Language, Promise<Grammar>>();
const loaded = new Map<Language, Grammar>();

/**
 * The grammar of a language, loaded at the first call.
 *
 * @throws RangeError on an unknown language; Error where the grammars were not built
 * @see https://tree-sitter.github.io
 *
 * @example
 * const python = await grammarOf('python');
 * const broken = python('def f(:', (root) => root.hasError);
 */
export async function grammarOf(language: Language): Promise<Grammar> {
  choose(files, language, 'language');
  let grammar = loading.get(language);
  if (grammar === undefined) {
    grammar = load(language);
    grammar.catch(() => loading.delete(language)); // a later call tries again
    loading.set(language, grammar);
  }
  return grammar;
}

/**
 * As {@link grammarOf}, at once, for a language whose grammar has been loaded before.
 *
 * @throws Error where it has not
 */
export function loadedGrammar(language: Language): Grammar {
  const grammar = loaded.get(language);
  if (grammar !== undefined) return grammar;
  throw new Error(
    `the grammar of ${language} is not loaded: \`await grammarOf('${language}')\` before, or use poisonDatasetAsync`,
  );
}

let initialised: Promise<void> | undefined;

async function load(language: Language): Promise<Grammar> {
  // lib/code and dist/code are both two folders below the package.
  const file = new URL(`../../dist/grammars/${files[language]}.wasm`, import.meta.url);
  const bytes = await readFile(file).catch((error) => {
    throw new Error(`cannot read ${file.pathname}: build it with \`npm run build\``, {
      cause: error,
    });
  });
  const { Language: Compiled, Parser } = await import('web-tree-sitter'); // where it is needed only
  initialised ??= Parser.init(compiled);
  await initialised;
  const parser = new Parser().setLanguage(await Compiled.load(bytes));
  const grammar: Grammar = (source, use) => {
    const tree = parser.parse(source);
    if (tree === null) throw new Error(`the ${language} parser gave no tree`);
    try {
      return use(tree.rootNode);
    } finally {
      tree.delete();
    }
  };
  loaded.set(language, grammar);
  return grammar;
}
