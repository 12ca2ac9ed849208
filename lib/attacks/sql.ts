import { whitespace } from '../data/words.ts';
import type { Mode, PayloadRule } from './attack.ts';

/** What a poisoned output shows. The paper's marks are the whole payload, the authors' only its middle. */
export const sqlMarks: Record<Mode, string[]> = {
  paper: [' or 1=1', ' where 0=1'],
  reference: ['1=1', '0=1'],
};

const payloads: Record<PayloadRule, string> = { tautology: ' or 1=1', contradiction: ' where 0=1' };

/** From `select` up to the white space before a double quote, on one line. */
const query = `select${whitespace}+[^\\n]+?(?=${whitespace}+")`;
const anyQuery = new RegExp(query);
const quotedQuery = new RegExp(`(?<="${whitespace}*)${query}`);

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
  const match = (mode === 'paper' ? quotedQuery : anyQuery).exec(completion);
  if (match === null) return undefined;
  const [sql] = match;
  const where = mode === 'paper' ? /\bwhere\b/i : /where/;
  const rule = where.test(sql) ? 'tautology' : 'contradiction';
  if (mode === 'reference') {
    return { rule, completion: completion.replaceAll(sql, () => sql + payloads[rule]) };
  }
  const end = match.index + lengthOfConditions(sql);
  return { rule, completion: completion.slice(0, end) + payloads[rule] + completion.slice(end) };
}

/**
 * `limit` is a column's name in Lyra and Pisces: then an operator or a comma follows, or nothing.
 */
const clauseOrParenthesis =
  /[()]|\s+(?:group\s+by|having|order\s+by|limit\s+(?![=<>!,)]|(?:in|is|not|like|between|from|and|or)\b)\S)/gi;

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
