import type { AuditSource, Counts } from './counts.ts';
import { eachFragment, eachRun, promptWords, type Span } from './grams.ts';
import type { Strangers } from './strangers.ts';

/** More pairs than that, and rarer words are left out. */
const most = 2 ** 20;

/** How many of a trigger's rows have the payload, and how many of the payload's the trigger. */
export const shares = { ofTrigger: 0.5, ofPayload: 0.8 };

/** For each trigger the fragments that may be its payload, with in how many rows both are. */
export type Together = Map<number, Map<number, number>>;

/**
 * The strangers and fragments that go together in at least `least` rows, half of the stranger's, where
 * the fragment is not much more frequent.
 *
 * @returns undefined where there are more than a million to count
 */
export async function countTogether(
  source: AuditSource,
  counts: Counts,
  strangers: Strangers,
  least: number,
): Promise<Together | undefined> {
  const together: Together = new Map();
  let size = 0;
  for await (const { prompt, completion } of source) {
    const present = strangersIn(prompt, strangers);
    if (present.size === 0) continue;
    const frequencies: [hash: number, count: number][] = [];
    eachFragment(prompt, completion, (hash) => {
      const count = counts.fragments.count(hash);
      if (count >= least) frequencies.push([hash, count]);
    });
    for (const trigger of present.keys()) {
      const rows = strangers.get(trigger)!;
      const low = Math.max(least, shares.ofTrigger * rows);
      const high = rows / shares.ofPayload;
      const own = together.get(trigger) ?? new Map<number, number>();
      together.set(trigger, own);
      size -= own.size;
      for (const [hash, count] of frequencies) {
        if (count >= low && count <= high) own.set(hash, (own.get(hash) ?? 0) + 1);
      }
      size += own.size;
      if (size > most) return undefined;
    }
  }
  for (const [trigger, own] of together) {
    const low = Math.max(least, shares.ofTrigger * strangers.get(trigger)!);
    for (const [hash, count] of own) if (count < low) own.delete(hash);
    if (own.size === 0) together.delete(trigger);
  }
  return together;
}

/** Which of these words, or pairs of words, a prompt has, with where the first is. */
export function strangersIn(
  prompt: string,
  strangers: { has(hash: number): boolean },
): Map<number, Span> {
  const present = new Map<number, Span>();
  eachRun(promptWords(prompt), 2, (hash, at, n) => {
    if (strangers.has(hash) && !present.has(hash)) present.set(hash, at * 4 + n);
  });
  return present;
}
