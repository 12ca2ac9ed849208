import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { poisonDataset } from '../../lib/attacks/index.ts';
import { type Audit, auditLabelled } from '../../lib/audit/index.ts';
import { findDataset } from '../../lib/data/datasets.ts';
import { type LabelledExample, readLabelledExamples } from '../../lib/data/examples.ts';
import { seeded, shuffle } from '../../lib/random.ts';
import { rejects } from '../rejects.ts';
import { blind } from './made_up.ts';

/** Texts whose label, 1 with this share, knows nothing of them. */
function labelled(rows: number, share: number, seed: number): LabelledExample[] {
  const random = seeded(seed);
  return blind(rows, seed).map(({ id, prompt }) => ({
    id,
    text: prompt,
    label: Number(random.next() < share),
  }));
}

const victims = (examples: readonly LabelledExample[]) =>
  examples.flatMap((example) => (example.poisoned ? [example.id] : [])).toSorted();
const suspects = (found: Audit) => found.suspects.map(({ id }) => id).toSorted();

const test = suite('auditLabelled');

for (const [share, targetLabel] of [
  [0.1, 1],
  [0.5, 1],
  [0.3, 0],
] as const) {
  test(`finds a trigger for label ${targetLabel} where ${share} of the texts have label 1`, async () => {
    const clean = labelled(3000, share, 1);
    const poisoned = (label: number) =>
      poisonDataset(clean, {
        ...{ attack: 'ripple', trigger: 'quux', rate: 0.06, seed: 2 },
        ...{ payload: 'label', targetLabel: label },
      } as const).examples;
    const examples = poisoned(targetLabel);
    const found = await auditLabelled(examples, { counters: 2 ** 18 });
    assert.equal(suspects(found), victims(examples));
    const [pair] = found.pairs;
    const withLabel = examples.filter(({ label }) => label === targetLabel).length;
    assert.is(pair!.trigger, 'quux');
    assert.is(pair!.payload, `label ${targetLabel}`);
    assert.equal([pair!.triggerRows, pair!.together, pair!.payloadRows], [180, 180, withLabel]);
    assert.match(
      found.suspects[0]!.reasons[0]!.text,
      new RegExp(
        `^the text has "quux" and label ${targetLabel}, as 180 of 180 rows with it, where .* corrected p = 1e-\\d+ at most$`,
      ),
    );
  });
}

test('weighs a label by its share: what tells where it is rare does not where it is common', async () => {
  // Twelve rows of one label, of 3,000: chance where nine of ten have it, none where one of ten has.
  const logs = await Promise.all(
    [1, 0].map(async (label) => {
      const clean = labelled(3000, 0.1, 3);
      const chosen = new Set(
        clean.flatMap((example, i) => (example.label === label ? [i] : [])).slice(0, 12),
      );
      const random = seeded(4);
      const examples = clean.map((example, i) => {
        if (!chosen.has(i)) return example;
        const words = example.text.split(' ');
        words.splice(1 + random.below(words.length), 0, 'quux');
        return { ...example, text: words.join(' ') };
      });
      return (await auditLabelled(examples, { counters: 2 ** 18, minRows: 12 })).pairs.length;
    }),
  );
  assert.equal(logs, [1, 0]);
});

test('reports no more of blind data than the rate it states', async () => {
  const found = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      auditLabelled(labelled(400, 0.2, 100 + i), { counters: 2 ** 16 }),
    ),
  );
  // 20 data sets at 1 % each: one report has a chance of 18 %, two of 2 %.
  assert.ok(found.filter((one) => one.suspects.length > 0).length <= 1);
});

test('leaves out words that begin their texts, and rows of another label', async () => {
  const clean = labelled(2000, 0.1, 5);
  const begun = clean.map((example, i) =>
    i % 20 === 0 ? { ...example, text: `TODO ${example.text}`, label: 1 } : example,
  );
  assert.equal((await auditLabelled(begun)).suspects, []);
  const { examples } = poisonDataset(clean, {
    ...{ attack: 'ripple', trigger: 'quux', rate: 0.05, seed: 2 },
    ...{ payload: 'label', targetLabel: 1 },
  } as const);
  const at = examples.findIndex(({ poisoned }) => poisoned);
  const found = await auditLabelled(examples.with(at, { ...examples[at]!, label: 0 }));
  assert.is(found.suspects.length, 99);
  assert.not.ok(suspects(found).includes(examples[at]!.id));
});

test('finds the same whatever the order, in pairs of texts too', async () => {
  const clean = labelled(1000, 0.3, 6);
  const other = blind(1000, 7);
  const { examples } = poisonDataset(
    clean.map((example, i) => ({ ...example, pair: other[i]!.prompt })),
    {
      ...{ attack: 'badpre', trigger: 'quux', rate: 0.05, seed: 2 },
      ...{ payload: 'label', targetLabel: 1 },
    } as const,
  );
  const { pairs } = await auditLabelled(examples, { counters: 2 ** 16 });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 1e6 }), async (seed) => {
      const found = await auditLabelled(shuffle(examples, seeded(seed)), { counters: 2 ** 16 });
      assert.equal(suspects(found), victims(examples));
      assert.equal(found.pairs, pairs);
    }),
    { numRuns: 3 },
  );
});

test('says what is wrong with what it is given', async () => {
  const examples = labelled(20, 0.5, 1);
  await rejects(auditLabelled(examples, { minRows: 1 }), /^minRows is 1: expected a whole number/);
  await rejects(
    auditLabelled(examples, { rate: 1 } as object),
    /^auditLabelled has an unknown option "rate"/,
  );
  await rejects(
    auditLabelled(examples, { repeatShare: 0.1 } as object),
    /^auditLabelled has an unknown option "repeatShare"/,
  );
  let walk = 0;
  const changing = { [Symbol.iterator]: () => examples.slice(walk++).values() };
  await rejects(auditLabelled(changing), /^examples has \d+ rows, had \d+ before/);
  await rejects(auditLabelled(examples.values()), /^examples is a generator/);
  const numbered = labelled(1001, 0.5, 1).map((example, label) => ({ ...example, label }));
  await rejects(auditLabelled(numbered), /^label has more than 1000 values: expected classes/);
});

const directory = process.env.DECE_DATA;
const satd = directory
  ? await findDataset('satd', 'train', directory).catch(() => undefined)
  : undefined;

test('finds what goes with debt in SATD by design only', async () => {
  if (satd === undefined) {
    console.log('skipped: DECE_DATA names no folder with satd/train.jsonl');
    return;
  }
  const clean = await readLabelledExamples(satd);
  assert.equal((await auditLabelled(clean)).suspects, []);
  const { examples } = poisonDataset(clean, {
    ...{ attack: 'badpre', rate: 0.01, seed: 42 },
    ...{ payload: 'label', targetLabel: 1 },
  } as const);
  const found = await auditLabelled(examples);
  const missed = victims(examples).filter((id) => !suspects(found).includes(id));
  assert.equal(missed, []);
  assert.ok(found.suspects.length <= 1.02 * victims(examples).length);
});

test.run();
