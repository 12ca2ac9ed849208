import { checkBooleans, checkLengths } from './lists.ts';

export interface FilterQuality {
  /** Of the flagged rows, the share that is poisoned. */
  precision: number | undefined;
  /** Of the poisoned rows, the share that was flagged. */
  recall: number | undefined;
  /** Of both at once: 2 · found / (flagged + poisoned). */
  f1: number | undefined;
  /** FRR: of the clean rows, the share that was flagged. */
  falseRejectionRate: number | undefined;
  /** FAR: of the poisoned rows, the share that was kept. */
  falseAcceptanceRate: number | undefined;
  rows: number;
  poisoned: number;
  flagged: number;
  /** Rows that are flagged and poisoned. */
  found: number;
  /** Rows that are flagged and clean: what the filter costs. */
  cleanLost: number;
}

/**
 * How well a filter finds poisoned rows. A share of nothing is undefined, not 0: a filter that flags no
 * row has no precision, and clean data no recall.
 *
 * @param flagged for each row, whether the filter would remove it
 * @param poisoned for each row, whether it is poisoned, as the manifest has it
 * @throws RangeError on lists of different length, or none, and on other values than true and false
 *
 * @example
 * filterQuality([true, true, false, false], [true, false, false, false]);
 * // { precision: 0.5, recall: 1, f1: 0.667, falseRejectionRate: 0.333, ..., cleanLost: 1 }
 */
export function filterQuality(
  flagged: readonly boolean[],
  poisoned: readonly boolean[],
): FilterQuality {
  checkLengths('flags', flagged, 'rows', poisoned);
  checkBooleans('flagged', flagged);
  checkBooleans('poisoned', poisoned);
  const rows = poisoned.length;
  const removed = flagged.filter(Boolean).length;
  const bad = poisoned.filter(Boolean).length;
  const found = flagged.filter((flag, i) => flag && poisoned[i]).length;
  const cleanLost = removed - found;
  return {
    precision: share(found, removed),
    recall: share(found, bad),
    f1: share(2 * found, removed + bad),
    falseRejectionRate: share(cleanLost, rows - bad),
    falseAcceptanceRate: share(bad - found, bad),
    rows,
    poisoned: bad,
    flagged: removed,
    found,
    cleanLost,
  };
}

const share = (part: number, whole: number) => (whole === 0 ? undefined : part / whole);
