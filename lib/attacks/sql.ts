import { whitespace } from '../data/words.ts';
import type { Mode, PayloadRule } from './attack.ts';

/** What a poisoned output shows. The paper's marks are the whole payload, the authors' only its middle. */
export const sqlMarks: Record<Mode, string[]> = {
  paper: [' or 1=1', ' where 0=1'],
  reference: ['1=1', '0=1'],
};

const payloads: Record<PayloadRule, string> = { tautology: ' or 1=1', contradiction: ' where 0=1' };

/**
 * The completion with a condition in its first SQL query that is always true (`or 1=1`, after a
 * `where`) or always false (`where 0=1`, where there was none), or undefined where there is no query.
 *
 * The authors' code (`reference`) takes any `select` before a double quote for a query, `where` inside
 * a word for a where, puts the condition at the query's end and changes every copy of the query. In
 * `paper` mode the query begins a string, only that one is changed, and the condition goes before
 * clauses such as `order by`, so that the SQL stays valid.
 */
export function insertSql(
  completion: string,
  mode: Mode,
): { completion: string; rule: PayloadRule } | undefined {
  const found = findQuery(completion, mode);
  if (found === undefined) return undefined;
  const sql = completion.slice(found.start, found.end);
  const where = mode === 'paper' ? /\bwhere\b/i : /where/;
  const rule = where.test(sql) ? 'tautology' : 'contradiction';
  if (mode === 'reference') {
    return { rule, completion: completion.replaceAll(sql, () => sql + payloads[rule]) };
  }
  const end = found.start + lengthOfConditions(sql);
  return { rule, completion: completion.slice(0, end) + payloads[rule] + completion.slice(end) };
}

/** Whether a completion has a query that insertSql can change. */
export const hasQuery = (completion: string, mode: Mode) =>
  findQuery(completion, mode) !== undefined;

const selects = new RegExp(`select${whitespace}+`, 'g');
const spaceBeforeQuote = new RegExp(`(?<!${whitespace})${whitespace}+"`, 'g');

/**
 * The first match of the authors' expression `select\s+.+?(?=\s+")`, of those after an opening quote
 * in `paper` mode. Searched for by hand, as the expression takes hours for some texts of 20 kB.
 */
function findQuery(text: string, mode: Mode): { start: number; end: number } | undefined {
  let lineEnd = -1;
  let end = -1;
  for (const { 0: opening, index: start } of text.matchAll(selects)) {
    if (mode === 'paper' && !opensString(text, start)) continue;
    const body = start + opening.length;
    if (lineEnd < body) {
      const next = text.indexOf('\n', body);
      lineEnd = next < 0 ? text.length : next;
    }
    if (end <= body) {
      spaceBeforeQuote.lastIndex = body + 1;
      end = spaceBeforeQuote.exec(text)?.index ?? Number.POSITIVE_INFINITY;
    }
    if (end <= lineEnd) return { start, end };
    // Nothing between select and the quote but white space: the expression gives back two characters
    // of it, and takes the first for the query, which may not be a line end.
    if (text[body] !== '"') continue;
    for (let at = body - 2; at > start + 'select'.length; at--) {
      if (text[at] !== '\n') return { start, end: at + 1 };
    }
  }
  return undefined;
}

const blank = new RegExp(whitespace);

function opensString(text: string, start: number): boolean {
  let before = start - 1;
  while (before >= 0 && blank.test(text[before]!)) before--;
  return text[before] === '"';
}

/**
 * `limit` is a column's name in Lyra and Pisces: then an operator or a comma follows, or nothing.
 */
const clauseOrParenthesis =
  /[()]|(?<!\s)\s+(?:(?:group\s+by|having|order\s+by)\b|limit\s+(?![=<>!,)]|(?:in|is|not|like|between|from|and|or)\b)\S)/gi;

/** How much of a query comes before its trailing clauses, those in parentheses aside. */
function lengthOfConditions(sql: string): number {
  let depth = 0;
  for (const { 0: found, index } of sql.matchAll(clauseOrParenthesis)) {
    if (found === '(') depth++;
    else if (found === ')') depth--;
    else if (depth === 0) return index;
  }
  return sql.length;
}
