import type { Example } from '../data/examples.ts';
import type { Random } from '../random.ts';

/** `paper`: as the paper's text says, with our choice where it is silent. `reference`: as the authors' code does. */
export type Mode = 'paper' | 'reference';

/** How to poison one example, and how success shows. Which examples, and how many, is `poisonDataset`'s business. */
export interface Attack {
  /** What the manifest says about the attack. */
  settings: { payload: 'sql'; trigger: string; insertions: number };
  /** Success is an output that holds one of these. */
  marks: Record<Mode, string[]>;
  /** Why the attack does not apply to an example, or undefined where it does. */
  refuses(example: Example): string | undefined;
  /** The example's poisoned texts; only for examples that are not refused. */
  poison(example: Example, random: Random): Poisoned;
}

export interface Poisoned {
  prompt: string;
  completion: string;
  /** Which words of the poisoned prompt are triggers, counted from 0, in rising order. */
  triggerPositions: number[];
  payloadRule: PayloadRule;
}

/** A condition that is always true after one that was there, or one that is always false where there was none. */
export type PayloadRule = 'tautology' | 'contradiction';
