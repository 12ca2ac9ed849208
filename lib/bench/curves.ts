import { setImmediate } from 'node:timers/promises';
import {
  type BoundOptions,
  crossEntropyLoss,
  customLoss,
  deceLoss,
  gceLoss,
  gradientBound,
  inTrustLoss,
  type LossOptions,
} from '../loss.ts';
import { seeded } from '../random.ts';

/** A loss as the curves show it. */
export interface CurveLoss {
  title: string;
  /** As `gradientBound` takes it, the name included. */
  options: BoundOptions & { name: keyof typeof losses };
}

export interface TrustCurve extends CurveLoss {
  /** How much a token counts whose label has a probability: 1 is what it counts in cross-entropy. */
  points: { probability: number; weight: number }[];
}

export interface Certificate extends CurveLoss {
  rows: number;
  /** What `gradientBound` says of a component of the gradient with respect to the logits. */
  bound: number;
  /** The largest component that was found. */
  most: number;
  /** Whether it is above the bound by more than float32 rounds. */
  exceeds: boolean;
}

const losses = {
  ce: crossEntropyLoss,
  dece: deceLoss,
  gce: gceLoss,
  'in-trust': inTrustLoss,
  custom: customLoss as typeof crossEntropyLoss,
};

const dece = (epoch: number): CurveLoss => ({
  title: `DeCE, epoch ${epoch}`,
  options: { name: 'dece', epoch, alphaBase: 0.8, labelSmoothing: 0.05 },
});

/** DeCE with the values of the authors' code. */
export const curveLosses: readonly CurveLoss[] = [
  { title: 'Cross-entropy', options: { name: 'ce' } },
  ...[1, 3, 5, 10].map(dece),
  { title: 'GCE, q = 0.7', options: { name: 'gce', q: 0.7 } },
  { title: 'In-trust', options: { name: 'in-trust' } },
  { title: 'DFT, weight p', options: { name: 'custom', weight: (p) => p } },
  {
    title: 'custom, p² / (p² + 0.01)',
    options: { name: 'custom', weight: (p) => p ** 2 / (p ** 2 + 0.01) },
  },
];

function gradientOf(
  { options: { name, ...options } }: CurveLoss,
  logits: Float32Array,
  labels: Int32Array,
): Float32Array {
  const call = { ...options, reduction: 'sum' } as LossOptions<Float32Array>;
  return losses[name](logits, labels, call).gradient;
}

/** CodeT5's vocabulary: smoothing is spread over it. */
const classes = 32100;

/** From 1e-6 to almost 1. */
const probabilities = [
  ...Array.from({ length: 120 }, (_, i) => 10 ** (-(i + 1) / 20)),
  ...[0.3, 0.5, 0.9, 0.95, 0.99],
].sort((a, b) => a - b);

/**
 * What each loss makes of a token against its label's probability: the label's component of the gradient,
 * measured, over that of cross-entropy. What the label does not have is another token's.
 */
export function trustCurves(shown: readonly CurveLoss[] = curveLosses): TrustCurve[] {
  const logits = new Float32Array(probabilities.length * classes).fill(-Infinity);
  for (const [row, p] of probabilities.entries()) {
    logits[row * classes] = Math.log(p / (1 - p));
    logits[row * classes + 1] = 0;
  }
  const labels = new Int32Array(probabilities.length);
  return shown.map((loss) => {
    const gradient = gradientOf(loss, logits, labels);
    const points = probabilities.map((probability, row) => ({
      probability,
      weight: -gradient[row * classes]! / (1 - probability),
    }));
    return { ...loss, points };
  });
}

export interface CertifyOptions {
  /** Of each loss; whole batches of 10,000. */
  rows: number;
  seed: number;
  losses?: readonly CurveLoss[];
  signal?: AbortSignal;
  onProgress?: (what: string, done: number, total: number) => void;
}

/**
 * Holds `gradientBound` to the gradients of random rows, from untrained to sure ones: 2 to 64 classes,
 * normal logits of some spread, every other label raised or lowered.
 */
export async function certify(options: CertifyOptions): Promise<Certificate[]> {
  const { rows, seed, losses: shown = curveLosses, signal, onProgress } = options;
  const random = seeded(seed);
  const most = shown.map(() => 0);
  const batch = Math.min(10_000, rows);
  for (let done = 0; done < rows; done += batch) {
    const { logits, labels } = randomRows([2, 3, 5, 64][(done / batch) % 4]!, batch, random);
    for (const [i, loss] of shown.entries()) {
      let largest = most[i]!;
      for (const slope of gradientOf(loss, logits, labels)) {
        largest = Math.max(largest, Math.abs(slope));
      }
      most[i] = largest;
    }
    onProgress?.('random rows', done + batch, rows);
    await setImmediate(); // lets a signal in
    signal?.throwIfAborted();
  }
  return shown.map((loss, i) => {
    const bound = gradientBound(loss.options).logits;
    return { ...loss, rows, bound, most: most[i]!, exceeds: !(most[i]! <= bound * (1 + 1e-6)) };
  });
}

function randomRows(width: number, rows: number, random: ReturnType<typeof seeded>) {
  const labels = Int32Array.from({ length: rows }, () => random.below(width));
  const logits = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const spread = 8 * random.next();
    for (let i = row * width; i < (row + 1) * width; i++) {
      const radius = Math.sqrt(-2 * Math.log(1 - random.next()));
      logits[i] = spread * radius * Math.cos(2 * Math.PI * random.next());
    }
    if (row % 2 === 0) logits[row * width + labels[row]!]! += 40 * random.next() - 20;
  }
  return { logits, labels };
}
