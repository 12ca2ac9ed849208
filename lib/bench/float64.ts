// The losses written from their formulas in float64, one class after the other: slow, obvious, and
// sharing nothing with native/kernels. Benchmarks and tests measure errors against them.

export interface ReferenceOptions {
  name: 'dece' | 'ce' | 'gce' | 'in-trust';
  mode?: 'paper' | 'reference';
  epoch?: number;
  alphaBase?: number;
  labelSmoothing?: number;
  q?: number;
  alpha?: number;
  beta?: number;
  delta?: number;
}

export interface ReferenceLoss {
  loss: number;
  gradient: Float64Array;
}

/** Loss of one row of logits and its gradient with respect to them. */
export function referenceLoss(
  logits: ArrayLike<number>,
  label: number,
  options: ReferenceOptions,
): ReferenceLoss {
  const classes = logits.length;
  const logP = logSoftmax(logits);
  const p = logP.map(Math.exp);
  const { name, mode = 'paper' } = options;
  const least = mode === 'reference' && name !== 'ce' ? 1e-7 : 0;

  // For each class the loss's term, and p times the slope of the loss in p.
  const slopes = new Float64Array(classes);
  let loss = 0;
  for (let i = 0; i < classes; i++) {
    const term = terms[name]({
      p: Math.max(p[i]!, least),
      logP: p[i]! < least ? Math.log(least) : logP[i]!,
      isLabel: i === label,
      label: smoothedLabel(i === label, classes, options),
      options,
    });
    loss += term.loss;
    // The clamp passes no gradient on.
    if (p[i]! >= least) slopes[i] = term.slope;
    if (name === 'in-trust') {
      // Its cross-entropy is not clamped.
      const alpha = options.alpha ?? 1;
      if (i === label && alpha > 0) loss -= alpha * logP[i]!;
      if (i === label) slopes[i]! -= alpha;
    }
  }

  const total = slopes.reduce((sum, slope) => sum + slope, 0);
  return { loss, gradient: slopes.map((slope, j) => slope - p[j]! * total) };
}

function logSoftmax(logits: ArrayLike<number>): Float64Array {
  const z = Float64Array.from(logits);
  const max = z.reduce((most, value) => Math.max(most, value), -Infinity);
  const logTotal = Math.log(z.reduce((sum, value) => sum + Math.exp(value - max), 0));
  return z.map((value) => value - max - logTotal);
}

function smoothedLabel(isLabel: boolean, classes: number, options: ReferenceOptions): number {
  const smooth = options.name === 'dece' || options.name === 'ce';
  const s = smooth ? (options.labelSmoothing ?? 0) : 0;
  if (options.mode === 'reference') return isLabel ? 1 - s : s / (classes - 1);
  return (isLabel ? 1 - s : 0) + s / classes;
}

interface Class {
  p: number;
  logP: number;
  isLabel: boolean;
  label: number;
  options: ReferenceOptions;
}

/** Of one class: its part of the loss, and p * d loss / d p. */
const terms: Record<ReferenceOptions['name'], (row: Class) => { loss: number; slope: number }> = {
  dece({ p, logP, label, options: { epoch = 1, alphaBase = 0.99 } }) {
    const a = alphaBase ** epoch;
    const b = -Math.expm1(epoch * Math.log(alphaBase));
    if (label === 0) return { loss: 0, slope: 0 };
    if (b === 0) return { loss: -label * logP, slope: -label };
    const blend = a * p + b * label;
    return { loss: -label * Math.log(blend), slope: (-label * a * p) / blend };
  },
  ce: ({ logP, label }) =>
    label === 0 ? { loss: 0, slope: 0 } : { loss: -label * logP, slope: -label },
  gce: ({ p, isLabel, options: { q = 0.7 } }) =>
    isLabel ? { loss: (1 - p ** q) / q, slope: -(p ** q) } : { loss: 0, slope: 0 },
  'in-trust'({ p, isLabel, options: { beta = 0.8, delta = 0.5 } }) {
    if (p === 0) return { loss: 0, slope: 0 };
    const blend = delta * p + (1 - delta) * (isLabel ? 1 : 1e-4);
    return {
      loss: -beta * p * Math.log(blend),
      slope: -beta * p * (Math.log(blend) + (delta * p) / blend),
    };
  },
};

/** Euclidean length of the difference over that of `expected`. */
export function relativeError(actual: ArrayLike<number>, expected: Float64Array): number {
  let difference = 0;
  let length = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i]! - expected[i]!) ** 2;
    length += expected[i]! ** 2;
  }
  return Math.sqrt(difference / length);
}

export function norm(values: Float64Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(share * (sorted.length - 1))]!;
}
