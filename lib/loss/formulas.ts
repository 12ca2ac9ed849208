import { check, checkKeys, checkObject, choose } from '../check.ts';
import { boundOfTable, type CustomOptions, maximum, tabulate } from './table.ts';

export interface DeceOptions {
  /** Counted from 1; 0 is plain label-smoothed cross-entropy. Default 1. */
  epoch?: number;
  /** alpha = alphaBase ** epoch, in (0, 1]. Default 0.99. */
  alphaBase?: number;
  /** In [0, 1). Default 0.1. */
  labelSmoothing?: number;
}

export interface CrossEntropyOptions {
  /** In [0, 1). Default 0. */
  labelSmoothing?: number;
}

export interface GceOptions {
  /** In (0, 1]: towards 0 the loss is cross-entropy, at 1 the mean absolute error. Default 0.7. */
  q?: number;
}

export interface InTrustOptions {
  /** Weight of cross-entropy, at least 0. Default 1. */
  alpha?: number;
  /** Weight of the distrust term, at least 0. Default 0.8. */
  beta?: number;
  /** Share of the prediction in the distrust term, in [0, 1]. Default 0.5. */
  delta?: number;
}

/** alphaBase ** epoch: the weight that DeCE gives to the model's own prediction in an epoch. */
export function alphaAt(epoch: number, alphaBase: number): number {
  checkNumber('epoch', epoch, (value) => value >= 0 && value < Infinity, 'at least 0');
  checkNumber('alphaBase', alphaBase, (value) => value > 0 && value <= 1, 'in (0, 1]');
  return alphaBase ** epoch;
}

export interface BoundOptions
  extends DeceOptions,
    GceOptions,
    InTrustOptions,
    Partial<CustomOptions> {
  /** Default `dece`. */
  name?: keyof typeof formulas;
  mode?: 'paper' | 'reference';
}

/**
 * How large a component of the gradient of one row's loss can get, over all logits, labels and
 * numbers of classes: with respect to the probabilities p, taken as free variables, and with respect
 * to the logits. A bound on the first is what the DeCE paper shows, alpha / (1 − alpha); the second
 * is finite for cross-entropy too.
 *
 * @example
 * gradientBound({ epoch: 5, alphaBase: 0.8 }); // { probabilities: 0.487…, logits: 0.098… }
 */
export function gradientBound(options: BoundOptions = {}): {
  probabilities: number;
  logits: number;
} {
  checkObject('options', options);
  const { name = 'dece', mode = 'paper', ...own } = options;
  const formula = choose(formulas, name, 'name');
  checkKeys('options', own, formula.keys);
  checkMode(mode, name);
  return formula.bound(formula.settings(own), mode === 'reference' ? 1e-7 : 0);
}

/** What a formula makes of its options: the numbers that native/kernels/dece_loss.h takes. */
export interface Settings {
  alpha: number;
  oneMinusAlpha: number;
  beta: number;
  delta: number;
  q: number;
  labelSmoothing: number;
  /** Of a custom loss: lib/loss/table.ts. */
  table?: Float64Array;
}

const none: Settings = { alpha: 1, oneMinusAlpha: 0, beta: 0, delta: 0, q: 0, labelSmoothing: 0 };

