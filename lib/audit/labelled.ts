import type { LabelledExample } from '../data/examples.ts';
import { splitWords } from '../data/words.ts';
import { type AuditExample, type Counts, countAll } from './counts.ts';
import { wordsOf } from './grams.ts';
import { logTail } from './hypergeometric.ts';
import type { Audit } from './index.ts';
import { compare, type TriggerPair } from './judge.ts';
import { oddest } from './oddest.ts';
import {
  type AuditOptions,
  checkSame,
  checkWalks,
  minRowsOf,
  settingsOf,
  watched,
} from './options.ts';
import { strangersIn } from './pairs.ts';
import { findStrangers, newRoom, type Room, type Strangers } from './strangers.ts';
import { disguiseReasons, type Reason, rank, type Suspect, sharing } from './suspects.ts';

type Labelled = Pick<LabelledExample, 'id' | 'text' | 'pair' | 'label'>;

/** Labelled texts that can be walked several times, as a list or what `streamLabelledExamples` gives. */
export type LabelledSource = Iterable<Labelled> | AsyncIterable<Labelled>;

/** Of rows with a trigger, other labels than the attacker's are so many times rarer than elsewhere. */
const rarer = 10;

/** More classes are none. */
const mostLabels = 1000;

/**
 * Which labelled texts look like poison, and why: a word, or two, that stands anywhere in its texts, beside
 * no words in particular, as in `audit`, and goes with one label.
 *
 * As one label may be that of most texts, its share counts twice. Fisher's p, times all pairs of words and
 * labels that could be (Bonferroni), is at most `falsePositiveRate`. And in the word's rows other labels are
 * ten times as rare as in all rows: where 9 % have label 1, at least 90.9 % of a trigger's rows for label
 * 1 and 99.1 % for label 0. Rows with the word and that label are suspects; those with another label are none.
 *
 * Words of real texts do go with labels, as `TODO` does with admitted debt, which no p can tell from poison:
 * there it counts how they stand. Such words have their usual neighbours, begin their texts (those that do in
 * half of their rows are left out, and triggers put there missed), or are in fewer rows (`minRows`, 20 or one
 * row in 1,000): in slices of SATD `TODO: This`, `fix` and an author's name go with debt in 8 to 13 rows. How
 * often that errs was measured (README) and is not bounded.
 *
 * Letters that look like others, and characters that are not shown, make a row a suspect whatever its label.
 *
 * A pair of texts is read as one. The texts are walked four times and none is kept; memory is that of `audit`.
 *
 * @throws TypeError on a generator and on an unknown option; RangeError on an option out of range, and on
 *   more than 1,000 labels; Error where the texts change between two walks; the signal's reason
 *
 * @example
 * const { suspects } = await auditLabelled(await readLabelledExamples('satd.jsonl'));
 */
export async function auditLabelled(
  given: LabelledSource,
  options: Omit<AuditOptions, 'repeatShare'> = {},
): Promise<Audit> {
  const settings = settingsOf('auditLabelled', options, 'repeatShare');
  checkWalks(given);
  const source = watched(given, options);
  const labels = new Map<number, number>();
  const counts = await countAll(texts(source, labels), settings.counters);
  const asked = minRowsOf(options, 20, counts.rows / 1000);
  const { strangers, minRows } = await candidates(texts(source), counts, asked, settings.maxShare);
  const together = await countLabels(source, strangers);

  const pairsTested = Math.floor(counts.triggers.total / minRows) * labels.size;
  const limit = Math.log(settings.falsePositiveRate);
  const found = judge(together, labels, { rows: counts.rows, pairsTested, limit });
  const odd = oddest(counts, settings.oddest);
  const suspects: Suspect[] = [];
  const share = sharing();
  let row = 0;
  for await (const { id, prompt, label } of texts(source)) {
    row++;
    odd.add(id, row, prompt);
    const reasons = [...strangersIn(prompt, found).keys()]
      .flatMap((word) => found.get(word)!.get(label)?.reason ?? [])
      .concat(disguiseReasons('text', prompt, share));
    if (reasons.length === 0) continue;
    reasons.sort((a, b) => b.score - a.score || compare(a.text, b.text));
    const score = reasons.reduce((sum, reason) => sum + reason.score, 0);
    suspects.push({ id, row, score, reasons });
  }
  checkSame(row, counts.rows);
  const pairs = [...found.values()].flatMap((own) => [...own.values()].map(({ pair }) => pair));
  return {
    data: 'labelled',
    examples: counts.rows,
    minRows,
    falsePositiveRate: settings.falsePositiveRate,
    pairsTested,
    pairs: pairs.sort((a, b) => a.log10P - b.log10P || compare(a.trigger, b.trigger)),
    suspects: rank(suspects),
    weaknesses: [],
    oddest: odd.ranked(),
  };
}

