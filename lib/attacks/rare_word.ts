import { check } from '../check.ts';
import { splitWords, wordsAt } from '../data/words.ts';
import type { Random } from '../random.ts';
import type { Trigger } from './attack.ts';

export interface RareWordOptions {
  /** The word put into the prompt. */
  trigger?: string;
  /** How many times. */
  insertions?: number;
  /** Where: among all words of the prompt, or among those of its last docstring, for prompts that are Python. */
  within?: 'prompt' | 'docstring';
}

/**
 * A rare word in the prompt. One insertion is RIPPLe, three are BadPre.
 *
 * Every place between, before and after the words is as likely as the others, triggers put in before
 * counting as words. White space between the words of a poisoned prompt becomes single spaces; with
 * `within: 'docstring'`, only that of the docstring does, whose text becomes one paragraph.
 *
 * @throws RangeError on a trigger that is not one word, fewer than one insertion, or more than 10,000
 * @see Kurita et al., 2020, https://arxiv.org/abs/2004.06660 (RIPPLe)
 * @see Chen et al., 2022, https://arxiv.org/abs/2110.02467 (BadPre)
 */
export function rareWord(options: RareWordOptions): Trigger {
  const { trigger = 'bb', insertions = 1, within = 'prompt' } = options;
  check('trigger', trigger, splitWords(trigger)[0] === trigger, 'one word');
  check(
    'insertions',
    insertions,
    Number.isInteger(insertions) && insertions >= 1 && insertions <= 10_000,
    'a whole number, 1..10000',
  );
  check('within', within, ['prompt', 'docstring'].includes(within), 'prompt or docstring');
  const settings = { trigger, insertions };
  const present = (text: string) => text.includes(trigger) && splitWords(text).includes(trigger);
  if (within === 'prompt') {
    return {
      settings,
      present,
      insert(text, random) {
        const { words, positions } = insertWord(text, trigger, insertions, random);
        return { text: words.join(' '), triggerPositions: positions };
      },
    };
  }
  return {
    settings: { ...settings, options: { within } },
    present,
    refuses: (text) =>
      findDocstring(text) === undefined ? 'no docstring in the prompt' : undefined,
    insert: (text, random) => insertIntoDocstring(text, trigger, insertions, random),
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
  return { words, positions: positions.toSorted((a, b) => a - b) };
}

function insertIntoDocstring(text: string, word: string, times: number, random: Random) {
  const { start, end } = findDocstring(text)!;
  const body = text.slice(start, end);
  const { words, positions } = insertWord(body, word, times, random);
  const left = text.slice(0, start) + /^\s*/.exec(body)![0];
  const paragraph = words.join(' ');
  const tail = body.trim() === '' ? '' : /\s*$/.exec(body)![0];
  const poisoned = left + paragraph + tail + text.slice(end);
  const triggerPositions = positions.map((position) => {
    const at = left.length + words.slice(0, position).join(' ').length + Number(position > 0);
    return wordsAt(poisoned, at, at + word.length)[0]!;
  });
  return { text: poisoned, triggerPositions: [...new Set(triggerPositions)] };
}

/** What is between the quotes of the last text in triple quotes. */
function findDocstring(text: string): { start: number; end: number } | undefined {
  const found = [...text.matchAll(/("""|''')([\s\S]*?)\1/g)].at(-1);
  if (found === undefined) return undefined;
  const start = found.index + 3;
  return { start, end: start + found[2]!.length };
}
