import { check } from '../check.ts';

/** A loss given by what it makes of the label's probability p, in (0, 1]; the weight is also asked at 0. */
export interface CustomOptions {
  /**
   * The factor on cross-entropy's gradient: a row pulls by weight(p) · (pⱼ − yⱼ). It is called some
   * thousand times for each call of the loss, not once for each row.
   */
  weight: (p: number) => number;
  /** What the row's loss is said to be. Default: the integral of the weight, ∫ weight(p) / p dp from p to 1. */
  loss?: ((p: number) => number) | undefined;
}

/** Points of a table: at surprises i / (points − i), half of them where p is above 1 / e. */
const points = 2 ** 14;

/** −log p of the point i. */
const surpriseAt = (i: number) => i / (points - i);

/**
 * Weight and loss at each point, [points, 2], as native/kernels/dece_loss.h takes them. In between the
 * weight is linear in −log p: off by at most h² / 8 times its second derivative, where h, the distance
 * of two points, is (1 − log p)² / points. A weight that jumps does so within such a distance.
 *
 * @throws TypeError on what is no function; RangeError where it gives no finite number
 */
export function tabulate({ weight, loss }: Partial<CustomOptions>): Float64Array {
  checkFunction('weight', weight);
  if (loss !== undefined) checkFunction('loss', loss);
  const table = new Float64Array(2 * points);
  let integral = 0;
  for (let i = 0; i < points; i++) {
    const p = Math.exp(-surpriseAt(i));
    const own = weight(p);
    check(`weight(${p})`, own, Number.isFinite(own), 'a finite number');
    // In terms of the surprise the integral of weight / p is that of the weight.
    const step = i === 0 ? 0 : surpriseAt(i) - surpriseAt(i - 1);
    if (i > 0) integral += (step * (table[2 * i - 2]! + own)) / 2;
    table[2 * i] = own;
    table[2 * i + 1] = integral;
    if (loss === undefined) continue;
    // Where p is too small for a double, the loss goes on as its slope says.
    const given = p > 0 ? loss(p) : table[2 * i - 1]! + step * own;
    check(`loss(${p})`, given, Number.isFinite(given), 'a finite number');
    table[2 * i + 1] = given;
  }
  return table;
}

function checkFunction(name: string, value: unknown): asserts value is (p: number) => number {
  if (typeof value === 'function') return;
  throw new TypeError(
    `${name} is ${String(value)}: expected a function of the label's probability`,
  );
}

/**
 * How large a component of a custom gradient gets: the label's is weight(p) · (1 − p), largest at a point of
 * the table or beside it. Where weight / p still grows from p = 1e-150 to 1e-300, it is taken to have no end.
 */
export function boundOfTable(table: Float64Array): { probabilities: number; logits: number } {
  const bound = { probabilities: 0, logits: 0 };
  let best = 0;
  for (let i = 0; i < points; i++) {
    const surprise = surpriseAt(i);
    const weight = Math.abs(table[2 * i]!);
    const pull = weight * -Math.expm1(-surprise);
    if (pull > bound.logits) [best, bound.logits] = [i, pull];
    const p = Math.exp(-surprise);
    if (p > 1e-150) bound.probabilities = Math.max(bound.probabilities, weight / p);
    else if (p > 1e-300 && weight / p > 1.01 * bound.probabilities) bound.probabilities = Infinity;
  }
  for (let i = Math.max(0, best - 1); i <= best && i + 1 < points; i++) {
    const [low, high] = [surpriseAt(i), surpriseAt(i + 1)];
    const [first, slope] = [table[2 * i]!, (table[2 * i + 2]! - table[2 * i]!) / (high - low)];
    const pull = (s: number) => Math.abs(first + slope * (s - low)) * -Math.expm1(-s);
    bound.logits = Math.max(bound.logits, maximum(pull, low, high));
  }
  return bound;
}

/** The maximum of a function with a single one in [low, high], by thirds. */
export function maximum(value: (x: number) => number, low: number, high: number): number {
  while (high - low > 1e-9) {
    const third = (high - low) / 3;
    if (value(low + third) < value(high - third)) low += third;
    else high -= third;
  }
  return value((low + high) / 2);
}
