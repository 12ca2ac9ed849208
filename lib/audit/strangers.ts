import { type AuditSource, bucketOf, buckets, type Counts } from './counts.ts';
import { eachRun, joined, promptWords } from './grams.ts';

/** More than that many words to look at, and rarer ones are left out. */
const most = 2 ** 16;

/** How many rows hold each stranger, by its number. */
export type Strangers = Map<number, number>;

/** How many pairs of neighbours there are, and how many of them are neighbours elsewhere too. */
interface Gaps {
  all: number;
  known: number;
}

/** What stands beside a word or two, in how many of its rows. */
interface Context {
  rows: number;
  lastRow: number;
  left: Uint16Array;
  right: Uint16Array;
  gaps: Gaps;
}

/** Room for the neighbours of as many words as are looked at, taken once: 64 MB, of which what is used counts. */
export type Room = Uint16Array;
export const newRoom = (): Room => new Uint16Array(most * 2 * buckets);

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
  room: Room,
): Promise<Strangers | undefined> {
  // The counters say beforehand that they are far too many.
  if (triggers.countersFrom(least) > 4 * most) return undefined;
  const contexts = new Map<number, Context>();
  const usual: Gaps = { all: 0, known: 0 };
  let row = 0;
  let full = false;
  for await (const { prompt } of source) {
    row++;
    const words = promptWords(prompt);
    eachRun(words, 2, (hash, at, n) => {
      const count = triggers.count(hash);
      if (n === 2) close(usual, count > 1);
      if (count < least || count > rarest * rows) return;
      let context = contexts.get(hash);
      if (context === undefined) {
        if (contexts.size === most) full = true;
        if (full) return;
        context = newContext(room, contexts.size);
        contexts.set(hash, context);
      }
      if (context.lastRow !== row) context.rows++;
      context.lastRow = row;
      const isOwn = (word: number | undefined) =>
        word === words[at] || (n === 2 && word === words[at + 1]);
      const [before, after] = [words[at - 1], words[at + n]];
      const left = before !== undefined && !isOwn(before);
      const right = after !== undefined && !isOwn(after);
      if (left) note(context.left, before);
      if (right) note(context.right, after);
      if (!left || !right) return;
      close(context.gaps, triggers.count(joined(before, after)) > 0);
    });
    if (full) return undefined;
  }
  return new Map(
    [...contexts].flatMap(([hash, context]) =>
      context.rows >= least && isStranger(context, chance, usual) ? [[hash, context.rows]] : [],
    ),
  );
}

function newContext(room: Room, index: number): Context {
  const at = (side: number) => (2 * index + side) * buckets;
  const [left, right] = [room.subarray(at(0), at(1)), room.subarray(at(1), at(2))];
  left.fill(0);
  right.fill(0);
  return { rows: 0, lastRow: 0, left, right, gaps: { all: 0, known: 0 } };
}

function close(gaps: Gaps, known: boolean): void {
  gaps.all++;
  if (known) gaps.known++;
}

/** Counts stop at the largest number that fits. A copy of the word itself is no neighbour. */
function note(side: Uint16Array, neighbour: number): void {
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
