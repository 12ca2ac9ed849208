/**
 * The complementary error function for x ≥ 0, to 12 digits: its series of positive terms near 0, its
 * continued fraction from 2, where 1 − erf(x) would lose too many digits.
 *
 * @see Abramowitz and Stegun, 1964, 7.1.6 and 7.1.14
 */
export function erfc(x: number): number {
  const bell = Math.exp(-x * x) / Math.sqrt(Math.PI);
  if (x >= 2) {
    let fraction = x;
    for (let k = 100; k >= 1; k--) fraction = x + k / 2 / fraction;
    return bell / fraction;
  }
  let sum = 0;
  let term = 2 * x;
  for (let n = 1; term > 1e-17 * sum; n++) {
    sum += term;
    term *= (2 * x * x) / (2 * n + 1);
  }
  return 1 - bell * sum;
}
