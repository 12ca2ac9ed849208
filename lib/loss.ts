import {
  type AsyncOptions,
  type Labels,
  type Logits,
  type LossOptions,
  type LossResult,
  run,
  runAsync,
} from './loss/call.ts';
import type {
  CrossEntropyOptions,
  DeceOptions,
  GceOptions,
  InTrustOptions,
} from './loss/formulas.ts';
import type { CustomOptions } from './loss/table.ts';

export { alphaAt, type BoundOptions, gradientBound } from './loss/formulas.ts';
export type {
  AsyncOptions,
  CrossEntropyOptions,
  CustomOptions,
  DeceOptions,
  GceOptions,
  InTrustOptions,
  Labels,
  Logits,
  LossOptions,
  LossResult,
};

/**
 * Deceptive cross-entropy and its gradient, computed together on the CPU.
 *
 * The loss of a row is −Σ yᵢ·log(α·pᵢ + (1 − α)·yᵢ), where p is the softmax of the logits, y the
 * smoothed label and α = alphaBase ** epoch. As α falls, a row pulls the less the less likely the
 * model finds its label, so that rare rows not learnt early fade out.
 *
 * Smoothing spreads labelSmoothing over all classes, as the paper and PyTorch do. With
 * `mode: 'reference'` it is spread over the other classes only, a probability below 1e-7 counts as
 * 1e-7 and has no gradient, and `mean` divides by all rows, ignored ones included.
 *
 * A row with a NaN or +∞ gives NaN, as in PyTorch; a class at −∞ is impossible and has gradient 0.
 *
 * @param logits [rows, classes], row-major
 * @param labels [rows], 0..classes-1 or `ignoreIndex`
 * @throws TypeError on another kind of array or an unknown option; RangeError on a size, label or
 *   option out of range, or a gradient that overlaps the logits without being the same array
 * @see Yang et al., 2024, https://arxiv.org/abs/2407.08956
 *
 * @example
 * const { loss, gradient } = deceLoss(logits, labels, { epoch: 3 });
 */
export function deceLoss<T extends Logits>(
  logits: T,
  labels: Labels,
  options: LossOptions<T> & DeceOptions = {},
): LossResult<T> {
  return run('dece', logits, labels, options);
}

/**
 * {@link deceLoss} off the event loop. Its arrays must be neither written nor transferred until the promise
 * settles.
 */
export async function deceLossAsync<T extends Logits>(
  logits: T,
  labels: Labels,
  options: LossOptions<T> & DeceOptions & AsyncOptions = {},
): Promise<LossResult<T>> {
  return runAsync('dece', logits, labels, options);
}

/**
 * Cross-entropy −Σ yᵢ·log pᵢ and its gradient, with the smoothed label y as in PyTorch. With
 * `mode: 'reference'` smoothing is spread over the other classes only. Otherwise as {@link deceLoss}.
 *
 * @example
 * const { loss, gradient } = crossEntropyLoss(logits, labels, { labelSmoothing: 0.1 });
 */
export function crossEntropyLoss<T extends Logits>(
  logits: T,
  labels: Labels,
  options: LossOptions<T> & CrossEntropyOptions = {},
): LossResult<T> {
  return run('ce', logits, labels, options);
}

/**
 * {@link crossEntropyLoss} off the event loop. Its arrays must be neither written nor transferred until the promise
 * settles.
 */
export async function crossEntropyLossAsync<T extends Logits>(
  logits: T,
  labels: Labels,
  options: LossOptions<T> & CrossEntropyOptions & AsyncOptions = {},
): Promise<LossResult<T>> {
  return runAsync('ce', logits, labels, options);
}

/**
 * Generalized cross-entropy (1 − p_label ** q) / q and its gradient, untruncated. With
 * `mode: 'reference'` a label less likely than 1e-7 has no gradient, and `mean` divides by all rows.
 * Otherwise as {@link deceLoss}.
 *
 * @see Zhang and Sabuncu, 2018, https://arxiv.org/abs/1805.07836
 *
 * @example
 * const { loss, gradient } = gceLoss(logits, labels, { q: 0.5 });
 */
export function gceLoss<T extends Logits>(
  logits: T,
  labels: Labels,
  options: LossOptions<T> & GceOptions = {},
): LossResult<T> {
  return run('gce', logits, labels, options);
}

/**
 * {@link gceLoss} off the event loop. Its arrays must be neither written nor transferred until the promise
 * settles.
 */
export async function gceLossAsync<T extends Logits>(
  logits: T,
  labels: Labels,
  options: LossOptions<T> & GceOptions & AsyncOptions = {},
): Promise<LossResult<T>> {
  return runAsync('gce', logits, labels, options);
}

/**
 * In-trust: −alpha·log p_label − beta·Σ pᵢ·log(delta·pᵢ + (1 − delta)·yᵢ) and its gradient, where y
 * is one-hot with its zeros raised to 1e-4. With `mode: 'reference'` a probability below 1e-7 counts
 * as 1e-7 in the sum and has no gradient there, and `mean` divides by all rows. Otherwise as
 * {@link deceLoss}.
 *
 * @see Huang et al., 2021, Named Entity Recognition via Noise Aware Training Mechanism with Data Filter
 *
 * @example
 * const { loss, gradient } = inTrustLoss(logits, labels, { alpha: 0.2 });
 */
export function inTrustLoss<T extends Logits>(
  logits: T,
  labels: Labels,
  options: LossOptions<T> & InTrustOptions = {},
): LossResult<T> {
  return run('in-trust', logits, labels, options);
}

/**
 * {@link inTrustLoss} off the event loop. Its arrays must be neither written nor transferred until the promise
 * settles.
 */
export async function inTrustLossAsync<T extends Logits>(
  logits: T,
  labels: Labels,
  options: LossOptions<T> & InTrustOptions & AsyncOptions = {},
): Promise<LossResult<T>> {
  return runAsync('in-trust', logits, labels, options);
}

/**
 * A loss of your own and its gradient, by the weight that it gives a row whose label has probability p:
 * cross-entropy's gradient is multiplied by weight(p). The weight 1 is cross-entropy, p ** q is GCE,
 * alpha · p / (alpha · p + 1 − alpha) is DeCE without smoothing.
 *
 * The weight is tabulated at 16,384 values of −log p when the loss is called. For the weights above, with
 * q ≥ 0.1, it is then off by at most 1e-6, and the loss by 1e-6 of itself or, below 1, by 1e-6. Otherwise as {@link deceLoss};
 * there is no `mode: 'reference'`.
 *
 * @throws TypeError where weight or loss is no function; RangeError where it gives no finite number
 *
 * @example
 * const { loss, gradient } = customLoss(logits, labels, { weight: (p) => Number(p > 0.01) });
 */
export function customLoss<T extends Logits>(
  logits: T,
  labels: Labels,
  options: LossOptions<T> & CustomOptions,
): LossResult<T> {
  return run('custom', logits, labels, options);
}

/**
 * {@link customLoss} off the event loop. Its arrays must be neither written nor transferred until the promise
 * settles.
 */
export async function customLossAsync<T extends Logits>(
  logits: T,
  labels: Labels,
  options: LossOptions<T> & CustomOptions & AsyncOptions,
): Promise<LossResult<T>> {
  return runAsync('custom', logits, labels, options);
}
