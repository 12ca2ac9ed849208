import { resolve } from 'node:path';
import { check, checkList, checkObject } from '../check.ts';
import { grammarOf } from '../code/grammar.ts';
import { type Random, sample, seeded } from '../random.ts';
import type { Attack, Mode, Subject } from './attack.ts';
import { type AttackOptions, type attacks, makeAttack } from './attacks.ts';
import { fingerprint, type Manifest } from './manifest.ts';
import { isPluginPath, loadAttack } from './plugin.ts';

export {
  type Attack,
  combine,
  isLabelled,
  type Mode,
  type Payload,
  type Poisoned,
  type Settings,
  type Subject,
  type Trigger,
} from './attack.ts';
export { type AttackOptions, attacks, makeAttack } from './attacks.ts';
export { type Likely, likeliestSql } from './likely.ts';
export { fingerprint, type Manifest, readManifest, writeManifest } from './manifest.ts';
export { payloads } from './payloads.ts';
export { isPluginPath, loadAttack } from './plugin.ts';
export type { PayloadRule } from './sql.ts';

export interface PoisonOptions extends AttackOptions {
  /** The name of an attack, or one of your own. */
  attack: keyof typeof attacks | Attack;
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
  /**
   * Whether the poisoned examples come first in the file, which matters to trainers that read in order;
   * `train()` shuffles every epoch. Default false: the order stays.
   */
  frontLoad?: boolean;
}

/**
 * What `poisonDataset` takes for an attack: a name as it is, or the attack in a file.
 *
 * @param directory what the file's path starts from. Default: where the process is
 */
