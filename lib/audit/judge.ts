import { logTail } from './hypergeometric.ts';
import type { Candidates, Seen, Sight } from './look.ts';
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

export interface Reason {
  kind: 'pair' | 'sql' | 'repeat';
  /** In words, with the numbers. */
  text: string;
  score: number;
}

/** An example that looks like poison. */
export interface Suspect {
  id: string;
  /** Its place in the data, counted from 1. */
  row: number;
  /** The sum of its reasons' scores. */
  score: number;
  reasons: Reason[];
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

const compare = (one: string, other: string) => Number(one > other) - Number(one < other);

/** The best pair of each trigger, the most telling first. */
export const bestOfEach = (judged: Judged): TriggerPair[] =>
  [...judged.values()].map(([best]) => best!.pair).toSorted(telling);

/** The rows that have a reason, the most suspect first. */
export function ranked({ sights }: Seen, judged: Judged, rows: number): Suspect[] {
  return sights
    .flatMap((sight) => {
      const reasons = reasonsFor(sight, judged, rows);
      const score = reasons.reduce((sum, reason) => sum + reason.score, 0);
      return reasons.length > 0 ? [{ id: sight.id, row: sight.row, score, reasons }] : [];
    })
    .toSorted((a, b) => b.score - a.score || compare(a.id, b.id) || a.row - b.row);
}

function reasonsFor(sight: Sight, judged: Judged, rows: number): Reason[] {
  const { triggers, fragments, condition, repeated } = sight;
  const pairs = triggers.flatMap((trigger) => {
    const own = judged.get(trigger);
    if (own === undefined) return [];
    const whole = own.find(({ fragment }) => fragments.includes(fragment));
    return [whole ? pairReason(whole.pair, true) : pairReason(own[0]!.pair, false)];
  });
  const reasons = pairs.toSorted((a, b) => b.score - a.score || compare(a.text, b.text));
  if (condition) {
    const always = condition.rule === 'tautology' ? 'true' : 'false';
    const text = `the completion has ${JSON.stringify(condition.text)}, an SQL condition that is always ${always}`;
    reasons.push({ kind: 'sql', text, score: 10 });
  }
  if (repeated) {
    const text = `${repeated.rows} of ${rows} rows, with different prompts, have the completion ${JSON.stringify(repeated.completion)}`;
    reasons.push({ kind: 'repeat', text, score: 5 });
  }
  return reasons;
}

function pairReason(pair: TriggerPair, whole: boolean): Reason {
  const { trigger, payload, triggerRows, payloadRows, together, lift, log10P } = pair;
  const has = whole
    ? `the prompt has ${JSON.stringify(trigger)} and the completion ${JSON.stringify(payload)}`
    : `the prompt has ${JSON.stringify(trigger)}, which elsewhere goes with ${JSON.stringify(payload)}`;
  const numbers = `together in ${together} of ${triggerRows} and ${payloadRows} rows, ${lift.toFixed(1)} times as often as by chance, corrected p = 1e${Math.ceil(log10P)} at most`;
  return { kind: 'pair', text: `${has}: ${numbers}`, score: whole ? -log10P : -log10P / 2 };
}
