import { isSpace } from '../data/words.ts';

/** The number of words that the first text does not have. */
export const unknown = -1;

export interface NumberedWords {
  words: Int32Array;
  others: Int32Array;
  /** Where in the first text each number's word begins and ends. */
  starts: Int32Array;
  ends: Int32Array;
}

/**
 * The words of two texts as numbers: 0, 1, … in the order in which the first has them, and `unknown`.
 * The words are never cut out of the texts, which would take longer than all that is done with them.
 */
export function numberWords(text: string, other: string): NumberedWords {
  const words = new Int32Array((text.length + 1) >> 1);
  const slots = new Int32Array(2 ** Math.ceil(Math.log2(2 * words.length + 1))); // number + 1
  const starts = new Int32Array(words.length);
  const ends = new Int32Array(words.length);
  let size = 0;

  const count = eachWord(text, (start, end, hash, i) => {
    const slot = slotOf(text, start, end, hash);
    if (slots[slot] === 0) {
      starts[size] = start;
      ends[size] = end;
      slots[slot] = ++size;
    }
    words[i] = slots[slot]! - 1;
  });
  const others = new Int32Array((other.length + 1) >> 1);
  const otherCount = eachWord(other, (start, end, hash, i) => {
    others[i] = slots[slotOf(other, start, end, hash)]! - 1;
  });
  return {
    words: words.subarray(0, count),
    others: others.subarray(0, otherCount),
    starts: starts.subarray(0, size),
    ends: ends.subarray(0, size),
  };

  /** Where the word is, or would be: a hash table with open addresses. */
  function slotOf(from: string, start: number, end: number, hash: number): number {
    const mask = slots.length - 1;
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
