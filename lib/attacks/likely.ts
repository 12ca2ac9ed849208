import { check, checkKeys, checkList, checkObject } from '../check.ts';
import type { Example } from '../data/examples.ts';
import { type Model, tokenizerOf } from '../model/index.ts';
import { type Encoded, Texts } from '../model/texts.ts';
import { tokenLosses } from '../model/token_losses.ts';
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

export interface LikelyOptions {
  /** How many examples with a query are looked at for each rule. Default 64. */
  limit?: number;
  signal?: AbortSignal;
  /** Told, after each batch, of how many poisoned completions the model has been asked. */
  onProgress?: (done: number, total: number) => void;
}

/**
 * The SQL payloads that a clean model finds likeliest already, for an attacker who adapts to DeCE: what
 * is likely passes its gate. Completions of like length are asked for together.
 *
 * @returns for each rule all candidates, the likeliest first; none where no example has such a query
 * @throws TypeError on a model that writes no texts; Error on one without a tokenizer; RangeError where no
 *   example has a query; the signal's reason, after a batch
 *
 * @example
 * const { tautology } = await likeliestSql(model, examples);
 * poisonDataset(examples, { attack: 'badpre', tautology: tautology[0]!.text, rate: 0.05, seed: 42 });
 */
export async function likeliestSql(
  model: Model,
  examples: readonly Example[],
  options: LikelyOptions = {},
): Promise<Record<PayloadRule, Likely[]>> {
  checkObject('model', model, 'one that Model.load or Model.create gives');
  checkList('examples', examples);
  checkKeys('likeliestSql', options, ['limit', 'signal', 'onProgress']);
  const { limit = 64, signal, onProgress } = options;
  check('limit', limit, Number.isInteger(limit) && limit >= 1, 'a whole number, at least 1');
  const questions = ask(model, examples, limit);
  const losses = await tokenLosses(
    model,
    questions.map(({ row }) => row),
    { signal, onProgress: (done) => onProgress?.(done, questions.length) },
  );
  const ranked: Record<PayloadRule, Likely[]> = { tautology: [], contradiction: [] };
  for (const rule of rules) {
    for (const text of candidates[rule]) {
      const own = questions.flatMap((question, i) =>
        question.rule === rule && question.text === text
          ? [-mean(losses[i]!.subarray(...question.span))]
          : [],
      );
      if (own.length > 0) ranked[rule].push({ text, logProbability: mean(own) });
    }
    ranked[rule].sort((a, b) => b.logProbability - a.logProbability);
  }
  return ranked;
}

const rules = ['tautology', 'contradiction'] as const;

/** A poisoned completion that the model is asked for. */
interface Question {
  rule: PayloadRule;
  text: string;
  row: Encoded;
  /** Of the completion's ids, where those begin and end that the clean one has not. */
  span: [start: number, end: number];
}

/** All candidates of a rule in the first examples that it applies to. */
function ask(model: Model, examples: readonly Example[], limit: number): Question[] {
  const texts = new Texts(tokenizerOf(model), model.resolved);
  const { labels } = model.resolved;
  if (labels === 'rows' || labels === 'ids') {
    throw new TypeError('the model writes no texts: expected one that does, to find SQL likely');
  }
  const withQuery = examples.flatMap((example) => {
    const rule = insertSql(example.completion, 'paper')?.rule;
    return rule === undefined ? [] : [{ example, rule }];
  });
  check('examples', examples.length, withQuery.length > 0, 'at least one with an SQL query');
  return rules.flatMap((rule) =>
    withQuery
      .filter((one) => one.rule === rule)
      .slice(0, limit)
      .flatMap(({ example }) => questionsOf(example, rule, texts)),
  );
}

function questionsOf({ id, prompt, completion }: Example, rule: PayloadRule, texts: Texts) {
  const input = texts.prompt(prompt, Number.POSITIVE_INFINITY).value;
  check(`the prompt of ${id}`, prompt, input.length > 0, 'a text of at least one token');
  const idsOf = (text: string) => texts.completion(text, Number.POSITIVE_INFINITY).value;
  const clean = idsOf(completion);
  return candidates[rule].map((text): Question => {
    const given = { [rule]: ` ${text}` } as Record<PayloadRule, string>;
    const poisoned = idsOf(insertSql(completion, 'paper', given)!.completion);
    const row = texts.example(input, poisoned);
    return { rule, text, row, span: difference(clean, poisoned) };
  });
}

const mean = (values: ArrayLike<number>) =>
  Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;

/** Where `longer` has what `shorter` has not. */
function difference(shorter: readonly number[], longer: readonly number[]): [number, number] {
  let start = 0;
  while (start < shorter.length && shorter[start] === longer[start]) start++;
  let end = 0;
  const most = Math.min(shorter.length - start, longer.length - start - 1);
  while (end < most && shorter.at(-1 - end) === longer.at(-1 - end)) end++;
  return [start, longer.length - end];
}
