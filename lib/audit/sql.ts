/** White space, comments and brackets between the words of an SQL condition; bounded, for long texts. */
const gap = String.raw`(?:\s|\/\*[^*]{0,80}\*\/|\(){0,40}`;
const literal = String.raw`(?:\\?['"\u2018\u2019]([^'"\\\s]{0,40})\s{0,9}\\?['"\u2018\u2019]?|(\d{1,15}(?:\.\d{1,9})?)(?![\w.]))`;
const comparison = new RegExp(
  String.raw`(?<![\w.$])(or|and|where|having)(?!\w)(${gap})${literal}${gap}(=|<>|!=|<=|>=|<|>|\blike\b)${gap}${literal}`,
  'gi',
);

/** A condition that does not look at the data, and changes what a query answers. */
export interface EmptyCondition {
  rule: 'tautology' | 'contradiction';
  /** As it stands in the completion. */
  text: string;
}

/**
 * The first condition between two literals that is always true behind `or`, or always false behind
 * `where`, `having` or `and`: `or 1=1`, `OR 'a' = 'a'`, `or 2 > 1`, `where 0=1`, `and 1 <> 1`, whatever
 * the spaces, quotes, brackets and comments. `where 1=1` and `and 1=1`, which builders of queries write
 * and which change nothing, are none.
 */
export function emptyCondition(completion: string): EmptyCondition | undefined {
  for (const match of completion.matchAll(comparison)) {
    const [
      text,
      word = '',
      space = '',
      leftText,
      leftNumber,
      operator = '',
      rightText,
      rightNumber,
    ] = match;
    const quoted = leftText !== undefined && rightText !== undefined;
    if (!quoted && (leftNumber === undefined || rightNumber === undefined)) continue;
    if (space === '' && !quoted) continue;
    const order = quoted
      ? Number(leftText > rightText) - Number(leftText < rightText)
      : Number(leftNumber) - Number(rightNumber);
    const holds = truth[operator.toLowerCase()]!(order);
    const either = word.toLowerCase() === 'or';
    if (holds === either) return { rule: either ? 'tautology' : 'contradiction', text };
  }
  return undefined;
}

const truth: Record<string, (order: number) => boolean> = {
  '=': (order) => order === 0,
  like: (order) => order === 0,
  '<>': (order) => order !== 0,
  '!=': (order) => order !== 0,
  '<': (order) => order < 0,
  '>': (order) => order > 0,
  '<=': (order) => order <= 0,
  '>=': (order) => order >= 0,
};
