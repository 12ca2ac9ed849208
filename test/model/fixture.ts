import { readFileSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';

/** What scripts/t5_parity.py wrote into expected.json; the fields are explained there. */
export interface Expected {
  inputIds: number[][];
  attentionMask: number[][];
  decoderInputIds: number[][];
  logits: number[];
  encoderHidden: number[][];
  greedy: number[][];
  beams: number[][];
}

/** relu with tied embeddings; gated-gelu with a head of its own and fewer decoder blocks. */
export const fixtures = ['t5-relu', 't5-gated'] as const;

export const fixturePath = (name: string) =>
  fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));

export function expectedOf(name: string): Expected {
  return JSON.parse(readFileSync(join(fixturePath(name), 'expected.json'), 'utf8'));
}

/** The rows of a batch without their padding. */
export function unpadded(ids: number[][], mask: number[][]): number[][] {
  return ids.map((row, i) => row.filter((_, j) => mask[i]![j] === 1));
}

/** Largest difference of two arrays, as a share of the largest number expected. */
export function difference(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.is(found.length, expected.length, 'lengths differ');
  let largest = 0;
  let scale = 0;
  for (let i = 0; i < found.length; i++) {
    const gap = Math.abs(found[i]! - expected[i]!);
    largest = Number.isNaN(gap) ? Number.NaN : Math.max(largest, gap);
    scale = Math.max(scale, Math.abs(expected[i]!));
  }
  return largest / scale;
}

export function isClose(found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) {
  const gap = difference(found, expected);
  assert.ok(gap <= tolerance, `differs by ${gap}, more than ${tolerance}`);
}

/** Calls `use` with a copy of a fixture that it may spoil. */
export async function withCopy(name: string, use: (directory: string) => Promise<void>) {
  const folder = await mkdtemp(join(tmpdir(), 'dece-'));
  try {
    const directory = join(folder, name);
    await cp(fixturePath(name), directory, { recursive: true });
    await use(directory);
  } finally {
    await rm(folder, { recursive: true });
  }
}
