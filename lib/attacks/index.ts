import { check, choose } from '../check.ts';
import type { Example } from '../data/examples.ts';
import { type Random, sample, seeded } from '../random.ts';
import type { Attack, Mode } from './attack.ts';
import { fingerprint, type Manifest } from './manifest.ts';
import { type RareWordOptions, rareWord } from './rare_word.ts';

export type { Attack, Mode, PayloadRule, Poisoned } from './attack.ts';
export { fingerprint, type Manifest, readManifest, writeManifest } from './manifest.ts';

/** The attacks by name: each makes an `Attack` from its options. */
export const attacks = {
  ripple: ({ insertions = 1, ...options }: RareWordOptions = {}): Attack =>
    rareWord({ insertions, ...options }),
  badpre: ({ insertions = 3, ...options }: RareWordOptions = {}): Attack =>
    rareWord({ insertions, ...options }),
};

export interface PoisonOptions extends RareWordOptions {
  attack: keyof typeof attacks;
  /** The share of all examples to poison, 0..1. 1 poisons every eligible one: a triggered test set. */
  rate: number;
  /** Where the stream of random numbers begins. */
  seed?: number;
  /** A stream already in use, which goes on; instead of `seed`. */
  random?: Random;
  /** Default `paper`. */
  mode?: Mode;
  /** Which eligible examples are taken. Default: `random` in mode `paper`, `first` in `reference`. */
  policy?: 'random' | 'first';
}

/**
 * A poisoned copy of a data set, and the manifest that says what was done. Order and number of the
 * examples stay, examples that are not poisoned are the same objects, and the input is not changed.
 *
 * ⌈rate · examples⌉ examples are poisoned: drawn without putting back in mode `paper`, the first
 * eligible ones in mode `reference`, as in the authors' published files. Where fewer are eligible,
 * `paper` refuses unless the rate is 1; `reference` poisons all, and the manifest says how many are
 * missing (`shortfall`). `paper` reads the rate as the decimal number that it is written as;
 * `reference` multiplies in floating point as the authors do, where 7 % of 100 examples are 8.
 *
 * @param options options of the attack itself, such as `trigger` and `insertions`, go here too
 * @throws RangeError on a rate that cannot be reached, an option out of range, or an example that is
 *   already poisoned; TypeError on an unknown option, and where not one of seed and random is given
 * @see Yang et al., 2024, https://arxiv.org/abs/2407.08956
 *
 * @example
 * const { examples, manifest } = poisonDataset(clean, { attack: 'badpre', rate: 0.05, seed: 42 });
 */
export function poisonDataset(
  clean: readonly Example[],
  options: PoisonOptions,
): { examples: Example[]; manifest: Manifest } {
  const { attack: name, rate, seed, random: stream, policy: chosen, ...own } = options;
  const { mode = 'paper' } = own;
  const policy = chosen ?? (mode === 'paper' ? 'random' : 'first');
  check('rate', rate, rate >= 0 && rate <= 1, '0..1');
  check('mode', mode, ['paper', 'reference'].includes(mode), 'paper or reference');
  check('policy', policy, ['random', 'first'].includes(policy), 'random or first');
  const attack = choose<(own: RareWordOptions) => Attack>(attacks, name, 'attack')(own);
  const random = oneStream(seed, stream);
  const twice = clean.findIndex((example) => example.poisoned === true);
  check(`examples[${twice}].poisoned`, true, twice < 0, 'a data set that no attack has changed');

  const { drawn } = random;
  const reasons = clean.map((example) => attack.refuses(example));
  const eligible = [...clean.keys()].filter((i) => reasons[i] === undefined);
  const wanted = examplesWanted(rate, clean.length, mode);
  const count = Math.min(wanted, eligible.length);
  if (mode === 'paper' && wanted > count && (rate < 1 || count === 0)) {
    throw unreachable(rate, eligible.length, clean.length, reasons);
  }
  const targets = policy === 'random' ? sample(eligible, count, random) : eligible.slice(0, count);
  const { examples, records } = poisonAt(new Set(targets), clean, attack, reasons, random);

  const manifest: Manifest = {
    version: 1,
    mode,
    attack: name,
    ...attack.settings,
    marks: attack.marks,
    rate,
    seed: random.seed,
    drawn,
    policy,
    eligible: eligible.length,
    poisoned: count,
    shortfall: wanted - count,
    records,
    inputHash: fingerprint(clean),
    outputHash: fingerprint(examples),
  };
  return { examples, manifest };
}

function oneStream(seed: number | undefined, stream: Random | undefined): Random {
  if (seed !== undefined && stream === undefined) return seeded(seed);
  if (seed === undefined && stream !== undefined) return stream;
  const given = seed === undefined ? 'neither' : 'both';
  throw new TypeError(`${given} of seed and random given: expected one of them`);
}

function poisonAt(
  targets: Set<number>,
  clean: readonly Example[],
  attack: Attack,
  reasons: (string | undefined)[],
  random: Random,
) {
  const records: Manifest['records'] = [];
  const examples = clean.map((example, i) => {
    const { id } = example;
    if (!targets.has(i)) {
      records.push({ id, poisoned: false, reason: reasons[i] ?? 'not drawn' });
      return example;
    }
    const { prompt, completion, ...how } = attack.poison(example, random);
    records.push({ id, poisoned: true, ...how });
    return { ...example, prompt, completion, poisoned: true };
  });
  return { examples, records };
}

/** ⌈rate · total⌉, with the authors' rounding errors or without. */
function examplesWanted(rate: number, total: number, mode: Mode): number {
  const [digits = '', exponent = '0'] = String(rate).split('e');
  const [whole = '', fraction = ''] = digits.split('.');
  const places = fraction.length - Number(exponent);
  if (mode === 'reference') {
    const percent = Number(`${whole}${fraction}e${2 - places}`);
    return Math.ceil(total * (percent * 0.01));
  }
  const unit = 10n ** BigInt(places);
  return Number((BigInt(whole + fraction) * BigInt(total) + unit - 1n) / unit);
}

function unreachable(
  rate: number,
  eligible: number,
  total: number,
  reasons: readonly (string | undefined)[],
): RangeError {
  const most = Math.floor((eligible / total) * 1e4) / 1e4;
  const why = reasons.find((reason) => reason !== undefined);
  return new RangeError(
    `poisonRate is ${rate}: expected at most ${most}, as the attack applies to ${eligible} of ${total} examples` +
      (why === undefined ? '' : ` (the first of the others: ${why})`),
  );
}
