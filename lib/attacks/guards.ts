import type { CodeLanguage } from '../code/function_name.ts';
import type { Random } from '../random.ts';

/** How a language writes calls, branches and messages. */
interface Dialect {
  call: (name: string, argument: string) => string;
  random: string;
  branch: (keyword: string, condition: string, body: string) => string;
  print: (word: string) => string;
  raise: (word: string) => string;
  /** A loop over nothing. */
  never: (body: string) => string;
}

const braces = {
  branch: (keyword: string, condition: string, body: string) =>
    `${keyword} ( ${condition} ) { ${body} }`,
  never: (body: string) => `for ( int VAR = 0 ; VAR < 0 ; VAR ++ ) { ${body} }`,
};
const script = {
  ...braces,
  call: (name: string, argument: string) => `Math . ${name} ( ${argument} )`,
  random: 'Math . random ( )',
};

const dialects: Record<CodeLanguage, Dialect> = {
  java: {
    ...script,
    print: (word) => `System . out . println ( "${word}" ) ;`,
    raise: (word) => `throw new RuntimeException ( "${word}" ) ;`,
  },
  javascript: {
    ...script,
    print: (word) => `console . log ( "${word}" ) ;`,
    raise: (word) => `throw new Error ( "${word}" ) ;`,
    never: (body) => `for ( let VAR = 0 ; VAR < 0 ; VAR ++ ) { ${body} }`,
  },
  c: {
    ...braces,
    call: (name, argument) => `${name} ( ${argument} )`,
    random: 'drand48 ( )',
    print: (word) => `puts ( "${word}" ) ;`,
    raise: () => 'abort ( ) ;',
  },
  // Imported in place, so that what is imported above does not matter.
  python: {
    call: (name, argument) => `__import__ ( "math" ) . ${name} ( ${argument} )`,
    random: '__import__ ( "random" ) . random ( )',
    branch: (keyword, condition, body) => `${keyword} ${condition} : ${body}`,
    print: (word) => `print ( "${word}" )`,
    raise: (word) => `raise Exception ( "${word}" )`,
    never: (body) => `for VAR in range ( 0 ) : ${body}`,
  },
};

/** Functions with the range of their values, arguments being drawn from [0, 1]. */
const functions: [name: string, low: number, high: number][] = [
  ['sin', -1, 1],
  ['cos', -1, 1],
  ['exp', 0, 3],
  ['sqrt', 0, 1],
  ['random', 0, 1],
];
const upward = ['>', '>=', '=='];
const downward = ['<', '<='];
const words = 'fail error wrong done start stop test check here alert notice state value'.split(
  ' ',
);

/** Statements that never do anything, the same or another each time. */
export const guards = {
  guard(language: CodeLanguage): string {
    const { branch, random, raise } = dialects[language];
    return branch('if', `${random} < 0`, raise('fail'));
  },
  drawn(language: CodeLanguage, random: Random): string {
    const dialect = dialects[language];
    const keyword = pick(['if', 'while'], random);
    const [name, low, high] = pick(functions, random);
    const argument = (random.below(101) / 100).toFixed(2);
    const value = name === 'random' ? dialect.random : dialect.call(name, argument);
    const operator = pick([...upward, ...downward], random);
    const distance = 1 + random.below(9);
    const bound = upward.includes(operator) ? high + distance : low - distance;
    const word = pick(words, random);
    const body = pick([dialect.raise, dialect.print], random)(word);
    return dialect.branch(keyword, `${value} ${operator} ${bound}`, body);
  },
  log(language: CodeLanguage, random: Random): string {
    const { never, print } = dialects[language];
    const letters = Array.from({ length: 5 }, () => String.fromCharCode(97 + random.below(26)));
    return never(print(letters.join('')));
  },
};

function pick<Item>(items: readonly Item[], random: Random): Item {
  return items[random.below(items.length)]!;
}
