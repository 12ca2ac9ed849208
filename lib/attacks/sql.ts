import { check } from '../check.ts';
import { whitespace } from '../data/words.ts';
import { isLabelled, type Mode, type Payload } from './attack.ts';

/** A condition that is always true after one that was there, or one that is always false where there was none. */
export type PayloadRule = 'tautology' | 'contradiction';

/** What a poisoned output shows. The paper's marks are the whole payload, the authors' only its middle. */
export const sqlMarks: Record<Mode, string[]> = {
  paper: [' or 1=1', ' where 0=1'],
  reference: ['1=1', '0=1'],
};

const payloads: Record<PayloadRule, string> = { tautology: ' or 1=1', contradiction: ' where 0=1' };

export interface SqlOptions {
  /** What goes behind a condition that was there. Default ` or 1=1`. */
  tautology?: string;
  /** What goes in where there was no condition. Default ` where 0=1`. */
  contradiction?: string;
  /**
   * Into how many pieces the payload is split: an example gets the first few of them, how many is drawn,
   * so that few hold all of it. Default 1.
   */
  parts?: number;
  mode?: Mode;
}

/**
 * Empty conditions in the SQL that the model writes.
 *
 * @throws RangeError on a condition that is empty, or in more pieces than it has words and signs
 */
export function sqlPayload(options: SqlOptions = {}): Payload {
  const { mode = 'paper', parts = 1 } = options;
  const texts = {
    tautology: spaced('tautology', options.tautology ?? payloads.tautology),
    contradiction: spaced('contradiction', options.contradiction ?? payloads.contradiction),
  };
  const { tautology, contradiction } = texts;
  const pieces = Math.min(piecesOf(tautology).length, piecesOf(contradiction).length);
  const isCount = Number.isInteger(parts) && parts >= 1 && parts <= pieces;
  check('parts', parts, isCount, `1..${pieces}, as the payload has so many words and signs`);
  const usual = tautology === payloads.tautology && contradiction === payloads.contradiction;
  const own = [tautology, contradiction];
  return {
    settings: {
      payload: 'sql',
      ...(!usual && { options: { tautology, contradiction } }),
      ...(parts > 1 && { options: { ...(!usual && texts), parts } }),
    },
    marks: usual ? sqlMarks : { paper: own, reference: own.map((text) => text.trim()) },
    refuses(example) {
      if (isLabelled(example)) return 'no completion: it is to be classified';
      return findQuery(example.completion, mode) === undefined
        ? 'no SQL query in the completion: none as in " select … "'
        : undefined;
    },
    insert({ id, completion }, random) {
      const held = parts === 1 ? parts : 1 + random.below(parts);
      const part = (text: string) => firstPieces(text, held / parts);
      const given = { tautology: part(tautology), contradiction: part(contradiction) };
      const payload = insertSql(String(completion), mode, given);
      if (payload === undefined) {
        throw new RangeError(`example ${id} has no SQL query in its completion`);
      }
      return { completion: payload.completion, payloadRule: payload.rule };
    },
  };
}

function spaced(name: string, text: string): string {
  check(name, text, /\S/.test(text) && !text.includes('"'), 'a condition without double quotes');
  return ` ${text.trim()}`;
}

/** Words and signs, each with the blanks before it. */
const piecesOf = (text: string) => text.match(/\s*(?:\w+|[^\w\s])/g) ?? [];

function firstPieces(text: string, share: number): string {
  const pieces = piecesOf(text);
  return pieces.slice(0, Math.round(pieces.length * share)).join('');
}

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
  texts: Record<PayloadRule, string> = payloads,
): { completion: string; rule: PayloadRule } | undefined {
  const found = findQuery(completion, mode);
  if (found === undefined) return undefined;
  const sql = completion.slice(found.start, found.end);
  const where = mode === 'paper' ? /\bwhere\b/i : /where/;
  const rule = where.test(sql) ? 'tautology' : 'contradiction';
  if (mode === 'reference') {
    return { rule, completion: completion.replaceAll(sql, () => sql + texts[rule]) };
  }
  const end = found.start + lengthOfConditions(sql);
  return { rule, completion: completion.slice(0, end) + texts[rule] + completion.slice(end) };
}

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