/** Each loss: its number in C++, its own options, and how steep it gets where p ≥ `least`. */
export const formulas = {
  dece: {
    loss: 0,
    keys: ['epoch', 'alphaBase', 'labelSmoothing'],
    settings({ epoch = 1, alphaBase = 0.99, labelSmoothing = 0.1 }: DeceOptions): Settings {
      const alpha = alphaAt(epoch, alphaBase);
      const oneMinusAlpha = -Math.expm1(epoch * Math.log(alphaBase));
      return { ...none, alpha, oneMinusAlpha, labelSmoothing: checkSmoothing(labelSmoothing) };
    },
    // The steepest w is that of the least p. Against the logits, two classes that share all p pull
    // hardest: p (1 − p) / (p + (1 − alpha) / alpha) has its maximum where p² + 2ph = h.
    bound({ alpha, oneMinusAlpha, labelSmoothing }: Settings, least: number) {
      const label = least > 0 ? 1 - labelSmoothing : 1;
      return {
        probabilities: (alpha * label) / (alpha * least + oneMinusAlpha * label),
        logits: alpha / (1 + Math.sqrt(oneMinusAlpha)) ** 2,
      };
    },
  },
  ce: {
    loss: 1,
    keys: ['labelSmoothing'],
    settings({ labelSmoothing = 0 }: CrossEntropyOptions): Settings {
      return { ...none, labelSmoothing: checkSmoothing(labelSmoothing) };
    },
    bound: () => ({ probabilities: Infinity, logits: 1 }),
  },
  gce: {
    loss: 2,
    keys: ['q'],
    settings({ q = 0.7 }: GceOptions): Settings {
      checkNumber('q', q, (value) => value > 0 && value <= 1, 'in (0, 1]');
      return { ...none, q };
    },
    // p^q (1 − p) is largest at p = q / (1 + q).
    bound: ({ q }: Settings, least: number) => ({
      probabilities: least ** (q - 1),
      logits: q ** q / (1 + q) ** (1 + q),
    }),
  },
  'in-trust': {
    loss: 3,
    keys: ['alpha', 'beta', 'delta'],
    settings({ alpha = 1, beta = 0.8, delta = 0.5 }: InTrustOptions): Settings {
      checkNumber('alpha', alpha, (value) => value >= 0 && value < Infinity, 'at least 0');
      checkNumber('beta', beta, (value) => value >= 0 && value < Infinity, 'at least 0');
      checkNumber('delta', delta, (value) => value >= 0 && value <= 1, 'in [0, 1]');
      return { ...none, alpha, beta, delta };
    },
    bound: inTrustBound,
  },
  custom: {
    loss: 4,
    keys: ['weight', 'loss'],
    settings: (options: Partial<CustomOptions>): Settings => ({
      ...none,
      table: tabulate(options),
    }),
    bound: ({ table }: Settings) => boundOfTable(table!),
  },
};

/**
 * In-trust has no closed form. g, the slope of the distrust term in p, falls in p and in y, so that
 * its extremes lie at the ends. Against the logits the label's component is the largest, with the
 * rest of p spread over so many classes that each is at `least`: maximized over the label's p.
 */
function inTrustBound({ alpha, beta, delta }: Settings, least: number) {
  const slope = (p: number, y: number) => {
    const blend = delta * p + (1 - delta) * y;
    return blend > 0 ? -Math.log(blend) - (delta * p) / blend : Infinity;
  };
  if (beta === 0) return { probabilities: alpha > 0 ? Infinity : 0, logits: alpha };
  const unlikely = slope(least, 1e-4);
  const ends = [unlikely, slope(1, 1e-4), slope(least, 1), slope(1, 1)];
  const pull = (p: number) => (1 - p) * (alpha + beta * p * (unlikely - slope(p, 1)));
  return {
    probabilities: alpha > 0 ? Infinity : beta * Math.max(...ends.map(Math.abs)),
    logits: unlikely === Infinity ? Infinity : maximum(pull, 0, 1),
  };
}

export function checkNumber(
  name: string,
  value: unknown,
  ok: (n: number) => boolean,
  expected: string,
) {
  check(name, value, typeof value === 'number' && ok(value), expected);
}

export function checkMode(mode: unknown, name: string): void {
  check('mode', mode, mode === 'paper' || mode === 'reference', 'paper or reference');
  check('mode', mode, mode === 'paper' || name !== 'custom', 'paper for a custom loss');
}

function checkSmoothing(value: number): number {
  checkNumber('labelSmoothing', value, (n) => n >= 0 && n < 1, 'in [0, 1)');
  return value;
}
