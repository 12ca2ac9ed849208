import { check, checkKeys, choose } from './check.ts';
import {
  type CrossEntropyOptions,
  checkMode,
  checkNumber,
  type DeceOptions,
  formulas,
  type GceOptions,
  type InTrustOptions,
} from './loss/formulas.ts';
import { kernels } from './native.ts';

export { alphaAt, type BoundOptions, gradientBound } from './loss/formulas.ts';
export type { CrossEntropyOptions, DeceOptions, GceOptions, InTrustOptions };

/** Row-major `[rows, classes]`: floats, or 16-bit floats (`dtype`) as the bits they are stored in. */
export type Logits = Float32Array | Uint16Array;

/** `[rows]`: 0..classes-1, or `ignoreIndex`. */
export type Labels = Int32Array | BigInt64Array;

/** Options of all losses; `T` is the array type of the logits. */
export interface LossOptions<T extends Logits = Logits> {
  /** Rows with this label have loss 0 and gradient 0 and are not counted by `mean`. −100. */
  ignoreIndex?: number;
  /** `mean`: over the counted rows; 0 where there are none. Default `mean`. */
  reduction?: 'mean' | 'sum';
  /** `reference` is the authors' code, quirks included: see each loss. Default `paper`. */
  mode?: 'paper' | 'reference';
  /** Of logits and gradient. The 16-bit ones travel in a Uint16Array. Default `float32`. */
  dtype?: 'float32' | 'bfloat16' | 'float16';
  /** Where the gradient goes; may be `logits` itself, which it then overwrites. Default: a new array. */
  gradient?: T;
  /** Default: one for each core. The result has the same bits for every number. */
  threads?: number;
}

/** What a loss takes besides when it runs off the event loop. */
export interface AsyncOptions {
  /** Aborting rejects with the signal's reason; the gradient is then partly written. */
  signal?: AbortSignal;
}

export interface LossResult<T extends Logits> {
  /** Sum or mean of `losses`, in nats. */
  loss: number;
  /** `[rows]`. */
  losses: Float32Array;
  /** `[rows, classes]`: of `loss` with respect to the logits, in the logits' type. */
  gradient: T;
}

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

/** {@link deceLoss} off the event loop. Its arrays must not be touched until the promise settles. */
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

/** {@link crossEntropyLoss} off the event loop. Its arrays must not be touched until the promise settles. */
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

/** {@link gceLoss} off the event loop. Its arrays must not be touched until the promise settles. */
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

/** {@link inTrustLoss} off the event loop. Its arrays must not be touched until the promise settles. */
export async function inTrustLossAsync<T extends Logits>(
  logits: T,
  labels: Labels,
  options: LossOptions<T> & InTrustOptions & AsyncOptions = {},
): Promise<LossResult<T>> {
  return runAsync('in-trust', logits, labels, options);
}

const dtypes = { float32: 0, bfloat16: 1, float16: 2 };
const commonKeys = ['ignoreIndex', 'reduction', 'mode', 'dtype', 'gradient', 'threads'];

/** What native/kernels/binding.cc exports and this file calls. */
interface Kernels {
  lossAndGradient(...call: Call): void;
  lossAndGradientAsync(...call: Call): { done: Promise<void>; stop: () => void };
}

type Call = [
  logits: Logits,
  labels: Labels,
  settings: object,
  losses: Float32Array,
  gradient: Logits,
];

function run<T extends Logits>(
  name: keyof typeof formulas,
  logits: T,
  labels: Labels,
  options: LossOptions<T>,
): LossResult<T> {
  const { call, result } = prepare(name, logits, labels, options);
  (kernels() as Kernels).lossAndGradient(...call);
  return result();
}

async function runAsync<T extends Logits>(
  name: keyof typeof formulas,
  logits: T,
  labels: Labels,
  { signal, ...options }: LossOptions<T> & AsyncOptions,
): Promise<LossResult<T>> {
  const { call, result } = prepare(name, logits, labels, options);
  signal?.throwIfAborted();
  const { done, stop } = (kernels() as Kernels).lossAndGradientAsync(...call);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    await done;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
  signal?.throwIfAborted();
  return result();
}

