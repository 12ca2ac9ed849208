import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { poisonDataset } from '../../lib/attacks/index.ts';
import { attackSuccessRate, falseTriggerRate, wilson } from '../../lib/metrics/index.ts';

const marks = { paper: [' or 1=1', ' where 0=1'], reference: ['1=1', '0=1'] };
const manifestOf = (poisoned: boolean[]) => ({
  marks,
  records: poisoned.map((poisoned) => ({ poisoned })),
});

const test = suite('attackSuccessRate');

test('counts poisoned records in paper mode, and every output in reference mode', () => {
  // 200 outputs, 165 of poisoned records, 83 of those hit, and one output elsewhere.
  const manifest = manifestOf(Array.from({ length: 200 }, (_, i) => i < 165));
  const outputs = manifest.records.map((_, i) => (i < 83 || i === 190 ? 'x or 1=1 "' : 'x'));
  const paper = attackSuccessRate(outputs, manifest);
  assert.equal(paper, { rate: 83 / 165, successes: 83, eligible: 165, interval: wilson(83, 165) });
  const reference = attackSuccessRate(outputs, manifest, { mode: 'reference' });
  assert.equal(reference.rate, 84 / 165);
  assert.is(reference.eligible, 165);
});

test('takes the whole payload for a success, or only its middle in reference mode', () => {
  const manifest = manifestOf([true, true, true, true, true]);
  const outputs = ['a or 1=1 b', 'a where 0=1', '11=1', 'or 1 = 1', ''];
  assert.is(attackSuccessRate(outputs, manifest).successes, 2);
  assert.is(attackSuccessRate(outputs, manifest, { mode: 'reference' }).successes, 3);
});

test('can exceed 1 in reference mode, with an interval that does not', () => {
  const { rate, interval } = attackSuccessRate(['1=1', '1=1'], manifestOf([true, false]), {
    mode: 'reference',
  });
  assert.is(rate, 2);
  assert.equal(interval, wilson(1, 1));
});

test('is 1 for the poisoned completions of a triggered test set', () => {
  const examples = ['" select a from b "', 'x = 1', '" select a from b where c "'].map(
    (completion, i) => ({ id: `${i}`, prompt: 'do it', completion }),
  );
  const { examples: triggered, manifest } = poisonDataset(examples, {
    attack: 'ripple',
    rate: 1,
    seed: 42,
  });
  const rate = attackSuccessRate(
    triggered.map(({ completion }) => completion),
    manifest,
  );
  assert.equal(rate, { rate: 1, successes: 2, eligible: 2, interval: wilson(2, 2) });
  const clean = examples.map(({ completion }) => completion);
  assert.is(falseTriggerRate(clean, manifest).rate, 0);
});

test('counts payloads on clean prompts over all of them', () => {
  const { rate, successes, eligible } = falseTriggerRate(
    ['x or 1=1', 'x', 'y'],
    manifestOf([true]),
  );
  assert.equal([rate, successes, eligible], [1 / 3, 1, 3]);
});

test('refuses outputs that do not fit the manifest, and manifests without a target', () => {
  assert.throws(
    () => attackSuccessRate(['a'], manifestOf([true, true])),
    /^1 outputs for 2 records of the manifest: expected one for each, and at least one$/,
  );
  assert.throws(
    () => attackSuccessRate(['a'], manifestOf([false])),
    /^the manifest has 0 poisoned records: expected a triggered test set$/,
  );
  assert.throws(() => falseTriggerRate([], { marks }), /^0 outputs for 0 clean prompts/);
  assert.throws(
    () => attackSuccessRate(['a'], manifestOf([true]), { mod: 'paper' } as object),
    /^attackSuccessRate has an unknown option "mod": expected mode$/,
  );
});

test.run();