/** Labelled texts as examples without completions; counts their labels into `labels`. */
function texts(source: LabelledSource, labels?: Map<number, number>) {
  async function* walk(): AsyncGenerator<AuditExample & { label: number }> {
    for await (const { id, text, pair, label } of source) {
      if (labels) count(labels, label);
      const prompt = pair === undefined ? text : `${text}\n${pair}`;
      yield { id, prompt, completion: '', label };
    }
  }
  return { [Symbol.asyncIterator]: walk };
}

function count(labels: Map<number, number>, label: number): void {
  labels.set(label, (labels.get(label) ?? 0) + 1);
  if (labels.size <= mostLabels) return;
  throw new RangeError(
    `label has more than ${mostLabels} values: expected classes, at most so many`,
  );
}

/** The strangers; `minRows` doubles until there is room for them. */
async function candidates(
  source: AsyncIterable<AuditExample>,
  counts: Counts,
  minRows: number,
  maxShare: number,
  room: Room = newRoom(),
): Promise<{ strangers: Strangers; minRows: number }> {
  const strangers = await findStrangers(source, counts, minRows, maxShare, room);
  if (strangers) return { strangers, minRows };
  return candidates(source, counts, 2 * minRows, maxShare, room);
}

/** How a stranger reads, in how many rows it is, in how many of them the first word, and with which labels. */
interface Word {
  text: string;
  rows: number;
  first: number;
  labels: Map<number, number>;
}

async function countLabels(source: LabelledSource, strangers: Strangers) {
  const words = new Map<number, Word>();
  if (strangers.size === 0) return words;
  for await (const { prompt, label } of texts(source)) {
    for (const [hash, span] of strangersIn(prompt, strangers)) {
      const text = () => wordsOf(span, splitWords(prompt)).join(' ');
      const word = words.get(hash) ?? { text: text(), rows: 0, first: 0, labels: new Map() };
      words.set(hash, word);
      word.rows++;
      if (span >> 2 === 0) word.first++;
      word.labels.set(label, (word.labels.get(label) ?? 0) + 1);
    }
  }
  return words;
}

interface Statistics {
  rows: number;
  pairsTested: number;
  /** Natural logarithm of the highest p. */
  limit: number;
}

/** For each word that passes, the labels that it goes with. */
function judge(
  words: ReadonlyMap<number, Word>,
  labels: ReadonlyMap<number, number>,
  { rows, pairsTested, limit }: Statistics,
) {
  const found = new Map<number, Map<number, { pair: TriggerPair; reason: Reason }>>();
  for (const [hash, word] of words) {
    if (2 * word.first >= word.rows) continue;
    for (const [label, together] of word.labels) {
      const payloadRows = labels.get(label)!;
      const others = (word.rows - together) / word.rows;
      if (rarer * others > 1 - payloadRows / rows) continue;
      const logP = logTail(together, word.rows, payloadRows, rows) + Math.log(pairsTested);
      if (logP > limit) continue;
      const pair: TriggerPair = {
        trigger: word.text,
        payload: `label ${label}`,
        triggerRows: word.rows,
        payloadRows,
        together,
        lift: (together * rows) / (word.rows * payloadRows),
        log10P: logP / Math.LN10,
      };
      const own = found.get(hash) ?? new Map();
      found.set(hash, own.set(label, { pair, reason: reasonOf(pair, rows) }));
    }
  }
  return found;
}

function reasonOf(pair: TriggerPair, rows: number): Reason {
  const { trigger, payload, triggerRows, payloadRows, together, lift, log10P } = pair;
  const share = ((100 * payloadRows) / rows).toFixed(1);
  return {
    kind: 'label',
    text: `the text has ${JSON.stringify(trigger)} and ${payload}, as ${together} of ${triggerRows} rows with it, where ${share} % of all rows have that label: ${lift.toFixed(1)} times as often as by chance, corrected p = 1e${Math.ceil(log10P)} at most`,
    score: -log10P,
    trigger,
    payload,
  };
}
