import { setImmediate as turn } from 'node:timers/promises';
import { check, checkKeys, checkObject } from '../check.ts';

export interface AuditOptions {
  /** How likely a pair of trigger and payload, or label, may be reported where the two know nothing of each other. Default 0.01. */
  falsePositiveRate?: number;
  /**
   * A trigger in fewer rows is not looked for. Default 8 or, if that is more, one row in 20,000; of labelled
   * texts 20, or one in 1,000.
   */
  minRows?: number;
  /** A trigger in a larger share of the rows is not looked for. Default 0.2. */
  maxShare?: number;
  /** One completion for so large a share of the rows is a repeated target. Default 0.01. */
  repeatShare?: number;
  /** So many rows with the oddest prompts are listed. Default 20. */
  oddest?: number;
  /** Counters of each of three sketches, a power of two; eight bytes for each. Default 2²². */
  counters?: number;
  /** Told every 10,000 rows and at the end of a walk which one it is, counted from 1, and how far it has come. */
  onProgress?: (walk: number, rows: number) => void;
  /** Looked at every 10,000 rows. */
  signal?: AbortSignal;
}

const defaults = {
  falsePositiveRate: 0.01,
  maxShare: 0.2,
  repeatShare: 0.01,
  oddest: 20,
  counters: 2 ** 22,
};

/**
 * The options with their defaults.
 *
 * @param unused one that is unknown there
 * @throws TypeError on an unknown one, RangeError on one out of range; both name it
 */
export function settingsOf(
  name: string,
  options: AuditOptions,
  unused?: keyof AuditOptions,
): typeof defaults {
  const known = [...Object.keys(defaults), 'minRows', 'onProgress', 'signal'];
  checkKeys(
    name,
    options,
    known.filter((key) => key !== unused),
  );
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const settings: typeof defaults = { ...defaults, ...Object.fromEntries(given) };
  for (const key of ['falsePositiveRate', 'maxShare', 'repeatShare'] as const) {
    check(key, settings[key], settings[key] > 0 && settings[key] <= 1, 'above 0, at most 1');
  }
  const { oddest, counters } = settings;
  check('oddest', oddest, Number.isInteger(oddest) && oddest >= 0, 'a whole number, 0 or more');
  const isPower = counters >= 1 && counters <= 2 ** 28 && Number.isInteger(Math.log2(counters));
  check('counters', counters, isPower, 'a power of two, 1..2**28');
  return settings;
}

/** `minRows` as asked, else the larger of two usual numbers. */
export function minRowsOf(options: AuditOptions, least: number, usual: number): number {
  const { minRows = Math.max(least, Math.ceil(usual)) } = options;
  check(
    'minRows',
    minRows,
    Number.isInteger(minRows) && minRows >= 2,
    'a whole number, at least 2',
  );
  return minRows;
}

/** @throws Error where the last walk had other rows than the first */
export function checkSame(rows: number, before: number): void {
  if (rows === before) return;
  throw new Error(`examples has ${rows} rows, had ${before} before: expected the same`);
}

/** @throws TypeError on what can be walked once only */
export function checkWalks(examples: Iterable<unknown> | AsyncIterable<unknown>): void {
  checkObject('examples', examples, 'a list, or an object that can be walked again');
  const iterator =
    Symbol.asyncIterator in examples
      ? examples[Symbol.asyncIterator]()
      : examples[Symbol.iterator]();
  if ((iterator as unknown) === examples) {
    throw new TypeError(
      'examples is a generator, which can be walked once: expected a list, or an object that begins anew',
    );
  }
}

/**
 * The examples, with word of every walk.
 *
 * @throws the signal's reason
 */
export function watched<Item>(
  examples: Iterable<Item> | AsyncIterable<Item>,
  { onProgress, signal }: AuditOptions,
): Iterable<Item> | AsyncIterable<Item> {
  if (onProgress === undefined && signal === undefined) return examples;
  let walk = 0;
  async function* walked() {
    const current = ++walk;
    let rows = 0;
    signal?.throwIfAborted();
    for await (const example of examples) {
      yield example;
      if (++rows % 10_000 !== 0) continue;
      onProgress?.(current, rows);
      // A list leaves the event loop no other time to hear of an abort.
      await turn();
      signal?.throwIfAborted();
    }
    onProgress?.(current, rows);
  }
  return { [Symbol.asyncIterator]: walked };
}