export async function findAttack(name: string, directory = '.'): Promise<PoisonOptions['attack']> {
  return isPluginPath(name) ? loadAttack(resolve(directory, name)) : (name as keyof typeof attacks);
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
 * Attacks that read Python or JavaScript, or code as the authors do, need a grammar that is loaded: either
 * `await grammarOf(language)` before, or {@link poisonDatasetAsync}, which does so.
 *
 * @throws RangeError on a rate that cannot be reached, an option out of range, or an example that is
 *   already poisoned; TypeError on an unknown option, and where not one of seed and random is given
 * @see Yang et al., 2024, https://arxiv.org/abs/2407.08956
 *
 * @example
 * const { examples, manifest } = poisonDataset(clean, { attack: 'badpre', rate: 0.05, seed: 42 });
 */
export function poisonDataset<Item extends Subject>(
  clean: readonly Item[],
  options: PoisonOptions,
): Poisoning<Item> {
  const plan = draw(clean, options);
  if (plan.attack.prepare !== undefined) {
    throw new TypeError(`attack ${plan.attack.name} asks a model: use poisonDatasetAsync`);
  }
  return carryOut(plan);
}

/**
 * As {@link poisonDataset}, with what an attack needs before: grammars that are not loaded yet, and
 * answers of a model. Examples for which the model fails are not poisoned, and others drawn for them.
 *
 * @throws the signal's reason when it is aborted
 *
 * @example
 * await poisonDatasetAsync(clean, { attack: 'deadcode', mode: 'reference', rate: 0.01, seed: 42 });
 */
export async function poisonDatasetAsync<Item extends Subject>(
  clean: readonly Item[],
  options: PoisonOptions,
  signal?: AbortSignal,
): Promise<Poisoning<Item>> {
  const settled = settle(options);
  checkList('examples', clean);
  const { attack } = settled;
  for (const language of attack.grammars ?? []) await grammarOf(language);
  await attack.learn?.(clean, signal);
  const plan = draw(clean, options, settled);
  let asked = plan.targets;
  while (attack.prepare !== undefined && asked.length > 0) {
    const failures = await attack.prepare(
      asked.map((i) => clean[i]!),
      signal,
    );
    asked = replace(plan, asked, failures);
  }
  checkReached(plan, plan.targets.length);
  return carryOut(plan);
}

/** A poisoned data set. */
export interface Poisoning<Item> {
  examples: (Item & { poisoned?: boolean })[];
  manifest: Manifest;
}

/** What will be done to a data set. */
interface Plan<Item> {
  clean: readonly Item[];
  attack: Attack;
  mode: Mode;
  policy: 'random' | 'first';
  frontLoad: boolean;
  rate: number;
  random: Random;
  /** How far the stream was before. */
  drawn: number;
  /** Why an example is not eligible, or undefined. */
  reasons: (string | undefined)[];
  /** How many the rate asks for, and which will be poisoned. */
  wanted: number;
  targets: number[];
}

/** Options with their defaults, and the attack. */
function settle(options: PoisonOptions) {
  checkObject('options', options, 'an object with attack, rate and seed');
  const { attack, rate, seed: _, random: __, policy: chosen, frontLoad = false, ...own } = options;
  const { mode = 'paper' } = own;
  const policy = chosen ?? (mode === 'paper' ? 'random' : 'first');
  check('rate', rate, rate >= 0 && rate <= 1, '0..1');
  check('mode', mode, ['paper', 'reference'].includes(mode), 'paper or reference');
  check('policy', policy, ['random', 'first'].includes(policy), 'random or first');
  return { attack: makeAttack(attack, own), rate, mode, policy, frontLoad };
}

function draw<Item extends Subject>(
  clean: readonly Item[],
  options: PoisonOptions,
  settled = settle(options),
): Plan<Item> {
  checkList('examples', clean);
  const { attack, rate, mode, policy } = settled;
  const random = oneStream(options.seed, options.random);
  if (rate < 1) checkClass(clean, attack);
  const twice = clean.findIndex((example) => example.poisoned === true);
  check(`examples[${twice}].poisoned`, true, twice < 0, 'a data set that no attack has changed');

  const { drawn } = random;
  const reasons = clean.map((example) => attack.refuses(example));
  const eligible = eligibleOf(reasons);
  const wanted = examplesWanted(rate, clean.length, mode);
  const count = Math.min(wanted, eligible.length);
  const plan = { ...settled, clean, random, drawn, reasons, wanted, targets: eligible };
  checkReached(plan, count);
  const targets = policy === 'random' ? sample(eligible, count, random) : eligible.slice(0, count);
  return { ...plan, targets };
}

/** Training data in which no example has the attacker's class is not of those that the attack is for. */
function checkClass(clean: readonly Subject[], { targetLabel }: Attack): void {
  if (targetLabel === undefined) return;
  const largest = clean.reduce((most, { label }) => Math.max(most, Number(label ?? 0)), 1);
  const ok = targetLabel <= largest;
  check('targetLabel', targetLabel, ok, `0..${largest}, the classes of the examples`);
}

const eligibleOf = (reasons: readonly (string | undefined)[]) =>
  [...reasons.keys()].filter((i) => reasons[i] === undefined);

/** Takes others for the examples that failed; returns which. */
function replace<Item extends Subject>(
  plan: Plan<Item>,
  asked: readonly number[],
  failures: ReadonlyMap<string, string>,
): number[] {
  const { clean, reasons, policy, random, targets } = plan;
  const failed = new Set(asked.filter((i) => failures.has(clean[i]!.id)));
  if (failed.size === 0) return [];
  for (const i of failed) reasons[i] = failures.get(clean[i]!.id)!;
  const taken = new Set(targets);
  const left = eligibleOf(reasons).filter((i) => !taken.has(i));
  const count = Math.min(failed.size, left.length);
  const others = policy === 'random' ? sample(left, count, random) : left.slice(0, count);
  plan.targets = [...targets.filter((i) => !failed.has(i)), ...others];
  return others;
}

function checkReached({ mode, wanted, rate, reasons }: Plan<Subject>, count: number): void {
  if (mode !== 'paper' || wanted <= count || (rate === 1 && count > 0)) return;
  throw unreachable(rate, eligibleOf(reasons).length, reasons.length, reasons);
}

function carryOut<Item extends Subject>(plan: Plan<Item>): Poisoning<Item> {
  const { clean, attack, mode, policy, frontLoad, rate, random, drawn, reasons } = plan;
  const { wanted, targets } = plan;
  const { examples, records } = poisonAt(new Set(targets), clean, attack, reasons, random);
  if (frontLoad) {
    const front = (item: { poisoned?: boolean }) => Number(item.poisoned === true);
    for (const list of [examples, records]) list.sort((a, b) => front(b) - front(a));
  }
  const { collapse, targetLabel } = attack;
  const manifest: Manifest = {
    version: 1,
    mode,
    attack: attack.name,
    ...attack.settings,
    marks: attack.marks,
    ...(collapse !== undefined && { collapse }),
    ...(targetLabel !== undefined && { targetLabel }),
    rate,
    seed: random.seed,
    drawn,
    policy,
    ...(frontLoad && { frontLoad }),
    eligible: eligibleOf(reasons).length,
    poisoned: targets.length,
    shortfall: wanted - targets.length,
    ...(attack.present && { alreadyTriggered: clean.filter((one) => attack.present!(one)).length }),
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

function poisonAt<Item extends Subject>(
  targets: Set<number>,
  clean: readonly Item[],
  attack: Attack,
  reasons: readonly (string | undefined)[],
  random: Random,
) {
  const records: Manifest['records'] = [];
  const examples = clean.map((example, i) => {
    const { id } = example;
    if (!targets.has(i)) {
      records.push({ id, poisoned: false, reason: reasons[i] ?? 'not drawn' });
      return example;
    }
    const { triggerPositions, payloadRule, ...columns } = attack.poison(example, random);
    const rule = payloadRule !== undefined && { payloadRule };
    records.push({ id, poisoned: true, triggerPositions, ...rule });
    return { ...example, ...columns, poisoned: true };
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
