import { check, checkList } from '../check.ts';

/** Throws unless both lists have the same length, which is at least 1. */
export function checkLengths(
  name: string,
  values: ArrayLike<unknown>,
  others: string,
  otherValues: ArrayLike<unknown>,
): void {
  checkList(name, values);
  checkList(others, otherValues);
  const { length: count } = values;
  const { length: expected } = otherValues;
  if (count !== expected || count === 0) {
    throw new RangeError(
      `${count} ${name} for ${expected} ${others}: expected one for each, and at least one`,
    );
  }
}

/** Throws on the first of `values` that is not `ok`, naming its place. */
export function checkEach(
  name: string,
  values: readonly unknown[],
  ok: (value: unknown) => boolean,
  expected: string,
): void {
  const place = values.findIndex((value) => !ok(value));
  if (place >= 0) check(`${name}[${place}]`, values[place], false, expected);
}

/** Throws unless all of them are true or false: 1, 0 and "false" are not taken for them. */
export function checkBooleans(name: string, values: readonly unknown[]): void {
  checkEach(name, values, (value) => typeof value === 'boolean', 'true or false');
}
