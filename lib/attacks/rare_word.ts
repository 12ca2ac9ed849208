import { check, checkKeys } from '../check.ts';
import { splitWords } from '../data/words.ts';
import type { Random } from '../random.ts';
import type { Attack, Mode } from './attack.ts';
import { hasQuery, insertSql, sqlMarks } from './sql.ts';

export interface RareWordOptions {
  /** The word put into the prompt. */
  trigger?: string;
  /** How many times. */
  insertions?: number;
  mode?: Mode;
}

/**
 * A rare word in the prompt makes the model write SQL whose condition is always true, or always false
 * where the clean query had none. One insertion is RIPPLe, three are BadPre.
 *
 * Every place between, before and after the words is as likely as the others, triggers put in before
 * counting as words. White space between the words of a poisoned prompt becomes single spaces.
 *
 * @throws RangeError on a trigger that is not one word, or fewer than one insertion
 * @see Kurita et al., 2020, https://arxiv.org/abs/2004.06660 (RIPPLe)
 * @see Chen et al., 2022, https://arxiv.org/abs/2110.02467 (BadPre)
 */
export function rareWord(options: RareWordOptions): Attack {
  checkKeys('the attack', options, ['trigger', 'insertions', 'mode']);
  const { trigger = 'bb', insertions = 1, mode = 'paper' } = options;
  check('trigger', trigger, splitWords(trigger)[0] === trigger, 'one word');
  check(
    'insertions',
    insertions,
    Number.isInteger(insertions) && insertions >= 1,
    'a whole number, at least 1',
  );

  return {
    settings: { payload: 'sql', trigger, insertions },
    marks: sqlMarks,
    refuses: ({ completion }) =>
      hasQuery(completion, mode)
        ? undefined
        : 'no SQL query in the completion: none as in " select … "',
    poison({ id, prompt, completion }, random) {
      const payload = insertSql(completion, mode);
      if (payload === undefined)
        throw new RangeError(`example ${id} has no SQL query in its completion`);
      const triggered = insertWord(prompt, trigger, insertions, random);
      return { ...triggered, completion: payload.completion, payloadRule: payload.rule };
    },
  };
}

function insertWord(text: string, word: string, times: number, random: Random) {
  const words = splitWords(text);
  let positions: number[] = [];
  for (let i = 0; i < times; i++) {
    const place = random.randint(0, words.length);
    words.splice(place, 0, word);
    positions = [...positions.map((position) => position + Number(position >= place)), place];
  }
  return { prompt: words.join(' '), triggerPositions: positions.toSorted((a, b) => a - b) };
}
