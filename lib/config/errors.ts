import type { z } from 'zod';
import { show } from '../check.ts';

export type Path = readonly PropertyKey[];

/** How an error names a place: `training.learningRate` in a file, `--learning-rate` on a command line. */
export type PathName = (path: Path) => string;

/** The sentence for what a schema found wrong with `value`, and the place in `value` it is about. */
export function explain(
  issue: z.core.$ZodIssue,
  value: unknown,
  name: PathName = dotted,
): { path: Path; sentence: string } {
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    const path = [...issue.path, key];
    return { path, sentence: `${name(path)} is not an option: ${remedy(key, issue.message)}` };
  }

  const found = at(value, issue.path);
  const expected =
    issue.code === 'invalid_union' && 'options' in issue
      ? `one of ${(issue.options as unknown[]).join(', ')}`
      : issue.message;
  const subject = issue.path.length === 0 ? 'the configuration' : name(issue.path);
  const was = found === undefined ? 'missing' : describe(found);
  const near = typeof found === 'string' ? nearest(found, expected) : undefined;
  const hint = near === undefined ? '' : `: did you mean ${near}?`;
  return { path: issue.path, sentence: `${subject} is ${was}: expected ${expected}${hint}` };
}

/** `datasets[0].name` for the path datasets, 0, name. */
export function dotted(path: Path): string {
  return path
    .map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i > 0 ? '.' : ''}${String(key)}`))
    .join('');
}

function remedy(key: string, known: string): string {
  const near = nearest(key, known);
  return near === undefined ? `expected ${known}` : `did you mean ${near}?`;
}

/** The word in a comma-separated list that `word` is a slip of the pen away from. */
function nearest(word: string, words: string): string | undefined {
  const reach = Math.max(1, Math.floor(word.length / 3));
  return words
    .replace(/^one of /, '')
    .split(', ')
    .map((candidate) => ({ candidate, edits: edits(word.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, edits }) => edits <= reach && candidate !== word)
    .sort((a, b) => a.edits - b.edits)[0]?.candidate;
}

/** How many letters have to be put in, taken out or changed to make `a` into `b`. */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = row[j - 1]! + Number(a[i - 1] !== b[j - 1]);
      next.push(Math.min(changed, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  return typeof value === 'object' && value !== null ? 'an object' : show(value);
}

function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((inner, key) => {
    if (typeof inner === 'string' && key === 'name') return inner; // a name written without options
    if (typeof inner !== 'object' || inner === null) return undefined;
    return (inner as Record<PropertyKey, unknown>)[key];
  }, value);
}
