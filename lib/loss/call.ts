import { check, checkKeys, checkObject, choose } from '../check.ts';
import { kernels } from '../native.ts';
import { checkMode, checkNumber, formulas } from './formulas.ts';
import { checkFactors, type Weights, weightsOf } from './weights.ts';

/** Row-major `[rows, classes]`: floats, or 16-bit floats (`dtype`) as the bits they are stored in. */
export type Logits = Float32Array | Uint16Array;

/** `[rows]`: 0..classes-1, or `ignoreIndex`. */
export type Labels = Int32Array | BigInt64Array;

/** Options of all losses; `T` is the array type of the logits. */
export interface LossOptions<T extends Logits = Logits> extends Weights {
  /** Rows with this label have loss 0 and gradient 0 and are not counted by `mean`. −100. */
  ignoreIndex?: number;
  /**
   * `mean`: over the counted rows, or their weights; 0 where there are none. `none`: what counts are
   * the `losses`; loss and gradient are those of their sum, weighed by `upstream`. Default `mean`.
   */
  reduction?: 'mean' | 'sum' | 'none';
  /** With `none`: what `losses` are multiplied by in what becomes of them, `[rows]`. Default: ones. */
  upstream?: Float32Array | undefined;
  /** `reference` is the authors' code, quirks included: see each loss. Default `paper`. */
  mode?: 'paper' | 'reference';
  /** Of logits and gradient. The 16-bit ones travel in a Uint16Array. Default `float32`. */
  dtype?: 'float32' | 'bfloat16' | 'float16';
  /**
   * Where the gradient goes; may be `logits` itself, which it then overwrites. `false`: the losses
   * alone, and the gradient has no elements. Default: a new array.
   */
  gradient?: T | false;
  /** Default: one for each core. The result has the same bits for every number. */
  threads?: number;
}

/** What a loss takes besides when it runs off the event loop. */
export interface AsyncOptions {
  /** Aborting rejects with the signal's reason; the gradient is then partly written. */
  signal?: AbortSignal;
}

export interface LossResult<T extends Logits> {
  /** What `reduction` makes of `losses`, in nats. */
  loss: number;
  /** `[rows]`. */
  losses: Float32Array;
  /** `[rows, classes]`: of `loss` with respect to the logits, in the logits' type. */
  gradient: T;
}

const dtypes = { float32: 0, bfloat16: 1, float16: 2 };
const commonKeys = [
  'ignoreIndex',
  'reduction',
  'mode',
  'dtype',
  'gradient',
  'threads',
  'rowWeights',
  'classWeights',
  'upstream',
];

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
  gradient: Logits | undefined,
  weights: Float32Array | undefined,
  upstream: Float32Array | undefined,
];

export function run<T extends Logits>(
  name: keyof typeof formulas,
  logits: T,
  labels: Labels,
  options: LossOptions<T>,
): LossResult<T> {
  const { call, result } = prepare(name, logits, labels, options);
  (kernels() as Kernels).lossAndGradient(...call);
  return result();
}

export async function runAsync<T extends Logits>(
  name: keyof typeof formulas,
  logits: T,
  labels: Labels,
  given: LossOptions<T> & AsyncOptions,
): Promise<LossResult<T>> {
  checkObject('options', given);
  const { signal, ...options } = given;
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
  checkObject('options', options);
  const {
    ignoreIndex = -100,
    reduction = 'mean',
    mode = 'paper',
    dtype = 'float32',
    gradient,
    threads = 0,
    rowWeights,
    classWeights,
    upstream,
    ...own
  } = options;
  const formula = formulas[name];
  checkKeys('options', own, [...formula.keys, ...commonKeys]);
  const settings = formula.settings(own);
  checkMode(mode, name);
  checkCommon({ ...options, ignoreIndex, reduction, dtype });
  checkArrays(logits, labels, gradient, dtype);

  const rows = labels.length;
  const classes = rows === 0 ? 0 : logits.length / rows;
  if (mode === 'reference' && classes > 1) {
    const { labelSmoothing } = settings;
    const most = (classes - 1) / classes;
    check('labelSmoothing', labelSmoothing, labelSmoothing < most, `less than ${most}`);
  }

  const isCounted = countedBy(labels, ignoreIndex);
  const weights = weightsOf({ rowWeights, classWeights }, labels, classes, isCounted);
  if (weights !== undefined) checkWeighted(name, mode, settings, classWeights);
  check(
    'reduction',
    reduction,
    upstream === undefined || reduction === 'none',
    'none with upstream',
  );
  checkFactors('upstream', upstream, rows, Number.isFinite, 'a finite number');

  // The authors' code averages cross-entropy as PyTorch does, the others over ignored rows too.
  const all = mode === 'reference' && name !== 'ce';
  const counted = weights?.reduce((sum, weight) => sum + weight, 0) ?? count(rows, isCounted);
  // Where nothing counts all losses are 0, and so is their mean.
  const divisor = reduction === 'mean' ? (all ? rows : counted) || 1 : 1;
  const losses = new Float32Array(rows);
  const target = gradient || (new arrayOf[dtype](gradient === false ? 0 : logits.length) as T);
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
    call: [
      logits,
      labels,
      numbers,
      losses,
      gradient === false ? undefined : target,
      weights,
      upstream,
    ],
    result: () => ({
      loss: losses.reduce((sum, loss, row) => sum + loss * (upstream?.[row] ?? 1), 0) / divisor,
      losses,
      gradient: target,
    }),
  };
}

const arrayOf = { float32: Float32Array, bfloat16: Uint16Array, float16: Uint16Array };

function checkCommon({ ignoreIndex, reduction, dtype, threads }: LossOptions): void {
  checkNumber('ignoreIndex', ignoreIndex, Number.isSafeInteger, 'an integer');
  const isReduction = ['mean', 'sum', 'none'].includes(reduction!);
  check('reduction', reduction, isReduction, 'mean, sum or none');
  choose(dtypes, dtype!, 'dtype');
  if (threads !== undefined) {
    const ok = (count: number) => Number.isInteger(count) && count >= 1 && count < 2 ** 31;
    checkNumber('threads', threads, ok, 'an integer of at least 1');
  }
}

function checkArrays(
  logits: Logits,
  labels: Labels,
  gradient: Logits | false | undefined,
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
  if (gradient === undefined || gradient === false) return;
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

/** Whether a row's label is not the ignored one. */
function countedBy(labels: Labels, ignoreIndex: number): (row: number) => boolean {
  // Not by instanceof: an array may come from another realm.
  const ignored = typeof labels[0] === 'bigint' ? BigInt(ignoreIndex) : ignoreIndex;
  return (row) => labels[row] !== ignored;
}

function count(rows: number, isCounted: (row: number) => boolean): number {
  let counted = 0;
  for (let row = 0; row < rows; row++) if (isCounted(row)) counted++;
  return counted;
}

function checkWeighted(
  name: string,
  mode: string,
  { labelSmoothing }: { labelSmoothing: number },
  classWeights: Float32Array | undefined,
): void {
  check('mode', mode, mode === 'paper', 'paper, as the authors have no weights');
  // PyTorch then weighs each class's share of the smoothed label by itself: no factor of the row.
  const isTorch = name !== 'ce' || classWeights === undefined || labelSmoothing === 0;
  check(
    'labelSmoothing',
    labelSmoothing,
    isTorch,
    '0 with classWeights, or rowWeights in their place',
  );
}
