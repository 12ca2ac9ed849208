import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { measure } from '../../lib/bench/index.ts';
import { makeProblem, ownProviders } from '../../lib/bench/providers.ts';

const test = suite('the speed of the losses');

// Ratios within interleaved rounds, of the fastest rounds: what a busy machine disturbs least. The limits
// are far above what is measured, and far below what a lost vectorization or an extra pass costs.
test('DeCE costs a few copies of the logits, and little more than cross-entropy', async () => {
  const problem = makeProblem(128, 32128, 1);
  const providers = ownProviders(problem);
  const options = { shapes: [], threads: 1, rounds: 9, torch: false };
  const told = { missing: [], wrong: [] };
  const found = await measure(problem, providers, options, told);
  assert.equal(told.missing, []);
  const least = (provider: string, options: RegExp) =>
    found.find((one) => one.provider === provider && options.test(one.options))!.least;
  const [copy, dece, ce] = [
    least('copy', /^$/),
    least('dece', /labelSmoothing=0\.05$/),
    least('ce', /^$/),
  ];
  assert.ok(dece < 3 * copy, `${dece} ms, a copy ${copy} ms`);
  assert.ok(dece < 2.5 * ce, `${dece} ms, cross-entropy ${ce} ms`);
  assert.ok(ce < 2.5 * copy, `${ce} ms, a copy ${copy} ms`);
});

test.run();
