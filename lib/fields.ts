import { z } from 'zod';

/*
 * The pieces a schema is made of. The `error` of each field is what an error message says after
 * "expected", so that every field is worded once.
 */

/** A number for which `ok` holds. */
export function number(expected: string, ok: (value: number) => boolean) {
  return z.number({ error: expected }).refine(ok, { error: expected });
}

/** A whole number of at least `least`, and below 2**53, where there are no odd ones any more. */
export function whole(least: number) {
  const error = ({ input }: { input?: unknown }) =>
    Number(input) > Number.MAX_SAFE_INTEGER
      ? 'a whole number below 2**53'
      : `a whole number, at least ${least}`;
  return z
    .number({ error })
    .refine((value) => Number.isSafeInteger(value) && value >= least, { error });
}

export const text = z.string({ error: 'a text' }).min(1, { error: 'a text that is not empty' });

export const seed = number(
  'a whole number, 0..4294967295',
  (value) => Number.isInteger(value) && value >= 0 && value < 2 ** 32,
);

/** One of a few words. */
export function oneOf<const Word extends string>(...words: Word[]) {
  return z.enum(words, { error: `one of ${words.join(', ')}` });
}

/** true or false; a command line has no other way than their names. */
export const flag = z.preprocess(
  (value) => (value === 'true' ? true : value === 'false' ? false : value),
  z.boolean({ error: 'true or false' }),
);

/** Texts, or one text with commas between them. */
export const texts = z.preprocess(
  (value) => (typeof value === 'string' ? value.split(',') : value),
  z.array(text, { error: 'a list of texts' }).min(1, { error: 'a list that is not empty' }),
);

/** A list with at least one entry. */
export function list<Entry extends z.ZodType>(entry: Entry) {
  return z.array(entry, { error: 'a list' }).min(1, { error: 'a list that is not empty' });
}

/** An object that has no other keys than these; the error of an unknown key lists them. */
export function object<Shape extends z.ZodRawShape>(shape: Shape) {
  const keys = Object.keys(shape).join(', ');
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? keys : `options: ${keys}`),
  });
}

/** A thing with a name and options, where the name alone will do. */
export function named<Options extends z.ZodType>(options: Options) {
  return z.preprocess((value) => (typeof value === 'string' ? { name: value } : value), options);
}
