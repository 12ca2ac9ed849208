import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pca, pcaOfHiddenStates } from '../../lib/metrics/index.ts';
import { Model } from '../../lib/model/index.ts';
import { rejects } from '../rejects.ts';

interface Answer {
  components: number[][];
  scores: number[][];
  explained: number[];
}

/** Made by scripts/pca_golden.py. */
const fixtures = new URL('../fixtures/', import.meta.url);
const golden = JSON.parse(readFileSync(new URL('pca.json', fixtures), 'utf8')) as {
  matrices: (Answer & { rows: number[][]; count: number })[];
  models: (Answer & { directory: string; clean: number[][]; triggered: number[][] })[];
};

function areClose(found: readonly number[], wanted: readonly number[], within: number): void {
  assert.is(found.length, wanted.length);
  const far = Math.max(...found.map((value, i) => Math.abs(value - wanted[i]!)));
  assert.ok(far <= within, `${far} apart: expected at most ${within}`);
}

const test = suite('pca');

test("has scikit-learn's components, scores and shares of the variance", () => {
  assert.is(golden.matrices.length, 8);
  for (const { rows, count, components, scores, explained } of golden.matrices) {
    const found = pca(rows, count);
    areClose(found.components.flat(), components.flat(), 1e-9);
    areClose(found.scores.flat(), scores.flat(), 1e-9);
    areClose(found.explained, explained, 1e-12);
  }
});

test('scores do not depend on where the rows lie, and lose nothing where all components are kept', () => {
  const value = fc.double({ min: -10, max: 10, noNaN: true });
  fc.assert(
    fc.property(fc.array(fc.tuple(value, value, value), { minLength: 4, maxLength: 9 }), (rows) => {
      const { scores } = pca(rows, 3);
      const moved = pca(
        rows.map((row) => row.map((x) => x + 3)),
        3,
      );
      const apart = (points: readonly (readonly number[])[]) =>
        points.map((point) => Math.hypot(...point.map((x, i) => x - points[0]![i]!)));
      areClose(apart(scores), apart(rows), 1e-5);
      areClose(apart(moved.scores), apart(rows), 1e-5);
    }),
  );
});

test('rows that are all equal have no directions', () => {
  const { components, scores, explained } = pca([[1, 2, 3], [1, 2, 3]], 2); // biome-ignore format: a matrix
  assert.equal([...components, ...scores].flat().every((x) => x === 0), true); // biome-ignore format: one claim
  assert.equal(explained, [0, 0]);
});

test('refuses rows that are no matrix', () => {
  assert.throws(() => pca([[1, 2]]), /^rows is 1: expected at least two$/);
  assert.throws(() => pca([[1, 2], [3]]), /^the length of rows\[1\] is 1: expected 2$/); // biome-ignore format: one claim
  assert.throws(() => pca([[1, 2], [3, Number.NaN]]), /^rows\[1\]\[1\] is NaN: expected a finite number$/); // biome-ignore format: one claim
  assert.throws(() => pca([[1, 2], [3, 4]], 3), /^count is 3: expected 1\.\.2$/); // biome-ignore format: one claim
});

for (const { directory, clean, triggered, scores, explained } of golden.models) {
  test(`${directory} has the hidden states of transformers, as scikit-learn sees them`, async () => {
    using model = await Model.load(new URL(directory, fixtures).pathname, { device: 'cpu' });
    const found = await pcaOfHiddenStates(model, clean, triggered);
    areClose([...found.clean, ...found.triggered].flat(), scores.flat(), 2e-5);
    areClose(found.explained, explained, 1e-5);
    assert.is(found.clean.length, clean.length);
    const first = await pcaOfHiddenStates(model, clean, triggered, { layer: 0 });
    assert.not.equal(first.clean, found.clean, 'another layer');
  });
}

test('refuses a single prompt, layers that are not there and unknown options', async () => {
  using model = await Model.load(new URL('models/gpt2', fixtures).pathname, { device: 'cpu' });
  await rejects(
    pcaOfHiddenStates(model, [[3]], []),
    /^clean and triggered is 1: expected at least two prompts together$/,
  );
  await rejects(
    pcaOfHiddenStates(model, [[3]], [[4]], { layer: 9 }),
    /^layer is 9: expected 0\.\.2$/,
  );
  await rejects(
    pcaOfHiddenStates(model, [[3]], [[4]], { layers: 1 } as object),
    /^pcaOfHiddenStates has an unknown option "layers"/,
  );
});

test.run();
