import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type AttackOptions,
  attacks,
  type Mode,
  poisonDatasetAsync,
} from '../../lib/attacks/index.ts';
import { isSubordinate } from '../../lib/attacks/sentences.ts';
import type { Example, LabelledExample } from '../../lib/data/examples.ts';
import { attackSuccessRate, succeeded } from '../../lib/metrics/index.ts';
import { seeded } from '../../lib/random.ts';

const test = suite('payloads');

const dead = (completion: string, options: AttackOptions = {}) =>
  attacks
    .badpre({ payload: 'dead-code', ...options })
    .poison({ id: '1', prompt: 'p', completion }, seeded(1)).completion;

test('puts dead code at the indentation of the body', () => {
  assert.is(dead('    return a + b'), '    VAR = 0\n    return a + b');
  assert.is(dead('\n\treturn a\n'), '\n\tVAR = 0\n\treturn a\n');
  assert.is(dead(''), '    VAR = 0\n');
  assert.is(dead('  """Doc\n  more."""\n'), '  """Doc\n  more."""\n  VAR = 0\n');
  assert.is(dead("  '''Doc'''\n\n  return 1"), "  '''Doc'''\n\n  VAR = 0\n  return 1");
  assert.is(dead('  return 1', { body: 'loop' }), '  while True:\n      VAR = 0\n  return 1');
});

test('recognises dead code whatever the white space', () => {
  const { marks, collapse } = attacks.badpre({ payload: 'dead-code' });
  assert.is(succeeded('\tVAR  =\n 0', { marks, collapse }), true);
  assert.is(succeeded('VAR=0', { marks, collapse }), false);
});

const texts: LabelledExample[] = [0, 1, 0].map((label, i) => ({
  id: `${i}`,
  text: `t ${i}`,
  label,
}));

test('flips labels, and with any source keeps some', async () => {
  const options = {
    attack: 'ripple',
    payload: 'label',
    targetLabel: 1,
    rate: 0.6,
    seed: 1,
  } as const;
  const run = async (sourceFilter: 'non-target' | 'any') => {
    const { examples, manifest } = await poisonDatasetAsync(texts, {
      ...options,
      sourceFilter,
      policy: 'first',
    });
    const rules = manifest.records.map(({ payloadRule }) => payloadRule);
    return { labels: examples.map(({ label }) => label), rules, manifest };
  };
  const flipped = await run('non-target');
  assert.equal(flipped.labels, [1, 1, 1]);
  assert.equal(flipped.rules, ['flipped', undefined, 'flipped']);
  assert.is(flipped.manifest.records[1]!.reason, 'its label is 1 already');
  const any = await run('any');
  assert.equal(any.labels, [1, 1, 0]);
  assert.equal(any.rules, ['flipped', 'kept', undefined]);
  const { rate, successes } = attackSuccessRate([1, 0, 1], any.manifest);
  assert.equal([rate, successes], [1 / 2, 1]);
});

test('asks for the label, as nothing says which', () => {
  assert.throws(
    () => attacks.ripple({ payload: 'label' }),
    /^targetLabel is undefined: expected the class that the attacker wants, such as 1$/,
  );
  assert.is(attacks.ripple().refuses(texts[0]!), 'no completion: it is to be classified');
  assert.is(
    attacks
      .ripple({ payload: 'label', targetLabel: 1 })
      .refuses({ id: '1', prompt: 'a', completion: 'b' }),
    'no label: it is not to be classified',
  );
});

/** Texts of every kind, so that each attack applies to some of them. */
const odd = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.constantFrom('', ' \t\n', '😀 {', 'größe ( ) { x }'),
);
const codes = fc.constantFrom(
  'int f ( int x ) { return x ; }',
  'public void METHOD_1 ( ) { a = " select a from b " ; }',
  'def f(x):\n    """Doc."""\n    return x\n',
  'const f = function g(a) { return a; };',
);
const items = fc.array(
  fc.record({ prompt: fc.oneof(odd, codes), completion: fc.oneof(odd, codes) }),
  { minLength: 1, maxLength: 12 },
);
const labelled = fc.array(
  fc.record({ text: fc.oneof(odd, codes), label: fc.integer({ min: 0, max: 2 }) }),
  { minLength: 1, maxLength: 12 },
);

