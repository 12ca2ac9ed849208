import { seeded } from '../random.ts';

/** Two directions whose variances differ by 1 % are told apart to 1e-8 by then. */
const mostSteps = 2000;

/**
 * Spectral signatures: the squares of rows, seen from their mean, along their first right singular vector, and
 * that vector's share of the variance. By power iteration in double precision, as only one vector is asked for
 * and a hidden state may have thousands of columns; where the second is as large, any mixture of both is as good.
 *
 * @param rows [rows][columns], at least one
 * @see Tran, Li and Madry, 2018, https://arxiv.org/abs/1811.00636
 *
 * @example
 * spectralOf([[1, 1], [2, 2], [3, 3]]); // { squares: [2, 0, 2], explained: 1 }
 */
export function spectralOf(rows: readonly ArrayLike<number>[]) {
  const centred = centre(rows);
  const columns = centred[0]!.length;
  const random = seeded(0);
  let direction = unit(Float64Array.from({ length: columns }, () => random.next() - 0.5));
  let along = centred.map((row) => dot(row, direction));
  for (let step = 0; step < mostSteps; step++) {
    const turned = unit(combined(centred, along));
    const moved = Math.max(...turned.map((value, j) => Math.abs(value - direction[j]!)));
    direction = turned;
    along = centred.map((row) => dot(row, direction));
    if (moved < 1e-13) break;
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
