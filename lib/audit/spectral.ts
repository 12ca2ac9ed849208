import { setImmediate } from 'node:timers/promises';
import { seeded } from '../random.ts';

/** Two directions whose variances differ by 1 % are told apart to 1e-7 by then: 1.01 ** -2000 is 2e-9. */
const mostSteps = 2000;
/** The last step moves no value by more; what is left is a hundredfold of it at most, where they differ by 1 %. */
const still = 1e-9;

export interface SpectralOptions {
  signal?: AbortSignal | undefined;
  /** Called before each step; most end early. */
  onProgress?: ((step: number, most: number) => void) | undefined;
}

/**
 * Spectral signatures: the squares of rows, seen from their mean, along their first right singular vector, and
 * that vector's share of the variance. By power iteration in double precision, as only one vector is asked for
 * and a hidden state may have thousands of columns; where the second is as large, any mixture of both is as good.
 *
 * @param rows [rows][columns], at least one
 * @throws the signal's reason, after a step
 * @see Tran, Li and Madry, 2018, https://arxiv.org/abs/1811.00636
 *
 * @example
 * await spectralOf([[1, 1], [2, 2], [3, 3]]); // { squares: [2, 0, 2], explained: 1 }
 */
export async function spectralOf(
  rows: readonly ArrayLike<number>[],
  { signal, onProgress }: SpectralOptions = {},
) {
  const centred = centre(rows);
  const columns = centred[0]!.length;
  const random = seeded(0);
  let direction = unit(Float64Array.from({ length: columns }, () => random.next() - 0.5));
  let along = centred.map((row) => dot(row, direction));
  for (let step = 0; step < mostSteps; step++) {
    onProgress?.(step, mostSteps);
    // A step is the event loop's own work, 0.3 s of 50,000 rows: between two, others have their turn.
    await setImmediate();
    signal?.throwIfAborted();
    const turned = unit(combined(centred, along));
    const moved = Math.max(...turned.map((value, j) => Math.abs(value - direction[j]!)));
    direction = turned;
    along = centred.map((row) => dot(row, direction));
    if (moved < still) break;
  }
  const squares = along.map((value) => value ** 2);
  const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);
  const all = sum(centred.map((row) => dot(row, row)));
  return { squares, explained: all === 0 ? 0 : sum(squares) / all };
}

function centre(rows: readonly ArrayLike<number>[]): Float64Array[] {
  const mean = new Float64Array(rows[0]!.length);
  for (const row of rows) {
    for (let j = 0; j < mean.length; j++) mean[j]! += row[j]! / rows.length;
  }
  return rows.map((row) => mean.map((value, j) => row[j]! - value));
}

/** The sum of the rows, each by its weight. */
function combined(rows: readonly Float64Array[], weights: readonly number[]): Float64Array {
  const sum = new Float64Array(rows[0]!.length);
  for (const [i, row] of rows.entries()) {
    for (let j = 0; j < sum.length; j++) sum[j]! += weights[i]! * row[j]!;
  }
  return sum;
}

/** Of length 1; zeros stay. */
function unit(vector: Float64Array): Float64Array {
  const length = Math.sqrt(dot(vector, vector));
  return length === 0 ? vector : vector.map((value) => value / length);
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
