import { splitWords } from '../data/words.ts';
import type { AuditSource } from './counts.ts';
import { eachFragment, type Span, tokensOf, wordsOf } from './grams.ts';
import { strangersIn, type Together } from './pairs.ts';
import type { Strangers } from './strangers.ts';

/** What counting has left to look at. */
export interface Candidates {
  strangers: Strangers;
  together: Together;
  minRows: number;
}

/** What sketches cannot tell of the candidates. */
export interface Seen {
  /** How a trigger or fragment reads. */
  texts: Map<number, string>;
  /** In how many rows a fragment is. */
  fragmentRows: Map<number, number>;
}

/** A walk that counts the candidates' fragments exactly, and finds out how all of them read. */
export async function lookAt(source: AuditSource, { together }: Candidates): Promise<Seen> {
  const wanted = new Set([...together.values()].flatMap((own) => [...own.keys()]));
  const seen: Seen = { texts: new Map(), fragmentRows: new Map() };
  if (wanted.size === 0) return seen;
  for await (const { prompt, completion } of source) {
    const held = fragmentsIn(prompt, completion, wanted);
    for (const hash of held.keys()) {
      seen.fragmentRows.set(hash, (seen.fragmentRows.get(hash) ?? 0) + 1);
    }
    const triggers = strangersIn(prompt, together);
    if (triggers.size === 0) continue;
    name(seen.texts, triggers, () => splitWords(prompt));
    name(seen.texts, held, () => tokensOf(completion));
  }
  return seen;
}

/** Which of these fragments a completion has. */
export function fragmentsIn(
  prompt: string,
  completion: string,
  wanted: { has(hash: number): boolean },
): Map<number, Span> {
  const held = new Map<number, Span>();
  eachFragment(prompt, completion, (hash, at, n) => {
    if (wanted.has(hash)) held.set(hash, at * 4 + n);
  });
  return held;
}

function name(texts: Map<number, string>, found: Map<number, Span>, words: () => string[]): void {
  for (const [hash, span] of found) {
    if (!texts.has(hash)) texts.set(hash, wordsOf(span, words()).join(' '));
  }
}
