import { check, checkList } from '../check.ts';
import { checkEach } from './lists.ts';

export interface Pca {
  /** [components][columns], of length 1, at right angles; the largest value of each is positive. */
  components: number[][];
  /** [rows][components]: where the rows are, seen from their mean. */
  scores: number[][];
  /** Of the variance of all columns, the share that each component has. */
  explained: number[];
}

/**
 * Principal components: the directions in which rows differ most, largest first. In double precision, by
 * Jacobi's rotations of the smaller of the covariance and the rows' products.
 *
 * Signs are scikit-learn's: the largest value of a component is positive. Directions in which nothing
 * differs are zeros.
 *
 * @param rows [rows][columns], at least two
 * @param count how many components, at most the smaller of rows and columns
 * @throws RangeError on rows of different length, on values that are not finite, and on another count
 *
 * @example
 * pca([[1, 1], [2, 2], [3, 3]], 1).components; // [[0.707, 0.707]]
 */
export function pca(rows: readonly ArrayLike<number>[], count = 2): Pca {
  checkList('rows', rows);
  const columns = checkRows(rows);
  const most = Math.min(rows.length, columns);
  check('count', count, Number.isInteger(count) && count >= 1 && count <= most, `1..${most}`);
  const mean = Float64Array.from({ length: columns }, (_, j) => {
    let sum = 0;
    for (const row of rows) sum += row[j]!;
    return sum / rows.length;
  });
  const centred = rows.map((row) => Float64Array.from(row, (value, j) => value - mean[j]!));
  const byRows = rows.length < columns;
  const { values, vectors } = eigen(products(byRows ? centred : transposed(centred)));
  const total = values.reduce((sum, value) => sum + Math.max(0, value), 0);
  const order = [...values.keys()].sort((a, b) => values[b]! - values[a]!).slice(0, count);
  const components = order.map((k) => {
    if (values[k]! <= total * 1e-14) return new Float64Array(columns);
    const vector = byRows ? combined(centred, vectors[k]!) : vectors[k]!;
    const largest = vector.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
    const length = Math.sign(largest) * Math.sqrt(dot(vector, vector));
    return vector.map((value) => value / length);
  });
  return {
    components: components.map((component) => [...component]),
    scores: centred.map((row) => components.map((component) => dot(row, component))),
    explained: order.map((k) => (total === 0 ? 0 : Math.max(0, values[k]!) / total)),
  };
}

function checkRows(rows: readonly ArrayLike<number>[]): number {
  check('rows', rows.length, rows.length >= 2, 'at least two');
  const columns = rows[0]!.length;
  check('columns', columns, columns >= 1, 'at least one');
  for (const [i, row] of rows.entries()) {
    check(`the length of rows[${i}]`, row.length, row.length === columns, `${columns}`);
    checkEach(`rows[${i}]`, Array.from(row), Number.isFinite, 'a finite number');
  }
  return columns;
}

/**
 * Eigenvalues and their vectors of a symmetric matrix, by cyclic rotations that make one element after
 * the other zero until all beside the diagonal are.
 *
 * @see Golub and Van Loan, Matrix Computations, section 8.5
 */
function eigen(matrix: Float64Array[]): { values: number[]; vectors: Float64Array[] } {
  const size = matrix.length;
  const vectors = matrix.map((_, i) => Float64Array.from({ length: size }, (_, j) => +(i === j)));
  const norm = Math.sqrt(matrix.reduce((sum, row) => sum + dot(row, row), 0));
  for (let sweep = 0; sweep < 60; sweep++) {
    let rotated = false;
    for (let p = 0; p < size; p++) {
      for (let q = p + 1; q < size; q++) {
        if (Math.abs(matrix[p]![q]!) <= 1e-16 * norm) continue;
        rotated = true;
        const [c, s] = rotation(matrix[p]![p]!, matrix[q]![q]!, matrix[p]![q]!);
        for (const row of matrix) turn(row, p, row, q, c, s);
        for (let k = 0; k < size; k++) turn(matrix[p]!, k, matrix[q]!, k, c, s);
        matrix[p]![q] = matrix[q]![p] = 0; // what rounding has left there
        for (let k = 0; k < size; k++) turn(vectors[p]!, k, vectors[q]!, k, c, s);
      }
    }
    if (!rotated) break;
  }
  return { values: matrix.map((row, i) => row[i]!), vectors };
}

/** Cosine and sine of the smaller angle that makes the element pq zero. */
function rotation(pp: number, qq: number, pq: number): [number, number] {
  const tau = (qq - pp) / (2 * pq);
  const t = (tau < 0 ? -1 : 1) / (Math.abs(tau) + Math.hypot(1, tau));
  const c = 1 / Math.hypot(1, t);
  return [c, t * c];
}

/** Rotates the pair a[i], b[j]. */
function turn(a: Float64Array, i: number, b: Float64Array, j: number, c: number, s: number): void {
  const x = a[i]!;
  const y = b[j]!;
  a[i] = c * x - s * y;
  b[j] = s * x + c * y;
}

/** Of every two rows, the sum of the products of their values. */
function products(rows: readonly Float64Array[]): Float64Array[] {
  return rows.map((row) => Float64Array.from(rows, (other) => dot(row, other)));
}

const transposed = (rows: readonly Float64Array[]) =>
  Array.from(rows[0]!, (_, j) => Float64Array.from(rows, (row) => row[j]!));

/** The sum of the rows, each by its weight. */
function combined(rows: readonly Float64Array[], weights: Float64Array): Float64Array {
  const sum = new Float64Array(rows[0]!.length);
  for (const [i, row] of rows.entries()) {
    for (let j = 0; j < sum.length; j++) sum[j]! += weights[i]! * row[j]!;
  }
  return sum;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
