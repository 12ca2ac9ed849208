import { check } from '../check.ts';

/** The standard normal distribution holds 95 % between −z and z. */
const z = 1.959963984540054;

/**
 * The 95 % interval of a share that was counted as `successes` of `trials`. Unlike the usual
 * mean ± error it stays within 0..1, and has a width at 0 and at 1.
 *
 * @throws RangeError on counts that are not whole, or more successes than trials
 * @see Wilson, 1927, https://doi.org/10.1080/01621459.1927.10502953
 *
 * @example
 * wilson(0, 165); // [0, 0.0228]
 */
export function wilson(successes: number, trials: number): [low: number, high: number] {
  check('trials', trials, Number.isInteger(trials) && trials >= 1, 'a whole number, at least 1');
  const possible = Number.isInteger(successes) && successes >= 0 && successes <= trials;
  check('successes', successes, possible, `a whole number, 0..${trials}`);
  const share = successes / trials;
  const centre = share + z ** 2 / (2 * trials);
  const reach = z * Math.sqrt((share * (1 - share)) / trials + (z / (2 * trials)) ** 2);
  const scale = 1 + z ** 2 / trials;
  return [
    successes === 0 ? 0 : (centre - reach) / scale,
    successes === trials ? 1 : (centre + reach) / scale,
  ];
}
