import { readFileSync } from 'node:fs';
import * as assert from 'uvu/assert';

/** Part of what scripts/metrics_golden.py has written. */
export function golden<T>(part: string): T {
  const file = new URL('../fixtures/metrics.json', import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8'))[part];
}

/** `tolerance` is a share of `expected`. */
export function closeTo(actual: number, expected: number, what: string, tolerance = 1e-12) {
  const ok = Math.abs(actual - expected) <= tolerance * Math.abs(expected) || actual === expected;
  assert.ok(ok, `${what}: ${actual}, expected ${expected}`);
}
