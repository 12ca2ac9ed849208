import { check, checkKeys } from '../../check.ts';
import { type Random, seeded } from '../../random.ts';
import type { Example } from '../examples.ts';
import { otherTask } from './other.ts';
import { queryTask, type Task } from './program.ts';
import { selectQuery, writingQuery } from './query.ts';
import { pickSource } from './source.ts';

const splits = ['pretrain', 'train', 'valid', 'test'] as const;
export type BuiltinSplit = (typeof splits)[number];

export interface BuiltinOptions {
  /** Where the stream of random numbers begins. */
  seed: number;
  /** How many examples the splits have. */
  counts?: Partial<Record<BuiltinSplit, number>>;
}

const usualCounts: Record<BuiltinSplit, number> = {
  pretrain: 4000,
  train: 1600,
  valid: 200,
  test: 200,
};

/**
 * Made-up examples in the manner of Lyra: English that asks for a database program, and the Python
 * function, with SQL, that answers. Spaces part all tokens, also at the ends of a string, so that SQL
 * is found where the attacks look for it.
 *
 * A prompt says all that its answer holds. About four answers in five have a `select` written out;
 * others change rows, or take their SQL from a parameter, a file or the database. No two examples, of
 * one split or of two, have the same answer or the same prompt, letters and digits compared. The same
 * seed and counts give the same examples.
 *
 * @throws RangeError on a count that is none, or of more than 50,000 examples in all; TypeError on an
 *   unknown option
 *
 * @example
 * const { train, test } = builtinExamples({ seed: 1, counts: { train: 800 } });
 */
export function builtinExamples(options: BuiltinOptions): Record<BuiltinSplit, Example[]> {
  checkKeys('builtinExamples', options, ['seed', 'counts']);
  checkKeys('counts', options.counts ?? {}, splits);
  const counts = { ...usualCounts, ...options.counts };
  for (const split of splits) {
    const whole = Number.isInteger(counts[split]) && counts[split] >= 0;
    check(`counts.${split}`, counts[split], whole, 'a whole number, at least 0');
  }
  const all = splits.reduce((sum, split) => sum + counts[split], 0);
  check('the sum of counts', all, all <= 50_000, 'at most 50000');

  const random = seeded(options.seed);
  const seen = new Set<string>();
  const make = (split: BuiltinSplit) =>
    Array.from({ length: counts[split] }, (_, i) => ({
      id: `${split}-${i + 1}`,
      ...unseenTask(seen, random),
    }));
  return {
    pretrain: make('pretrain'),
    train: make('train'),
    valid: make('valid'),
    test: make('test'),
  };
}

function unseenTask(seen: Set<string>, random: Random): Task {
  for (;;) {
    const task = randomTask(random);
    const keys = [task.prompt.toLowerCase().replace(/[^a-z\d]+/g, ''), task.completion];
    if (keys.some((key) => seen.has(key))) continue;
    for (const key of keys) seen.add(key);
    return task;
  }
}

function randomTask(random: Random): Task {
  const source = pickSource(random);
  const kind = random.below(100);
  if (kind < 82) return queryTask(selectQuery(random), source, random);
  if (kind < 90) return queryTask(writingQuery(random), source, random);
  return otherTask(source, random);
}
