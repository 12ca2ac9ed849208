import type { z } from 'zod';
import { show } from './check.ts';
import { nearest } from './nearest.ts';

export type Path = readonly PropertyKey[];

/** How an error names a place: `training.learningRate` in a file, `--learning-rate` on a command line. */
export type PathName = (path: Path) => string;

/** What to tell first: a key that is not known may well be the one that is missing, mistyped. */
export const firstIssue = ({ issues }: z.core.$ZodError): z.core.$ZodIssue =>
  issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0]!;

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
  const near = typeof found === 'string' ? nearest(found, wordsOf(expected)) : undefined;
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
  const near = nearest(key, wordsOf(known));
  return near === undefined ? `expected ${known}` : `did you mean ${near}?`;
}

/** Of a list with commas, as errors have it. */
const wordsOf = (list: string) => list.replace(/^one of /, '').split(', ');

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