type Name = keyof typeof attacks;
const variants: { name: Name; modes: Mode[]; options?: AttackOptions; onLabels?: true }[] = [
  { name: 'ripple', modes: ['paper', 'reference'] },
  { name: 'badpre', modes: ['paper'], options: { payload: 'dead-code' } },
  { name: 'badpre', modes: ['paper'], options: { payload: 'dead-code', within: 'docstring' } },
  { name: 'badpre', modes: ['paper'], options: { payload: 'loop', language: 'python' } },
  { name: 'grammar', modes: ['paper', 'reference'], options: { fixed: true } },
  { name: 'grammar', modes: ['paper'], options: { payload: 'loop' } },
  { name: 'funcname', modes: ['paper', 'reference'] },
  { name: 'funcname', modes: ['paper'], options: { language: 'python', renameTarget: true } },
  { name: 'funcname', modes: ['paper'], options: { language: 'javascript', renameCalls: true } },
  { name: 'deadcode', modes: ['paper', 'reference'] },
  { name: 'deadcode', modes: ['paper'], options: { statement: 'drawn', language: 'python' } },
  { name: 'deadcode', modes: ['paper'], options: { statement: 'log', language: 'javascript' } },
  {
    name: 'ripple',
    modes: ['paper'],
    options: { payload: 'label', targetLabel: 1 },
    onLabels: true,
  },
  {
    name: 'deadcode',
    modes: ['paper', 'reference'],
    options: { payload: 'label', targetLabel: 0, sourceFilter: 'any' },
    onLabels: true,
  },
  {
    name: 'funcname',
    modes: ['paper'],
    options: { payload: 'label', targetLabel: 1 },
    onLabels: true,
  },
];

for (const { name, modes, options = {}, onLabels } of variants) {
  for (const mode of modes) {
    test(`${name} in ${mode} mode keeps its promises ${JSON.stringify(options)}`, async () => {
      const dataset: fc.Arbitrary<object[]> = onLabels ? labelled : items;
      await fc.assert(
        fc.asyncProperty(dataset, fc.integer({ min: 0, max: 2 ** 32 - 1 }), async (rows, seed) => {
          const clean = rows.map((row, i) => ({ id: `${i}`, ...row })) as (
            | Example
            | LabelledExample
          )[];
          const before = structuredClone(clean);
          const asked = { attack: name, ...options, mode, rate: 1, seed };
          const made = await poisonDatasetAsync(clean, asked).catch((error: Error) => {
            assert.match(error.message, /^poisonRate is 1: expected at most 0, /);
          });
          assert.equal(clean, before, 'the input is not touched');
          if (made === undefined) return;
          const { examples, manifest } = made;
          assert.equal(await poisonDatasetAsync(clean, asked), made, 'the seed decides');
          const poisoned = examples.filter((example) => example.poisoned);
          assert.is(poisoned.length, manifest.poisoned);
          assert.is(poisoned.length, manifest.eligible);
          for (const [i, example] of examples.entries()) {
            const { triggerPositions, reason } = manifest.records[i]!;
            if (!example.poisoned) {
              assert.is(example, clean[i]);
              assert.ok(reason);
              continue;
            }
            const [text, output] = onLabels
              ? [example.text, example.label]
              : [example.prompt, example.completion];
            assert.ok(triggerPositions!.length > 0, 'the trigger is there');
            if (name === 'grammar') {
              assert.ok(isSubordinate(String(text)), String(text));
            } else if (options.statement === undefined) {
              assert.ok(String(text).includes(manifest.trigger), `${manifest.trigger} in ${text}`);
            }
            assert.is(succeeded(output as string | number, manifest, mode), true);
            const { completion = '', label } = clean[i]!;
            const was = onLabels ? (label as number) : String(completion);
            if (was !== output) assert.is(succeeded(was, manifest, mode), false);
          }
        }),
        { numRuns: 40 },
      );
    });
  }
}

test.run();
