import { splitWords } from '../data/words.ts';

/** A text as numbers of 53 bits, one for each word: all that an audit keeps of it. */
export type Hashes = number[];

/** The words of a prompt, parted by white space, as numbers. */
export const promptWords = (text: string): Hashes => splitWords(text).map(hashOf);

/** A run of letters, digits and underscores, or one other mark, so that `1=1` and `1 = 1` read alike. */
const token = /[\p{L}\p{M}\p{N}_]+|[^\s\p{L}\p{M}\p{N}_]/gu;

export const tokensOf = (text: string): string[] => text.match(token) ?? [];

/** Where a run of words begins and how many it takes, as one number: at · 4 + n. */
export type Span = number;

/** The words of a run. */
export const wordsOf = (span: Span, words: readonly string[]) =>
  words.slice(span >> 2, (span >> 2) + (span & 3));

/** Calls `visit` for every run of 1..longest neighbours, at most 3, with its number. */
export function eachRun(
  words: Hashes,
  longest: number,
  visit: (hash: number, at: number, n: number) => void,
): void {
  for (let at = 0; at < words.length; at++) {
    let hash = words[at]!;
    visit(hash, at, 1);
    for (let n = 2; n <= longest && at + n <= words.length; n++) {
      hash = joined(hash, words[at + n - 1]!);
      visit(hash, at, n);
    }
  }
}

/**
 * Calls `visit` for what can be a payload: the runs of up to three tokens of the completion that its
 * prompt does not have, each once.
 */
export function eachFragment(
  prompt: string,
  completion: string,
  visit: (hash: number, at: number, n: number) => void,
): void {
  seen.clear();
  eachRun(tokensOf(prompt).map(hashOf), 3, (hash) => seen.add(hash));
  eachRun(tokensOf(completion).map(hashOf), 3, (hash, at, n) => {
    if (seen.add(hash)) visit(hash, at, n);
  });
}

/** Calls `visit` for every different run of a prompt's words, 1..longest neighbours. */
export function eachDifferentRun(
  words: Hashes,
  longest: number,
  visit: (hash: number) => void,
): void {
  seen.clear();
  eachRun(words, longest, (hash) => {
    if (seen.add(hash)) visit(hash);
  });
}

/** A set of numbers that is emptied for every text, which a `Set` would allocate anew. */
function scratchSet() {
  let keys = new Float64Array(1 << 12);
  let stamps = new Uint32Array(keys.length);
  let stamp = 0;
  let size = 0;
  /** Where a number is, or would be. */
  const placeOf = (hash: number) => {
    let place = lowOf(hash) & (keys.length - 1);
    while (stamps[place] === stamp && keys[place] !== hash) place = (place + 1) & (keys.length - 1);
    return place;
  };
  const grow = () => {
    const old = keys.filter((_, place) => stamps[place] === stamp);
    keys = new Float64Array(2 * keys.length);
    stamps = new Uint32Array(keys.length);
    stamp = 1;
    for (const hash of old) put(placeOf(hash), hash);
  };
  const put = (place: number, hash: number) => {
    keys[place] = hash;
    stamps[place] = stamp;
  };
  return {
    clear() {
      size = 0;
      stamp++;
      if (stamp < 2 ** 32) return;
      stamps.fill(0);
      stamp = 1;
    },
    /** Whether it was not there. */
    add(hash: number): boolean {
      if (2 * size > keys.length) grow();
      const place = placeOf(hash);
      if (stamps[place] === stamp) return false;
      put(place, hash);
      size++;
      return true;
    },
  };
}
const seen = scratchSet();

/** A number of 53 bits for a text, the same for texts of the same UTF-16 units. */
export function hashOf(text: string): number {
  let low = 0x9e3779b9;
  let high = 0x7f4a7c15;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x9e3779b1);
    high = Math.imul(high ^ unit, 0x5f356495);
  }
  return whole(mixed(low, high), mixed(high, low));
}

const lowOf = (hash: number) => hash >>> 0;
const highOf = (hash: number) => Math.floor(hash / 2 ** 32);

/** The number of a run and the word behind it. */
export const joined = (hash: number, next: number) =>
  whole(
    mixed(lowOf(hash), lowOf(next)),
    mixed(highOf(hash) ^ lowOf(next), highOf(next) + 0x165667b1),
  );

const whole = (low: number, high: number) => (high & 0x1fffff) * 2 ** 32 + low;

/** The mixing steps of MurmurHash3, which let every bit of both numbers change every bit of the result. */
export function mixed(one: number, other: number): number {
  let bits = Math.imul(one ^ (one >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13) ^ other, 0xc2b2ae35);
  bits = Math.imul(bits ^ (bits >>> 15), 0x27d4eb2f);
  return (bits ^ (bits >>> 16)) >>> 0;
}
