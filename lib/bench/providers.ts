import { peakMemoryBytes, resetPeakMemory } from '../environment.ts';
import {
  crossEntropyLoss,
  deceLoss,
  gceLoss,
  inTrustLoss,
  type Logits,
  type LossOptions,
} from '../loss.ts';
import { kernels } from '../native.ts';
import { seeded } from '../random.ts';
import type { ReferenceOptions } from './float64.ts';

export type Dtype = 'float32' | 'bfloat16' | 'float16';

/** What all providers compute from: the same logits, rounded where a dtype has fewer bits. */
export interface Problem {
  rows: number;
  classes: number;
  threads: number;
  logits: Record<Dtype, Logits>;
  /** The numbers that the logits of 16 bits stand for. */
  coarse: Float32Array;
  labels: Int32Array;
}

/** Something that is timed: a loss with its gradient, or a copy. */
export interface Provider {
  name: string;
  /** How it was called, in a few words. */
  options: string;
  dtype: Dtype;
  /** Where the gradient goes. */
  place: 'in place' | 'given array' | 'new array' | 'from statistics';
  /** What it computes; undefined for a copy. */
  formula: ReferenceOptions | undefined;
  /** Puts the input back that the run before has overwritten, and spoils the output. Not timed. */
  prepare(): void;
  /** Milliseconds of one forward and backward pass. */
  run(): number | Promise<number>;
  /** Some rows of the gradient of the mean loss, one after the other. */
  gradient(rows: readonly number[]): Promise<Float32Array | undefined>;
  /** The memory that a run needs at its peak besides what is there before, in bytes. */
  memory(): Promise<number | undefined>;
}

/**
 * Logits of a half-trained model: normal with a standard deviation of 3, the label's own raised by 8 in
 * every other row.
 */
export function makeProblem(rows: number, classes: number, threads: number): Problem {
  const random = seeded(1);
  const labels = Int32Array.from({ length: rows }, () => random.below(classes));
  const float32 = Float32Array.from({ length: rows * classes }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - random.next()));
    return 3 * radius * Math.cos(2 * Math.PI * random.next());
  });
  for (let row = 0; row < rows; row += 2) float32[row * classes + labels[row]!]! += 8;

  // What both types of 16 bits hold exactly: a sign, a few powers of two and seven bits.
  const coarse = Float32Array.from(float32, (logit) => {
    const step = 2 ** (Math.max(-6, Math.floor(Math.log2(Math.abs(logit)))) - 7);
    return Math.round(logit / step) * step;
  });
  const bits = new Uint32Array(coarse.buffer);
  const bfloat16 = Uint16Array.from(bits, (word) => word >>> 16);
  const float16 = Uint16Array.from(bits, (word) =>
    word << 1 === 0 ? 0 : ((word >>> 16) & 0x8000) | (((word >>> 13) & 0x3ffff) - (112 << 10)),
  );
  return { rows, classes, threads, logits: { float32, bfloat16, float16 }, coarse, labels };
}

const losses = { dece: deceLoss, ce: crossEntropyLoss, gce: gceLoss, 'in-trust': inTrustLoss };

/** The values of the authors' code. */
export const authors = { name: 'dece', epoch: 1, alphaBase: 0.8, labelSmoothing: 0.05 } as const;

/** A copy as the unit, and our losses. */
export function ownProviders(problem: Problem): Provider[] {
  // One array of a dtype serves all: what is in it is put there right before it is used.
  const arrays = new Map<Dtype, Logits>();
  const own = (
    formula: ReferenceOptions,
    dtype: Dtype = 'float32',
    place: Provider['place'] = 'in place',
  ) => {
    const array = arrays.get(dtype) ?? problem.logits[dtype].slice();
    arrays.set(dtype, array);
    return ownLoss(problem, formula, dtype, place, array);
  };
  return [
    copyOf(problem, 'float32'),
    copyOf(problem, 'bfloat16'),
    own(authors),
    own(authors, 'float32', 'given array'),
    own({ ...authors, mode: 'reference' }),
    own({ ...authors, labelSmoothing: 0 }),
    own({ name: 'ce' }),
    own({ name: 'ce', labelSmoothing: 0.1 }),
    own({ name: 'gce' }),
    own({ name: 'in-trust' }),
    own(authors, 'bfloat16'),
    own(authors, 'bfloat16', 'given array'),
    own(authors, 'float16'),
  ];
}

/** The options of a loss, but for its name. */
export const optionsText = ({ name: _, ...own }: ReferenceOptions): string =>
  Object.entries(own)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');

function ownLoss(
  problem: Problem,
  formula: ReferenceOptions,
  dtype: Dtype,
  place: Provider['place'],
  gradient: Logits,
): Provider {
  const { threads, labels, classes } = problem;
  const source = problem.logits[dtype];
  const logits = place === 'in place' ? gradient : source;
  const { name, ...own } = formula;
  // Half precision has no room for a gradient that is divided by the number of rows.
  const options: LossOptions = { ...own, dtype, gradient, threads, reduction: 'sum' };
  const run = () => {
    const started = performance.now();
    losses[name](logits, labels, options);
    return performance.now() - started;
  };
  const prepare = () =>
    place === 'in place'
      ? (gradient as Float32Array).set(source as Float32Array)
      : new Uint8Array(gradient.buffer).fill(0xff); // NaN in each of the dtypes
  return {
    name,
    options: optionsText(formula),
    dtype,
    place,
    formula,
    prepare,
    run,
    async gradient(sampled) {
      const parts = sampled.flatMap((row) => [
        ...gradient.subarray(row * classes, (row + 1) * classes),
      ]);
      return Float32Array.from(parts, (value) => numberOf(value, dtype) / problem.rows);
    },
    async memory() {
      prepare();
      await resetPeakMemory();
      const before = process.memoryUsage.rss();
      run();
      return Math.max(0, (await peakMemoryBytes()) - before);
    },
  };
}

function copyOf({ rows, classes, threads }: Problem, dtype: Dtype): Provider {
  const { copy } = kernels() as {
    copy(to: Float32Array, from: Float32Array, threads: number): void;
  };
  const floats = Math.ceil((rows * classes) / (dtype === 'float32' ? 1 : 2));
  const [from, to] = [new Float32Array(floats).fill(1), new Float32Array(floats).fill(2)];
  return {
    name: 'copy',
    options: '',
    dtype,
    place: 'given array',
    formula: undefined,
    prepare() {},
    run() {
      const started = performance.now();
      copy(to, from, threads);
      return performance.now() - started;
    },
    gradient: async () => undefined,
    memory: async () => 0,
  };
}

/** The number that a word of a typed array stands for. */
function numberOf(word: number, dtype: Dtype): number {
  if (dtype === 'float32') return word;
  if (dtype === 'bfloat16') {
    view.setUint32(0, word << 16);
    return view.getFloat32(0);
  }
  const [sign, exponent, fraction] = [word & 0x8000 ? -1 : 1, (word >> 10) & 31, word & 1023];
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const view = new DataView(new ArrayBuffer(4));
