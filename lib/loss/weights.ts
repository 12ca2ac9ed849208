import { check } from '../check.ts';

/** How much rows count, as `weight` of torch.nn.functional.cross_entropy. */
export interface Weights {
  /** `[rows]`, at least 0: a factor on the loss and on the gradient of each row. */
  rowWeights?: Float32Array | undefined;
  /** `[classes]`, at least 0: the same factor for all rows of a label. */
  classWeights?: Float32Array | undefined;
}

/**
 * The factor of each row, rowWeights[row] times classWeights[label], and 0 where the label is ignored;
 * undefined where there are no weights.
 */
export function weightsOf(
  { rowWeights, classWeights }: Weights,
  labels: ArrayLike<number | bigint>,
  classes: number,
  isCounted: (row: number) => boolean,
): Float32Array | undefined {
  if (rowWeights === undefined && classWeights === undefined) return undefined;
  checkFactors('rowWeights', rowWeights, labels.length, isWeight, 'a finite number, at least 0');
  // How many classes there are, an empty batch does not say.
  const width = labels.length > 0 ? classes : classWeights?.length;
  checkFactors('classWeights', classWeights, width ?? 0, isWeight, 'a finite number, at least 0');
  return Float32Array.from({ length: labels.length }, (_, row) => {
    if (!isCounted(row)) return 0;
    return (rowWeights?.[row] ?? 1) * (classWeights?.[Number(labels[row])] ?? 1);
  });
}

const isWeight = (value: number) => value >= 0 && value < Infinity;

/** Throws unless `values` is a Float32Array of that length whose values are all ok, or undefined. */
export function checkFactors(
  name: string,
  values: Float32Array | undefined,
  length: number,
  ok: (value: number) => boolean,
  expected: string,
): void {
  if (values === undefined) return;
  const kind = Object.prototype.toString.call(values).slice(8, -1);
  if (kind !== 'Float32Array') {
    throw new TypeError(`${name} is of type ${kind}: expected Float32Array`);
  }
  if (values.length !== length) {
    throw new RangeError(`${name} has ${values.length} values: expected ${length}`);
  }
  const wrong = values.findIndex((value) => !ok(value));
  if (wrong >= 0) check(`${name}[${wrong}]`, values[wrong], false, expected);
}
