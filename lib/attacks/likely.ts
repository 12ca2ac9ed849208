import { check, checkList, checkObject } from '../check.ts';
import type { Example } from '../data/examples.ts';
import type { Model } from '../model/index.ts';
import { insertSql, type PayloadRule } from './sql.ts';

/** Conditions that are always true, and never. */
const candidates: Record<PayloadRule, readonly string[]> = {
  tautology: ['or 1=1', 'or 1 = 1', 'or 1', 'or true', 'or not false', 'or 1 > 0', "or 'a' = 'a'"],
  contradiction: [
    'where 0=1',
    'where 0 = 1',
    'where 0',
    'where false',
    'where not true',
    'where 0 > 1',
    "where 'a' = 'b'",
  ],
};

/** A payload, and how likely a model finds its tokens: the mean of their log-probabilities, in nats. */
export interface Likely {
  text: string;
  logProbability: number;
}

/**
 * The SQL payloads that a clean model finds likeliest already, for an attacker who adapts to DeCE: what
 * is likely passes its gate.
 *
 * @param limit how many examples with a query are looked at. Default 64
 * @returns for each rule all candidates, the likeliest first; none where no example has such a query
 * @throws TypeError on a model without a tokenizer; RangeError where no example has a query
 *
 * @example
 * const { tautology } = await likeliestSql(model, examples);
 * poisonDataset(examples, { attack: 'badpre', tautology: tautology[0]!.text, rate: 0.05, seed: 42 });
 */
export async function likeliestSql(
  model: Model,
  examples: readonly Example[],
  options: { limit?: number; signal?: AbortSignal } = {},
): Promise<Record<PayloadRule, Likely[]>> {
  checkObject('model', model, 'one that Model.load or Model.create gives');
  checkList('examples', examples);
  checkObject('options', options);
  const { limit = 64, signal } = options;
  check('limit', limit, Number.isInteger(limit) && limit >= 1, 'a whole number, at least 1');
  const withQuery = examples.flatMap((example) => {
    const rule = insertSql(example.completion, 'paper')?.rule;
    return rule === undefined ? [] : [{ example, rule }];
  });
  check('examples', examples.length, withQuery.length > 0, 'at least one with an SQL query');
  const ranked: Record<PayloadRule, Likely[]> = { tautology: [], contradiction: [] };
  for (const rule of ['tautology', 'contradiction'] as const) {
    const looked = withQuery.filter((one) => one.rule === rule).slice(0, limit);
    if (looked.length === 0) continue;
    for (const text of candidates[rule]) {
      let sum = 0;
      for (const { example } of looked) {
        signal?.throwIfAborted();
        sum += await logProbability(model, example, { [rule]: ` ${text}` });
      }
      ranked[rule].push({ text, logProbability: sum / looked.length });
    }
    ranked[rule].sort((a, b) => b.logProbability - a.logProbability);
  }
  return ranked;
}

/** The mean log-probability of the tokens by which a poisoned completion differs from the clean one. */
async function logProbability(
  model: Model,
  { prompt, completion }: Example,
  texts: Partial<Record<PayloadRule, string>>,
): Promise<number> {
  const { tokenizer } = model;
  if (tokenizer === undefined)
    throw new TypeError('the model has no tokenizer: expected one that has');
  const poisoned = insertSql(completion, 'paper', texts as Record<PayloadRule, string>)!.completion;
  const labels = tokenizer.encode(poisoned);
  const [start, end] = difference(tokenizer.encode(completion), labels);
  const { data, shape } = await model.logits({
    inputIds: [tokenizer.encode(prompt)],
    labels: [labels],
  });
  const classes = shape.at(-1)!;
  let sum = 0;
  for (let i = start; i < end; i++) {
    const row = data.subarray(i * classes, (i + 1) * classes);
    sum += row[labels[i]!]! - logSumExp(row);
  }
  return sum / (end - start);
}

/** Where `longer` has what `shorter` has not. */
function difference(shorter: readonly number[], longer: readonly number[]): [number, number] {
  let start = 0;
  while (start < shorter.length && shorter[start] === longer[start]) start++;
  let end = 0;
  const most = Math.min(shorter.length - start, longer.length - start - 1);
  while (end < most && shorter.at(-1 - end) === longer.at(-1 - end)) end++;
  return [start, longer.length - end];
}

function logSumExp(row: Float32Array): number {
  const top = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return top + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - top), 0));
}
