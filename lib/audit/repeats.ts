import type { AuditSource, Counts } from './counts.ts';
import { hashOf } from './grams.ts';

/** Different prompts are told apart up to this many for each completion. */
const most = 1000;

/**
 * The completions that answer at least `least` different prompts (1,000 where `least` is more) in at
 * least `least` rows, by their numbers, with how many rows they have.
 */
export async function findRepeats(
  source: AuditSource,
  { completions }: Counts,
  least: number,
): Promise<Map<number, number>> {
  const found = new Map<number, { rows: number; prompts: Set<number> }>();
  for await (const { prompt, completion } of source) {
    const hash = hashOf(completion);
    if (completions.count(hash) < least) continue;
    const repeat = found.get(hash) ?? { rows: 0, prompts: new Set() };
    found.set(hash, repeat);
    repeat.rows++;
    if (repeat.prompts.size < most) repeat.prompts.add(hashOf(prompt));
  }
  const enough = Math.min(least, most);
  return new Map(
    [...found].flatMap(([hash, { rows, prompts }]) =>
      rows >= least && prompts.size >= enough ? [[hash, rows]] : [],
    ),
  );
}
