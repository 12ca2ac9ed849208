import { eachDifferentRun, eachFragment, hashOf, promptWords } from './grams.ts';
import { findingHash, idleCode } from './rules.ts';
import { type Sketch, sketch } from './sketch.ts';

/** What an audit reads of an example. */
export interface AuditExample {
  id: string;
  prompt: string;
  completion: string;
}

/** Examples that can be walked several times, as a list or an object that opens its file anew each time. */
export type AuditSource = Iterable<AuditExample> | AsyncIterable<AuditExample>;

/** What is known after the first walk. */
export interface Counts {
  rows: number;
  /** In how many rows: runs of one or two words of prompts, new fragments, and whole completions. */
  triggers: Sketch;
  fragments: Sketch;
  completions: Sketch;
  /** Endless loops and dead code, as `findingHash` numbers them. */
  findings: Sketch;
  /** How likely two words of prompts, drawn blindly, fall into one bucket of `bucketOf`. */
  chance: number;
}

/** Words that stand beside a trigger are told apart by so many buckets. */
export const buckets = 256;
export const bucketOf = (word: number) => word & (buckets - 1);

export async function countAll(source: AuditSource, counters: number): Promise<Counts> {
  const [triggers, pieces, completions] = [sketch(counters), sketch(counters), sketch(counters)];
  const findings = sketch(Math.min(counters, 2 ** 16));
  const words = new Float64Array(buckets);
  let rows = 0;
  for await (const { prompt, completion } of source) {
    rows++;
    const hashes = promptWords(prompt);
    for (const word of hashes) words[bucketOf(word)]!++;
    eachDifferentRun(hashes, 2, triggers.add);
    eachFragment(prompt, completion, pieces.add);
    completions.add(hashOf(completion));
    for (const finding of idleCode(prompt, completion)) findings.add(findingHash(finding));
  }
  const all = words.reduce((sum, count) => sum + count, 0);
  const chance = words.reduce((sum, count) => sum + (count / Math.max(1, all)) ** 2, 0);
  return { rows, triggers, fragments: pieces, completions, findings, chance };
}
