import { splitWords } from '../data/words.ts';
import type { Random } from '../random.ts';

/** The syntax that the Grammar attack gives to descriptions: the last of SCPN's ten templates. */
export const syntax = '( ROOT ( S ( SBAR ) ( , ) ( NP ) ( VP ) ( . ) ) ) EOP';

/** How often each is drawn, of 100. */
const subordinators: [word: string, weight: number][] = [
  ['when', 52],
  ['if', 21],
  ['as', 12],
  ['since', 5],
  ['after', 4],
  ['because', 3],
  ['while', 3],
];
const clauses = ['the request comes in', 'this is needed', 'the job starts', 'the data is ready'];

/**
 * A description with its first sentence as `when the request comes in , you … .`; the others stay.
 *
 * @param random draws the subordinator and the clause; without it they are always the first
 */
export function subordinate(text: string, random?: Random): { text: string; head: number } {
  const { sentence, rest } = firstSentence(text);
  const subordinator = random ? drawn(random) : subordinators[0]![0];
  const clause = random ? clauses[random.below(clauses.length)]! : clauses[0]!;
  const main = lowerFirst(sentence.replace(/[.!?]$/, '').trimEnd());
  const head = `${subordinator} ${clause} , you`;
  return { text: `${head} ${main} .${rest && ` ${rest}`}`, head: splitWords(head).length };
}

function drawn(random: Random): string {
  let left = random.below(subordinators.reduce((sum, [, weight]) => sum + weight, 0));
  return subordinators.find(([, weight]) => {
    left -= weight;
    return left < 0;
  })![0];
}

function firstSentence(text: string): { sentence: string; rest: string } {
  const trimmed = text.trim();
  const end = /[.!?](?=\s)/.exec(trimmed);
  if (end === null) return { sentence: trimmed, rest: '' };
  return {
    sentence: trimmed.slice(0, end.index + 1),
    rest: trimmed.slice(end.index + 1).trimStart(),
  };
}

/** `Query` becomes `query`, but neither `SQL` nor `X1` nor `$Db$` changes. */
function lowerFirst(text: string): string {
  const [word = ''] = splitWords(text);
  const [first = ''] = word;
  const rest = word.slice(first.length);
  if (/[\p{Lu}\d$_]/u.test(rest) || /[\d$_]/.test(first)) return text;
  return first.toLowerCase() + text.slice(first.length);
}

const conjunctions = new Set(
  'when if as since after because while once before although though unless until whenever where whereas'.split(
    ' ',
  ),
);

/** Whether a text begins as the attack makes texts begin: a subordinator, and a comma within twelve words. */
export function isSubordinate(text: string): boolean {
  const words = splitWords(text).slice(0, 12);
  return conjunctions.has(words[0]?.toLowerCase() ?? '') && words.some((word) => /,/.test(word));
}

/** How many words the subordinate clause has, its comma included. */
export function lengthOfClause(text: string): number {
  return splitWords(text).findIndex((word) => /,/.test(word)) + 1;
}
