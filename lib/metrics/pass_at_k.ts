import { check, checkList } from '../check.ts';

/** How many programs were written for a problem, and how many of them passed its tests. */
export interface Attempts {
  samples: number;
  correct: number;
}

/**
 * The chance, 0..1, that at least one of `k` programs drawn from `samples` is correct when `correct` of
 * them are: 1 − C(samples − correct, k) / C(samples, k), the unbiased estimate for one problem. It is
 * multiplied up factor by factor, as the binomials themselves overflow.
 *
 * @throws RangeError on counts that are not whole, more correct ones than samples, and more drawn than
 *   there are: with fewer than `k` samples there is no unbiased estimate
 * @see Chen et al., 2021, https://arxiv.org/abs/2107.03374
 *
 * @example
 * passAtK(10, 3, 5); // 0.9167
 */
export function passAtK(samples: number, correct: number, k: number): number {
  checkAttempts({ samples, correct }, k, '');
  return estimate({ samples, correct }, k);
}

/**
 * The mean of `passAtK` over problems: the pass@k of a benchmark. All its problems belong in it, those
 * without a correct program too.
 *
 * @throws RangeError as `passAtK`, and without problems
 *
 * @example
 * meanPassAtK([{ samples: 1, correct: 1 }, { samples: 1, correct: 0 }], 1); // 0.5
 */
export function meanPassAtK(problems: readonly Attempts[], k: number): number {
  checkList('problems', problems);
  check('the number of problems', problems.length, problems.length > 0, 'at least 1');
  for (const [i, attempts] of problems.entries()) checkAttempts(attempts, k, `problems[${i}].`);
  return problems.reduce((sum, attempts) => sum + estimate(attempts, k), 0) / problems.length;
}

function checkAttempts({ samples, correct }: Attempts, k: number, where: string): void {
  const counted = Number.isSafeInteger(samples) && samples >= 1;
  check(`${where}samples`, samples, counted, 'a whole number, at least 1');
  const possible = Number.isInteger(correct) && correct >= 0 && correct <= samples;
  check(`${where}correct`, correct, possible, `a whole number, 0..${samples}`);
  const drawable = Number.isInteger(k) && k >= 1 && k <= samples;
  check('k', k, drawable, `a whole number, 1..${samples}, as ${where}samples is ${samples}`);
}

function estimate({ samples, correct }: Attempts, k: number): number {
  if (samples - correct < k) return 1;
  let noneCorrect = 1;
  for (let i = samples - correct + 1; i <= samples; i++) noneCorrect *= 1 - k / i;
  return 1 - noneCorrect;
}
