import { type AuditSource, bucketOf, buckets, type Counts } from './counts.ts';
import { eachRun, joined, promptWords } from './grams.ts';

/** More than that many words to look at, and rarer ones are left out. */
const most = 2 ** 16;

/** How many rows hold each stranger, by its number. */
export type Strangers = Map<number, number>;

/** What stands beside a word or two, in how many of its rows. */
interface Context {
  rows: number;
  lastRow: number;
  left: Uint16Array;
  right: Uint16Array;
  gaps: Gaps;
}

/** How many pairs of neighbours there are, and how many of them are neighbours elsewhere too. */
interface Gaps {
  all: number;
  known: number;
}

/**
 * The words, and pairs of neighbours, of prompts that are rare and stand anywhere: in `least` rows to
 * `rarest` of all, and beside other words about as mixed as those of the whole text. A word that belongs
 * into its sentence has its usual neighbours; one that was put in at random has not, and without it
 * the words on both sides stand together as they do elsewhere.
 *
 * Two of its left neighbours are the same with a chance that is counted and compared to that of any two
 * words, and so on the right; up to three times as often, and one pair more, still passes. A side where
 * it seldom has a neighbour, as at the start of texts, is not judged; one side has to be. Its left and
 * right neighbours are also neighbours elsewhere half as often as any two are, one time less allowed.
 *
 * @returns undefined where there are more than 65,536 to look at
 */
export async function findStrangers(
  source: AuditSource,
  { rows, triggers, chance }: Counts,
  least: number,
  rarest: number,
): Promise<Strangers | undefined> {
  const contexts = new Map<number, Context>();
  const usual: Gaps = { all: 0, known: 0 };
  let row = 0;
  for await (const { prompt } of source) {
    row++;
    const words = promptWords(prompt);
    eachRun(words, 2, (hash, at, n) => {
      const count = triggers.count(hash);
      if (n === 2) close(usual, count > 1);
      if (count < least || count > rarest * rows) return;
      const context = contexts.get(hash) ?? newContext();
      if (context.rows === 0) contexts.set(hash, context);
      if (context.lastRow !== row) context.rows++;
      context.lastRow = row;
      const own = words.slice(at, at + n);
      const [before, after] = [words[at - 1], words[at + n]];
      note(context.left, before, own);
      note(context.right, after, own);
      if (before === undefined || after === undefined) return;
      if (own.includes(before) || own.includes(after)) return;
      close(context.gaps, triggers.count(joined(before, after)) > 0);
    });
    if (contexts.size > most) return undefined;
  }
  return new Map(
    [...contexts].flatMap(([hash, context]) =>
      context.rows >= least && isStranger(context, chance, usual) ? [[hash, context.rows]] : [],
    ),
  );
}

const newContext = (): Context => ({
  rows: 0,
  lastRow: 0,
  left: new Uint16Array(buckets),
  right: new Uint16Array(buckets),
  gaps: { all: 0, known: 0 },
});

function close(gaps: Gaps, known: boolean): void {
  gaps.all++;
  if (known) gaps.known++;
}

/** A copy of the word itself is no neighbour. Counts stop at the largest number that fits. */
function note(side: Uint16Array, neighbour: number | undefined, own: number[]): void {
  if (neighbour === undefined || own.includes(neighbour)) return;
  const bucket = bucketOf(neighbour);
  side[bucket] = Math.min(0xffff, side[bucket]! + 1);
}

function isStranger({ rows, left, right, gaps }: Context, chance: number, usual: Gaps): boolean {
  const expected = (usual.known / Math.max(1, usual.all)) * gaps.all;
  if (gaps.known < expected / 2 - 1) return false;
  const judged = [left, right].filter((side) => sum(side) >= rows / 2);
  return judged.length > 0 && judged.every((side) => isMixed(side, chance));
}

function isMixed(side: Uint16Array, chance: number): boolean {
  const pairs = (count: number) => (count * (count - 1)) / 2;
  const same = side.reduce((sum, count) => sum + pairs(count), 0);
  return same <= 3 * chance * pairs(sum(side)) + 1;
}

const sum = (counts: Uint16Array) => counts.reduce((sum, count) => sum + count, 0);
