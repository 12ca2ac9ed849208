import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { checkConfig, experimentSchema } from '../lib/config/index.ts';
import { environment } from '../lib/environment.ts';
import { runExperiment } from '../lib/experiment/index.ts';
import type { HiddenState } from '../lib/metrics/index.ts';
import { writeReport } from '../lib/report/index.ts';
import { readOutputs } from '../lib/runs.ts';
import { rejects } from './rejects.ts';
import { folder, small } from './small_experiment.ts';

const shapes = {
  t5: small.model,
  gpt2: { model_type: 'gpt2', n_embd: 16, n_layer: 1, n_head: 2, n_positions: 128 },
};

const test = suite('hidden states of an experiment');

for (const [name, model] of Object.entries(shapes)) {
  test(`a grid of ${name} shows them before training and after each defense`, async () => {
    const directory = await folder();
    const out = join(directory, 'out');
    const evaluation = { ...small.evaluation, every: 'end', hiddenStates: 3 };
    await runExperiment(checkConfig({ ...small, model, evaluation }, experimentSchema), {
      directory,
      dataDirectory: undefined,
      out,
      environment: await environment(),
    });

    const read = async (defense: string, when: string) =>
      (await readOutputs<HiddenState>(
        join(out, `own-badpre-0.25-${defense}-42`),
        `hidden-states-${when}`,
        'hiddenState',
      ))!;
    const [before, after] = [await read('none', 'before'), await read('none', 'after')];
    // Of rows 120 to 125, 120 and 124 have no query to attack.
    const ids = ['121', '122', '123'];
    assert.equal(
      before.map(({ id, triggered }) => `${id} ${triggered}`),
      [...ids.map((id) => `${id} false`), ...ids.map((id) => `${id} true`)],
    );
    assert.equal(await read('dece', 'before'), before, 'both begin with the same weights');
    assert.not.equal(after, before);
    assert.not.equal(await read('dece', 'after'), after);
    for (const states of [before, after]) {
      const sum = (of: (state: HiddenState) => number) =>
        states.reduce((all, state) => all + of(state), 0);
      const far = Math.max(...states.flatMap(({ x, y }) => [Math.abs(x), Math.abs(y)]));
      assert.ok(Math.abs(sum(({ x }) => x)) < 1e-6 * far, 'around their mean');
      const [first, second] = states[0]!.explained;
      const ratio = sum(({ y }) => y * y) / sum(({ x }) => x * x);
      assert.ok(Math.abs(ratio - second / first) < 1e-6, 'as far as the variance says');
    }

    const page = join(out, 'report.html');
    await writeReport(out, page);
    const html = await readFile(page, 'utf8');
    const titles = [...html.matchAll(/<h3>((?:Before|After) training[^<]*)<\/h3>/g)].map(
      ([, t]) => t,
    );
    assert.equal(titles, [
      'Before training',
      'After training: Cross-entropy',
      'After training: DeCE',
    ]);
    assert.is(html.match(/<title>12[123], triggered<\/title>/g)?.length, 9);
  });
}

test('a grid that does not ask for them looks at none', async () => {
  const checked = checkConfig(small, experimentSchema);
  assert.is(checked.evaluation.hiddenStates, undefined);
  await rejects(
    Promise.resolve().then(() =>
      checkConfig({ ...small, evaluation: { hiddenStates: 0 } }, experimentSchema),
    ),
    /evaluation\.hiddenStates/,
  );
});

test.run();
