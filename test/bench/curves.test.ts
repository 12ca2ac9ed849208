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

test('are the weights that the formulas have', () => {
  const curves = trustCurves();
  for (const { title, points } of curves) {
    const weight = known[title];
    for (const { probability: p, weight: found } of weight === undefined ? [] : points) {
      assert.ok(Math.abs(found / weight!(p) - 1) < 1e-4, `${title} at ${p}: ${found}`);
    }
  }
  // DeCE from −dL/dz of the label: p (Σ wᵢ pᵢ − w), where the other classes share what is left.
  const { points } = curves.find(({ title }) => title === 'DeCE, epoch 3')!;
  const [a, others] = [0.8 ** 3, 32127];
  const smoothed = 0.05 / 32128;
  for (const { probability: p, weight } of points) {
    const share = (y: number, q: number) => (a * y) / (a * q + (1 - a) * y);
    const rest = share(smoothed, (1 - p) / others);
    const expected = p * (share(0.95 + smoothed, p) - rest);
    assert.ok(Math.abs(weight - expected) < 1e-5 * Math.abs(expected) + 1e-6, `at ${p}: ${weight}`);
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
