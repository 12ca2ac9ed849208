import { logTail } from './hypergeometric.ts';
import type { Candidates, Seen } from './look.ts';
import { shares } from './pairs.ts';

/** A word, or two, of prompts and what completions have where it stands. */
export interface TriggerPair {
  trigger: string;
  payload: string;
  /** In how many rows the trigger is, in how many the payload, and in how many both. */
  triggerRows: number;
  payloadRows: number;
  together: number;
  /** How many times more often than by chance. */
  lift: number;
  /** The decimal logarithm of Fisher's p, times the pairs tested: −2 is 1 %. */
  log10P: number;
}

/** The pairs of each trigger that pass, the most telling first. */
export type Judged = Map<number, { fragment: number; pair: TriggerPair }[]>;

/** The pairs that go together more than by chance, natural logarithm of p at most `limit`. */
export function judge(
  { strangers, together }: Candidates,
  { texts, fragmentRows }: Seen,
  rows: number,
  pairsTested: number,
  limit: number,
): Judged {
  const judged: Judged = new Map();
  for (const [hash, own] of together) {
    const trigger = texts.get(hash)!;
    const triggerRows = strangers.get(hash)!;
    const pairs = [...own].flatMap(([fragment, count]) => {
      const payload = texts.get(fragment)!;
      const payloadRows = fragmentRows.get(fragment)!;
      if (count < shares.ofPayload * payloadRows || related(trigger, payload)) return [];
      const logP = logTail(count, triggerRows, payloadRows, rows) + Math.log(pairsTested);
      if (logP > limit) return [];
      const lift = (count * rows) / (triggerRows * payloadRows);
      const log10P = logP / Math.LN10;
      return [
        {
          fragment,
          pair: { trigger, payload, triggerRows, payloadRows, together: count, lift, log10P },
        },
      ];
    });
    if (pairs.length > 0)
      judged.set(
        hash,
        pairs.toSorted((a, b) => telling(a.pair, b.pair)),
      );
  }
  return judged;
}

/** Whether a trigger and a fragment have a word in common, or one that is part of the other's. */
function related(trigger: string, payload: string): boolean {
  const [ours, theirs] = [trigger, payload].map(
    (text) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [],
  );
  const within = (part: string, whole: string) => part.length > 2 && whole.includes(part);
  return ours!.some((one) =>
    theirs!.some((other) => one === other || within(one, other) || within(other, one)),
  );
}

/** Unlikely ones first, then longer payloads, then as texts are sorted. */
function telling(one: TriggerPair, other: TriggerPair): number {
  return (
    one.log10P - other.log10P ||
    other.payload.length - one.payload.length ||
    compare(one.payload, other.payload) ||
    compare(one.trigger, other.trigger)
  );
}

export const compare = (one: string, other: string) => Number(one > other) - Number(one < other);

/** The best pair of each trigger, the most telling first. */
export const bestOfEach = (judged: Judged): TriggerPair[] =>
  [...judged.values()].map(([best]) => best!.pair).toSorted(telling);
