import { isSpace } from '../data/words.ts';
import { Scratch } from './scratch.ts';

/** The number of words that the first text does not have. */
export const unknown = -1;

/** Arrays hold more than what counts, and are used again for the next texts. */
export interface NumberedWords {
  /** The first text's words, and how many there are. */
  words: Int32Array;
  length: number;
  /** The other text's. */
  others: Int32Array;
  otherLength: number;
  /** How many numbers there are, and where in the first text each one's word begins and ends. */
  size: number;
  starts: Int32Array;
  ends: Int32Array;
}

const scratch = {
  words: new Scratch(),
  others: new Scratch(),
  starts: new Scratch(),
  ends: new Scratch(),
  slots: new Scratch(),
};

/**
 * The words of two texts as numbers: 0, 1, … in the order in which the first has them, and `unknown`.
 * The words are never cut out of the texts, which would take longer than all that is done with them.
 * What it returns holds until the next call.
 */
export function numberWords(text: string, other: string): NumberedWords {
  const most = (text.length + 1) >> 1;
  const places = 2 ** Math.ceil(Math.log2(2 * most + 1));
  const slots = scratch.slots.zeros(places); // number + 1
  const starts = scratch.starts.take(most);
  const ends = scratch.ends.take(most);
  const words = scratch.words.take(most);
  const others = scratch.others.take((other.length + 1) >> 1);
  let size = 0;

  const length = eachWord(text, (start, end, hash, i) => {
    const slot = slotOf(text, start, end, hash);
    if (slots[slot] === 0) {
      starts[size] = start;
      ends[size] = end;
      slots[slot] = ++size;
    }
    words[i] = slots[slot]! - 1;
  });
  const otherLength = eachWord(other, (start, end, hash, i) => {
    others[i] = slots[slotOf(other, start, end, hash)]! - 1;
  });
  return { words, length, others, otherLength, size, starts, ends };

  /** Where the word is, or would be: a hash table with open addresses. */
  function slotOf(from: string, start: number, end: number, hash: number): number {
    const mask = places - 1;
    for (let slot = (hash ^ (hash >>> 15)) & mask; ; slot = (slot + 1) & mask) {
      const number = slots[slot]! - 1;
      if (number < 0) return slot;
      if (ends[number]! - starts[number]! !== end - start) continue;
      let same = 0;
      const its = starts[number]!;
      while (start + same < end && from.charCodeAt(start + same) === text.charCodeAt(its + same)) {
        same++;
      }
      if (start + same === end) return slot;
    }
  }
}

/** Calls with the place, the hash and the number of each word; returns how many there are. */
function eachWord(
  text: string,
  use: (start: number, end: number, hash: number, i: number) => void,
): number {
  let count = 0;
  let at = 0;
  for (;;) {
    while (at < text.length && isSpace(text.charCodeAt(at))) at++;
    if (at === text.length) return count;
    const start = at;
    let hash = 0;
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (isSpace(code)) break;
      hash = Math.imul(hash ^ code, 0x01000193);
    }
    use(start, at, hash, count++);
  }
}
