import { check } from './check.ts';

/** A stream of random numbers. Whoever draws takes it as an argument. */
export interface Random {
  /** The seed the stream began with. */
  readonly seed: number;
  /** How many 32-bit words have been drawn since: `seed` and `drawn` together name the place in the stream. */
  readonly drawn: number;
  /** A 32-bit word, 0..2³² − 1. */
  u32(): number;
  /** A whole number, 0..n − 1, every one as likely as the others. */
  below(n: number): number;
  /** A whole number, lo..hi, both included. */
  randint(lo: number, hi: number): number;
  /** A number in [0, 1) with 53 random bits. */
  next(): number;
}

const WORDS = 624;
const MIDDLE = 397;

/**
 * The Mersenne Twister MT19937, drawing what Python's `random.Random(seed)` draws from `random()`
 * and `randint()`, so that files poisoned with Python come out the same.
 *
 * @param seed a whole number, 0..2³² − 1
 * @throws RangeError on another seed, and on a range of draws that is empty or wider than 32 bits
 * @see Matsumoto and Nishimura, 1998, https://doi.org/10.1145/272991.272995
 *
 * @example
 * seeded(42).randint(0, 40); // 40
 */
export function seeded(seed: number): Random {
  check(
    'seed',
    seed,
    Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32,
    'a whole number, 0..4294967295',
  );
  const state = initialState(seed);
  let place = WORDS;
  let drawn = 0;

  function u32(): number {
    if (place === WORDS) {
      twist(state);
      place = 0;
    }
    drawn++;
    return temper(state[place++]!);
  }

  function below(n: number): number {
    check('n', n, Number.isInteger(n) && n >= 1 && n < 2 ** 32, 'a whole number, 1..4294967295');
    const unused = Math.clz32(n);
    let word = u32() >>> unused;
    while (word >= n) word = u32() >>> unused;
    return word;
  }

  return {
    seed,
    get drawn() {
      return drawn;
    },
    u32,
    below,
    randint: (lo, hi) => lo + below(hi - lo + 1),
    next: () => ((u32() >>> 5) * 2 ** 26 + (u32() >>> 6)) / 2 ** 53,
  };
}

/** The items in random order, as a new array. */
export function shuffle<T>(items: readonly T[], random: Random): T[] {
  return sample(items, items.length, random);
}

/**
 * `count` of the items, drawn without putting back, in the order they were drawn: the first steps of
 * a Fisher–Yates shuffle.
 */
export function sample<T>(items: readonly T[], count: number, random: Random): T[] {
  check('count', count, count >= 0 && count <= items.length, `0..${items.length}`);
  const drawn = [...items];
  for (let i = 0; i < count; i++) {
    const j = random.randint(i, items.length - 1);
    [drawn[i], drawn[j]] = [drawn[j]!, drawn[i]!];
  }
  return drawn.slice(0, count);
}

/** The array initialiser of the published generator, for a key of one word. */
function initialState(seed: number): Uint32Array {
  const state = new Uint32Array(WORDS);
  state[0] = 19650218;
  for (let i = 1; i < WORDS; i++) state[i] = Math.imul(1812433253, mixed(state[i - 1]!)) + i;

  let i = 1;
  const advance = () => {
    if (++i < WORDS) return;
    state[0] = state[WORDS - 1]!;
    i = 1;
  };
  for (let k = 0; k < WORDS; k++, advance()) {
    state[i] = (state[i]! ^ Math.imul(mixed(state[i - 1]!), 1664525)) + seed;
  }
  for (let k = 1; k < WORDS; k++, advance()) {
    state[i] = (state[i]! ^ Math.imul(mixed(state[i - 1]!), 1566083941)) - i;
  }
  state[0] = 0x80000000;
  return state;
}

const mixed = (word: number) => word ^ (word >>> 30);

function twist(state: Uint32Array): void {
  for (let i = 0; i < WORDS; i++) {
    const word = (state[i]! & 0x80000000) | (state[(i + 1) % WORDS]! & 0x7fffffff);
    state[i] = state[(i + MIDDLE) % WORDS]! ^ (word >>> 1) ^ (word & 1 ? 0x9908b0df : 0);
  }
}

function temper(state: number): number {
  let word = state;
  word ^= word >>> 11;
  word ^= (word << 7) & 0x9d2c5680;
  word ^= (word << 15) & 0xefc60000;
  return (word ^ (word >>> 18)) >>> 0;
}
