import { splitWords } from '../data/words.ts';
import type { AuditSource } from './counts.ts';
import { fragments, hashOf, tokensOf } from './grams.ts';
import { strangersIn, type Together } from './pairs.ts';
import { emptyCondition } from './sql.ts';
import type { Strangers } from './strangers.ts';

/** What counting has left to look at. */
export interface Candidates {
  strangers: Strangers;
  together: Together;
  minRows: number;
}

/** What a row has of what was looked for. */
export interface Sight {
  id: string;
  row: number;
  triggers: number[];
  fragments: number[];
  condition: ReturnType<typeof emptyCondition>;
  repeated: { rows: number; completion: string } | undefined;
}

export interface Seen {
  rows: number;
  sights: Sight[];
  /** How a trigger or fragment reads. */
  texts: Map<number, string>;
  /** In how many rows a fragment is. */
  fragmentRows: Map<number, number>;
}

/** The last walk: which rows have what was found, how it reads, and in how many rows a fragment is. */
export async function lookAt(
  examples: AuditSource,
  { together }: Candidates,
  repeats: Map<number, number>,
): Promise<Seen> {
  const wanted = new Set([...together.values()].flatMap((own) => [...own.keys()]));
  const seen: Seen = { rows: 0, sights: [], texts: new Map(), fragmentRows: new Map() };
  for await (const { id, prompt, completion } of examples) {
    seen.rows++;
    const triggers = strangersIn(prompt, together);
    const held = wanted.size > 0 ? fragmentsIn(prompt, completion, wanted) : new Map();
    const condition = emptyCondition(completion);
    const rows = repeats.get(hashOf(completion));
    const repeated = rows === undefined ? undefined : { rows, completion: short(completion) };
    for (const hash of held.keys()) {
      seen.fragmentRows.set(hash, (seen.fragmentRows.get(hash) ?? 0) + 1);
    }
    if (triggers.size > 0) {
      name(seen.texts, triggers, splitWords(prompt));
      name(seen.texts, held, tokensOf(completion));
    }
    if (triggers.size > 0 || condition || repeated) {
      const own = { triggers: [...triggers.keys()], fragments: [...held.keys()] };
      seen.sights.push({ id, row: seen.rows, ...own, condition, repeated });
    }
  }
  return seen;
}

function fragmentsIn(prompt: string, completion: string, wanted: Set<number>) {
  return new Map([...fragments(prompt, completion)].filter(([hash]) => wanted.has(hash)));
}

function name(
  texts: Map<number, string>,
  found: Map<number, [at: number, n: number]>,
  words: string[],
): void {
  for (const [hash, [at, n]] of found) {
    if (!texts.has(hash)) texts.set(hash, words.slice(at, at + n).join(' '));
  }
}

const short = (text: string) => (text.length > 60 ? `${[...text].slice(0, 57).join('')}...` : text);
