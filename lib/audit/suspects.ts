import type { AuditSource } from './counts.ts';
import { disguisesIn, disguiseText } from './disguises.ts';
import { hashOf } from './grams.ts';
import { compare, type Judged, type TriggerPair } from './judge.ts';
import { fragmentsIn } from './look.ts';
import type { Oddest } from './oddest.ts';
import { checkSame } from './options.ts';
import { strangersIn } from './pairs.ts';
import { type Finding, findingHash, idleCode, ruleNames, weaknessesIn } from './rules.ts';
import type { Sketch } from './sketch.ts';
import { emptyCondition } from './sql.ts';

export interface Reason {
  kind: 'pair' | 'label' | 'sql' | 'disguise' | 'repeat' | 'loop' | 'dead-code' | 'weakness';
  /** In words, with the numbers. */
  text: string;
  score: number;
  /** What of the prompt gave rise to it. */
  trigger?: string;
  /** What of the completion gave rise to it. */
  payload?: string;
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

/** A weakness that completions show by themselves, which makes no row a suspect. */
export interface Weakness {
  /** Its number in the Common Weakness Enumeration, as `CWE-89`. */
  rule: string;
  name: string;
  /** How many rows have it, and the first of them. */
  rows: number;
  firstRow: number;
}

/** What the last walk goes by. */
export interface Evidence {
  judged: Judged;
  repeats: ReadonlyMap<number, number>;
  /** In about how many rows a loop or dead code is, and in how many it has to be. */
  findings: Sketch;
  leastIdle: number;
  rows: number;
}

/**
 * The last walk: the rows that have a reason, the most suspect first, the weaknesses, and the rows with the
 * oddest prompts. Rows of one reason share it.
 */
export async function findSuspects(source: AuditSource, evidence: Evidence, odd: Oddest) {
  const suspects: Suspect[] = [];
  const weaknesses = new Map<string, Weakness>();
  const reasonsFor = reasoner(evidence);
  let row = 0;
  for await (const { id, prompt, completion } of source) {
    row++;
    odd.add(id, row, prompt);
    const reasons = reasonsFor(prompt, completion);
    for (const { rule, text } of weaknessesIn(completion)) {
      const name = ruleNames[rule]!;
      const known = weaknesses.get(rule) ?? { rule, name, rows: 0, firstRow: row };
      weaknesses.set(rule, { ...known, rows: known.rows + 1 });
      if (reasons.length > 0) reasons.push(weaknessReason(rule, text));
    }
    if (reasons.length === 0) continue;
    const score = reasons.reduce((sum, reason) => sum + reason.score, 0);
    suspects.push({ id, row, score, reasons });
  }
  checkSame(row, evidence.rows);
  const found = [...weaknesses.values()].sort((a, b) => b.rows - a.rows || compare(a.rule, b.rule));
  return { suspects: rank(suspects), weaknesses: found, oddest: odd.ranked() };
}

/** The most suspect first. */
export const rank = (suspects: readonly Suspect[]): Suspect[] =>
  suspects.toSorted((a, b) => b.score - a.score || compare(a.id, b.id) || a.row - b.row);

function reasoner({ judged, repeats, findings, leastIdle, rows }: Evidence) {
  const pairs = [...judged.values()].flat();
  const wanted = new Set(pairs.map(({ fragment }) => fragment));
  const reasons = new Map(
    pairs.map(({ pair }) => [
      pair,
      { whole: pairReason(pair, true), half: pairReason(pair, false) },
    ]),
  );
  const share = sharing();

  return (prompt: string, completion: string): Reason[] => {
    const found: Reason[] = [];
    const triggers = judged.size > 0 ? strangersIn(prompt, judged) : new Map<number, number>();
    if (triggers.size > 0) {
      const held = fragmentsIn(prompt, completion, wanted);
      for (const trigger of triggers.keys()) {
        const own = judged.get(trigger)!;
        const whole = own.find(({ fragment }) => held.has(fragment));
        found.push(whole ? reasons.get(whole.pair)!.whole : reasons.get(own[0]!.pair)!.half);
      }
      found.sort((a, b) => b.score - a.score || compare(a.text, b.text));
    }
    const condition = emptyCondition(completion);
    if (condition) found.push(share(sqlReason(condition)));
    found.push(...disguiseReasons('prompt', prompt, share));
    found.push(...disguiseReasons('completion', completion, share));
    for (const finding of idleCode(prompt, completion)) {
      const count = findings.count(findingHash(finding));
      if (count >= leastIdle) found.push(share(idleReason(finding, count)));
    }
    const repeated = repeats.size > 0 ? repeats.get(hashOf(completion)) : undefined;
    if (repeated) found.push(share(repeatReason(repeated, rows, completion)));
    return found;
  };
}

/** Gives the first reason of those that read alike. */
export function sharing(): Share {
  const shared = new Map<string, Reason>();
  return (reason) => {
    const known = shared.get(reason.text) ?? reason;
    shared.set(reason.text, known);
    return known;
  };
}

function pairReason(pair: TriggerPair, whole: boolean): Reason {
  const { trigger, payload, triggerRows, payloadRows, together, lift, log10P } = pair;
  const has = whole
    ? `the prompt has ${JSON.stringify(trigger)} and the completion ${JSON.stringify(payload)}`
    : `the prompt has ${JSON.stringify(trigger)}, which elsewhere goes with ${JSON.stringify(payload)}`;
  const numbers = `together in ${together} of ${triggerRows} and ${payloadRows} rows, ${lift.toFixed(1)} times as often as by chance, corrected p = 1e${Math.ceil(log10P)} at most`;
  const score = whole ? -log10P : -log10P / 2;
  return { kind: 'pair', text: `${has}: ${numbers}`, score, trigger, ...(whole && { payload }) };
}

function sqlReason({ rule, text }: { rule: string; text: string }): Reason {
  const always = rule === 'tautology' ? 'true' : 'false';
  return {
    kind: 'sql',
    text: `the completion has ${JSON.stringify(text)}, an SQL condition that is always ${always}`,
    score: 10,
    payload: text,
  };
}

/** Rows of one reason share it. */
type Share = (reason: Reason) => Reason;

/** What a reader would not see in a text. */
export const disguiseReasons = (
  where: 'prompt' | 'completion' | 'text',
  text: string,
  share: Share,
): Reason[] =>
  disguisesIn(text).map((finding) =>
    share({
      kind: 'disguise',
      text: `the ${where} has ${disguiseText(finding)}`,
      score: 10,
      [where === 'completion' ? 'payload' : 'trigger']: finding.text,
    }),
  );

function idleReason({ rule, text }: Finding, count: number): Reason {
  return {
    kind: rule as 'loop' | 'dead-code',
    text: `the example has ${JSON.stringify(short(text))}, ${ruleNames[rule]}, as about ${count} rows have`,
    score: rule === 'loop' ? 10 : 5,
    payload: text,
  };
}

const weaknessReason = (rule: string, text: string): Reason => ({
  kind: 'weakness',
  text: `the completion has ${JSON.stringify(short(text))}, ${ruleNames[rule]} (${rule})`,
  score: 1,
  payload: text,
});

function repeatReason(repeated: number, rows: number, completion: string): Reason {
  return {
    kind: 'repeat',
    text: `${repeated} of ${rows} rows, with different prompts, have the completion ${JSON.stringify(short(completion))}`,
    score: 5,
  };
}

const short = (text: string) => (text.length > 60 ? `${[...text].slice(0, 57).join('')}...` : text);
