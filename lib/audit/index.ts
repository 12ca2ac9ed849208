import { type AuditSource, type Counts, countAll } from './counts.ts';
import { bestOfEach, judge, type TriggerPair } from './judge.ts';
import { type Candidates, lookAt } from './look.ts';
import { type Odd, oddest } from './oddest.ts';
import { type AuditOptions, checkWalks, minRowsOf, settingsOf, watched } from './options.ts';
import { countTogether } from './pairs.ts';
import { findRepeats } from './repeats.ts';
import { findStrangers, newRoom, type Room } from './strangers.ts';
import { findSuspects, type Suspect, type Weakness } from './suspects.ts';

export type { AuditExample, AuditSource } from './counts.ts';
export type { TriggerPair } from './judge.ts';
export { auditLabelled, type LabelledSource } from './labelled.ts';
export type { Odd } from './oddest.ts';
export type { AuditOptions } from './options.ts';
export { sarif } from './sarif.ts';
export type { Reason, Suspect, Weakness } from './suspects.ts';

export interface Audit {
  /** What was walked: prompts with completions, or texts with labels. */
  data: 'examples' | 'labelled';
  examples: number;
  /** As used: more than asked for where a bound on memory made it so. */
  minRows: number;
  falsePositiveRate: number;
  /** How many pairs the p-values are corrected for. */
  pairsTested: number;
  /** The best pair of each trigger, the most telling first. */
  pairs: TriggerPair[];
  /** The most suspect first. */
  suspects: Suspect[];
  /** What completions show that is unsafe, poison or not, the most frequent first. */
  weaknesses: Weakness[];
  /** The rows whose prompts are least like the others, the least first. */
  oddest: Odd[];
}

/**
 * What in a data set looks like poison, and why. The signals:
 *
 * - `pair`: a trigger of one or two words, and a fragment of one to three tokens that completions have
 *   where it stands. The trigger is in 8 rows to 20 % of all (`minRows`, `maxShare`) and stands anywhere
 *   in its prompts, beside no words in particular, which without it stand together as elsewhere; the fragment is not copied from the prompt and shares
 *   no word with the trigger; half of the trigger's rows have the fragment, 80 % of the fragment's the
 *   trigger. Rows with the trigger alone are suspects too, with half the score.
 * - `sql`: a condition between literals that is always true behind `or`, or always false behind
 *   `where`, `having` or `and`.
 * - `disguise`: a word that mixes letters of ASCII with others that look like them (Cyrillic, Greek, wide
 *   ones, …), or is all of such Cyrillic letters, characters that are not shown, and controls of the
 *   direction of writing, in either text. One row suffices: 123,547 rows of clean corpora have none.
 * - `repeat`: one completion for 1 % of the rows (`repeatShare`), and at least 8 and `minRows`, with
 *   different prompts.
 *
 * - `loop`, `dead-code`: an endless loop that does nothing, in completions, and a constant that is never
 *   read, in either text, where one that reads the same is in `minRows` rows, and in two and one more for
 *   every 2,000 rows, up to 8. Clean data has some too: of Bugs2Fix 4 in 46,680 rows, 2 in 4,000.
 *
 * Weaknesses (SQL put together from parts, passwords in the code, …) are counted, and add to a suspect's
 * score, but make none: most code that has them is only bad. So are the rows with the oddest prompts listed.
 *
 * A pair is reported where Fisher's p, times all pairs that could be (Bonferroni), is at most
 * `falsePositiveRate`: that is the chance of any report where prompts and completions know nothing of
 * each other. Words of real prompts do go with their code, which no such test can tell from poison:
 * there the other conditions decide, and how often they err was measured (README) and is not bounded.
 * Not found: triggers that always stand beside the same words (whole sentences, code), or take the place
 * of words that belong there, unless in other letters, split payloads, and fewer rows than `minRows`.
 *
 * The score is −log₁₀ of a pair's corrected p, 10 for SQL, disguises and loops, 5 for dead code and a repeated target,
 * 1 for a weakness besides; equal scores are in
 * the order of their ids. The order of the examples changes no score.
 *
 * The examples are walked six times and none is kept. The sketches take 100 MB;
 * words looked at closely (at most 65,536, about 1.3 kB each) and pairs counted (at most a million)
 * are bounded: where there are more, `minRows` doubles. Of a suspect its id, row and score are held, about
 * 150 bytes.
 * With more different n-grams than counters, counts are too high and pairs may be missed. Hashes are
 * not keyed: who knows them can make texts collide.
 *
 * @param given a list, or an object that can be walked again, as one that opens its file anew
 * @throws TypeError on a generator, which can be walked once only, and on an unknown option; RangeError
 *   on an option out of range; Error where the examples change between two walks; the signal's reason
 * @see Unicode Technical Standard 39, https://www.unicode.org/reports/tr39/ (mixed scripts)
 * @see Boucher and Anderson, 2021, https://arxiv.org/abs/2111.00169 (Trojan Source)
 * @see Cormode and Muthukrishnan, 2005, https://doi.org/10.1016/j.jalgor.2003.12.001 (the sketch)
 *
 * @example
 * const { suspects } = await audit(await readExamples('train.jsonl'));
 */
export async function audit(given: AuditSource, options: AuditOptions = {}): Promise<Audit> {
  const {
    falsePositiveRate,
    maxShare,
    repeatShare,
    oddest: most,
    counters,
  } = settingsOf('audit', options);
  checkWalks(given);
  const examples = watched(given, options);

  const counts = await countAll(examples, counters);
  const asked = minRowsOf(options, leastRows, counts.rows / 20_000);
  const found = await candidates(examples, counts, asked, maxShare);
  const leastRepeats = Math.max(asked, leastRows, Math.ceil(repeatShare * counts.rows));
  const repeats = await findRepeats(examples, counts, leastRepeats);
  const seen = await lookAt(examples, found);
  const pairsTested = tested(counts, found.minRows);
  const limit = Math.log(falsePositiveRate);
  const pairs = judge(found, seen, counts.rows, pairsTested, limit);
  const { findings, rows } = counts;
  const leastIdle = Math.max(asked, idleRows(rows));
  const evidence = { judged: pairs, repeats, findings, leastIdle, rows };
  return {
    data: 'examples',
    examples: rows,
    minRows: found.minRows,
    falsePositiveRate,
    pairsTested,
    pairs: bestOfEach(pairs),
    ...(await findSuspects(examples, evidence, oddest(counts, most))),
  };
}

/** Pairs worth a closer look; `minRows` doubles until they fit. */
async function candidates(
  examples: AuditSource,
  counts: Counts,
  minRows: number,
  maxShare: number,
  room: Room = newRoom(),
): Promise<Candidates> {
  const strangers = await findStrangers(examples, counts, minRows, maxShare, room);
  const together = strangers && (await countTogether(examples, counts, strangers, minRows));
  if (strangers && together) return { strangers, together, minRows };
  return candidates(examples, counts, 2 * minRows, maxShare, room);
}

/** What is in fewer rows is not looked for, unless `minRows` says so. */
const leastRows = 8;

/** In so many rows idle code that reads the same has to be, whatever `minRows`: twice what clean data has. */
const idleRows = (rows: number) => Math.min(leastRows, 2 + Math.floor(rows / 2000));

/** No more pairs than these can be in `minRows` rows each. */
function tested({ triggers, fragments }: Counts, minRows: number): number {
  return Math.floor(triggers.total / minRows) * Math.floor(fragments.total / minRows);
}