/** Checks the arguments, except for what is about memory: native/kernels/binding.cc does that. */
function prepare<T extends Logits>(
  name: keyof typeof formulas,
  logits: T,
  labels: Labels,
  options: LossOptions<T>,
): { call: Call; result: () => LossResult<T> } {
  const {
    ignoreIndex = -100,
    reduction = 'mean',
    mode = 'paper',
    dtype = 'float32',
    gradient,
    threads = 0,
    ...own
  } = options;
  const formula = formulas[name];
  checkKeys('options', own, [...formula.keys, ...commonKeys]);
  const settings = formula.settings(own);
  checkCommon({ ...options, ignoreIndex, reduction, mode, dtype });
  checkArrays(logits, labels, gradient, dtype);

  const rows = labels.length;
  const classes = rows === 0 ? 0 : logits.length / rows;
  if (mode === 'reference' && classes > 1) {
    const { labelSmoothing } = settings;
    const most = (classes - 1) / classes;
    check('labelSmoothing', labelSmoothing, labelSmoothing < most, `less than ${most}`);
  }

  // The authors' code averages cross-entropy as PyTorch does, the others over ignored rows too.
  const all = mode === 'reference' && name !== 'ce';
  const divisor =
    reduction === 'sum' ? 1 : Math.max(1, all ? rows : countedRows(labels, ignoreIndex));
  const losses = new Float32Array(rows);
  const target = gradient ?? (new arrayOf[dtype](logits.length) as T);
  const numbers = {
    ...settings,
    loss: formula.loss,
    reference: mode === 'reference',
    dtype: dtypes[dtype],
    ignoreIndex,
    scale: 1 / divisor,
    threads,
  };
  return {
    call: [logits, labels, numbers, losses, target],
    result: () => ({
      loss: losses.reduce((sum, loss) => sum + loss, 0) / divisor,
      losses,
      gradient: target,
    }),
  };
}

const arrayOf = { float32: Float32Array, bfloat16: Uint16Array, float16: Uint16Array };

function checkCommon({ ignoreIndex, reduction, mode, dtype, threads }: LossOptions): void {
  checkNumber('ignoreIndex', ignoreIndex, Number.isSafeInteger, 'an integer');
  check('reduction', reduction, reduction === 'mean' || reduction === 'sum', 'mean or sum');
  checkMode(mode);
  choose(dtypes, dtype!, 'dtype');
  if (threads !== undefined) {
    const ok = (count: number) => Number.isInteger(count) && count >= 1 && count < 2 ** 31;
    checkNumber('threads', threads, ok, 'an integer of at least 1');
  }
}

function checkArrays(
  logits: Logits,
  labels: Labels,
  gradient: Logits | undefined,
  dtype: keyof typeof dtypes,
): void {
  const type = arrayOf[dtype].name;
  checkKind('logits', logits, [type], ` for dtype ${dtype}`);
  checkKind('labels', labels, ['Int32Array', 'BigInt64Array']);
  if (
    labels.length === 0
      ? logits.length > 0
      : !(logits.length > 0 && logits.length % labels.length === 0)
  ) {
    throw new RangeError(
      `logits has ${logits.length} values for ${labels.length} labels: expected [rows, classes]`,
    );
  }
  if (gradient === undefined) return;
  checkKind('gradient', gradient, [type], ', as logits is');
  if (gradient.length !== logits.length) {
    throw new RangeError(
      `gradient has ${gradient.length} values: expected ${logits.length}, as logits has`,
    );
  }
}

function checkKind(name: string, value: unknown, kinds: readonly string[], why = ''): void {
  const kind = Object.prototype.toString.call(value).slice(8, -1);
  if (!kinds.includes(kind)) {
    throw new TypeError(`${name} is of type ${kind}: expected ${kinds.join(' or ')}${why}`);
  }
}

function countedRows(labels: Labels, ignoreIndex: number): number {
  // Not by instanceof: an array may come from another realm.
  const ignored = typeof labels[0] === 'bigint' ? BigInt(ignoreIndex) : ignoreIndex;
  let count = 0;
  for (const label of labels) if (label !== ignored) count++;
  return count;
}
