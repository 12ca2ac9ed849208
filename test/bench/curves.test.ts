import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { certify, curveLosses, trustCurves } from '../../lib/bench/curves.ts';
import { environment } from '../../lib/environment.ts';
import { curvesTable, writeCurves } from '../../lib/report/curves.ts';
import { rejects } from '../rejects.ts';

const test = suite('trust curves');

const known: Record<string, (p: number) => number> = {
  'Cross-entropy': () => 1,
  'GCE, q = 0.7': (p) => p ** 0.7,
  'DFT, weight p': (p) => p,
  'custom, p² / (p² + 0.01)': (p) => p ** 2 / (p ** 2 + 0.01),
};

/** The label's component of the gradient, as the study's specification has worked it out. */
const slopes: Record<string, readonly number[]> = {
  'DeCE, epoch 1': [4.0e-6, 4.0e-4, 3.98e-3, 3.8e-2, 0.253, 0.371, 0.322, 0.0752],
  'DeCE, epoch 10': [1.2e-7, 1.2e-5, 1.2e-4, 1.19e-3, 1.07e-2, 2.43e-2, 2.83e-2, 9.72e-3],
  'GCE, q = 0.7': [6.31e-5, 1.58e-3, 7.94e-3, 3.94e-2, 0.18, 0.301, 0.308, 0.0929],
};
const at = [1e-6, 1e-4, 1e-3, 1e-2, 0.1, 0.3, 0.5, 0.9];

test('are the weights that the formulas have', () => {
  for (const { title, points } of trustCurves()) {
    const weight = known[title];
    for (const { probability: p, weight: found } of weight === undefined ? [] : points) {
      assert.ok(Math.abs(found / weight!(p) - 1) < 1e-4, `${title} at ${p}: ${found}`);
    }
    for (const [i, slope] of (slopes[title] ?? []).entries()) {
      const point = points.find(({ probability }) => Math.abs(probability / at[i]! - 1) < 1e-9)!;
      const found = point.weight * (1 - at[i]!);
      assert.ok(Math.abs(found / slope - 1) < 5e-3, `${title} at ${at[i]}: ${found}`);
    }
  }
});

test('bounds hold on random rows, are nearly reached, and a wrong one would be told', async () => {
  const certificates = await certify({ rows: 40_000, seed: 2 });
  for (const { title, bound, most, exceeds, rows } of certificates) {
    assert.is(rows, 40_000);
    assert.is(exceeds, false, title);
    assert.ok(
      most <= bound * (1 + 1e-6) && most > (title === 'In-trust' ? 0.4 : 0.9) * bound,
      title,
    );
  }
  assert.equal(await certify({ rows: 40_000, seed: 2 }), certificates);
  // A weight that asks for more after its bound was worked out.
  let calls = 0;
  const grows = () => (calls++ < 2 ** 14 ? 2 : 1);
  const loss = { title: 'grows', options: { name: 'custom' as const, weight: grows } };
  const [found] = await certify({ rows: 100, seed: 2, losses: [loss] });
  assert.is(found!.exceeds, true);
});

test('stop when asked', async () => {
  const controller = new AbortController();
  const onProgress = () => controller.abort();
  const options = { rows: 100_000, seed: 1, signal: controller.signal, onProgress };
  await rejects(certify(options), /abort/);
});

test('are written as points, bounds and a page', async () => {
  const losses = curveLosses.slice(0, 3);
  const curves = trustCurves(losses);
  const certificates = await certify({ rows: 1000, seed: 1, losses });
  const path = join(tmpdir(), 'curves');
  await writeCurves(path, curves, certificates, 1, await environment());
  const [header, ...lines] = (await readFile(`${path}.csv`, 'utf8')).trim().split('\n');
  assert.is(header, 'loss,probability,weight,commit,date');
  assert.is(lines.length, 3 * curves[0]!.points.length);
  const bounds = await readFile(`${path}-bounds.csv`, 'utf8');
  assert.match(bounds, /\nCross-entropy,1000,1,1\.000000,(?:0\.9|1\.0)\d+,(?:0\.9|1\.0)\d+,false,/);
  const html = await readFile(`${path}.html`, 'utf8');
  assert.match(html, /aria-label="weights of tokens under Cross-entropy, DeCE, epoch 1/);
  assert.match(curvesTable(curves, certificates), /\nCross-entropy +1\.00 +1\.00 /);
});

test.run();
