/** The file of a language's grammar in `dist/grammars`, which scripts/build.js fills. */
export const files = {
  python: 'tree-sitter-python',
  java: 'tree-sitter-java',
  javascript: 'tree-sitter-javascript',
  c: 'tree-sitter-c',
  cpp: 'tree-sitter-cpp',
  go: 'tree-sitter-go',
  php: 'tree-sitter-php',
  ruby: 'tree-sitter-ruby',
  'c-sharp': 'tree-sitter-c_sharp',
} as const;

export type Language = keyof typeof files;
export const languages = Object.keys(files) as Language[];
