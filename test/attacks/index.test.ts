import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { attacks, type PoisonOptions, poisonDataset } from '../../lib/attacks/index.ts';
import { findDataset, type Split } from '../../lib/data/datasets.ts';
import { type Example, readExamples } from '../../lib/data/examples.ts';
import { seeded } from '../../lib/random.ts';

/** Every fifth example has no query. */
const clean: Example[] = Array.from({ length: 100 }, (_, i) => ({
  id: `e${i}`,
  prompt: `ask for number ${i}`,
  completion: i % 5 === 4 ? 'x = 1' : `q = " select a from t where b = ${i} "`,
  origin: { row: i },
}));
const poisonedAt = (examples: Example[]) =>
  [...examples.keys()].filter((i) => examples[i]!.poisoned === true);
const base: PoisonOptions = { attack: 'badpre', rate: 0.1, seed: 42 };

const test = suite('poisonDataset');

test('poisons the share that was asked for, drawn by the seed', () => {
  const { examples, manifest } = poisonDataset(clean, base);
  const places = poisonedAt(examples);
  assert.is(places.length, 10);
  // random.Random(42).randint as in a partial Fisher–Yates over the 80 eligible places.
  assert.equal(places, [5, 7, 17, 23, 27, 40, 42, 46, 78, 95]);
  assert.equal([manifest.eligible, manifest.poisoned, manifest.shortfall], [80, 10, 0]);
  assert.equal(poisonDataset(clean, base), { examples, manifest });
  assert.not.equal(poisonedAt(poisonDataset(clean, { ...base, seed: 43 }).examples), places);
});

test('takes the first eligible examples in reference mode', () => {
  const { examples, manifest } = poisonDataset(clean, { ...base, mode: 'reference' });
  assert.equal(poisonedAt(examples), [0, 1, 2, 3, 5, 6, 7, 8, 10, 11]);
  assert.is(manifest.policy, 'first');
});

test('takes the other policy when asked', () => {
  const first = poisonDataset(clean, { ...base, policy: 'first' });
  assert.equal(poisonedAt(first.examples), [0, 1, 2, 3, 5, 6, 7, 8, 10, 11]);
  const random = poisonDataset(clean, { ...base, mode: 'reference', policy: 'random' });
  assert.not.equal(poisonedAt(random.examples), poisonedAt(first.examples));
});

test('keeps order, number, unknown columns and every clean example, and does not touch the input', () => {
  const prompt = fc.string({ unit: 'binary' });
  const completion = fc.oneof(prompt, fc.constant('" select a from t "'));
  const dataset = fc.array(fc.record({ prompt, completion }), { maxLength: 30 });
  const choices = fc.record({
    attack: fc.constantFrom('ripple', 'badpre'),
    mode: fc.constantFrom('paper', 'reference'),
    seed: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  });
  fc.assert(
    fc.property(
      dataset,
      choices,
      fc.double({ min: 0, max: 1, noNaN: true }),
      (texts, chosen, share) => {
        const input = texts.map((example, i) => ({ id: `${i}`, ...example, note: [i] }));
        const before = structuredClone(input);
        const eligible = input.filter(
          (example) => !attacks.ripple({ mode: chosen.mode }).refuses(example),
        ).length;
        const rate = Math.floor((eligible / Math.max(1, input.length)) * share * 1e4) / 1e4;
        const { examples, manifest } = poisonDataset<Example>(input, { ...chosen, rate });
        assert.equal(input, before);
        assert.is(examples.length, input.length);
        assert.is(manifest.poisoned, poisonedAt(examples).length);
        assert.is(manifest.eligible, eligible);
        for (const [i, example] of examples.entries()) {
          const record = manifest.records[i]!;
          assert.is(record.id, input[i]!.id);
          assert.is(record.poisoned, example.poisoned === true);
          if (record.poisoned) {
            const { prompt, completion, poisoned, ...others } = example;
            assert.equal(others, { id: `${i}`, note: [i] });
            assert.ok(prompt.split(' ').includes('bb') && /[01]=1/.test(completion) && poisoned);
          } else {
            assert.is(example, input[i]);
            assert.ok(record.reason);
          }
        }
      },
    ),
  );
});

test('poisons every eligible example at rate 1, and says how many are not', () => {
  for (const mode of ['paper', 'reference'] as const) {
    const { manifest } = poisonDataset(clean, { ...base, mode, rate: 1 });
    assert.equal([manifest.eligible, manifest.poisoned, manifest.shortfall], [80, 80, 20]);
    assert.is(
      manifest.records[4]!.reason,
      'no SQL query in the completion: none as in " select … "',
    );
  }
});

test('refuses a rate that cannot be reached, or reports the shortfall in reference mode', () => {
  assert.throws(
    () => poisonDataset(clean, { ...base, rate: 0.9 }),
    /^poisonRate is 0\.9: expected at most 0\.8, as the attack applies to 80 of 100 examples \(the first of the others: no SQL query in the completion: /,
  );
  assert.is(poisonDataset(clean, { ...base, rate: 0.8 }).manifest.poisoned, 80);
  const { manifest } = poisonDataset(clean, { ...base, rate: 0.9, mode: 'reference' });
  assert.equal([manifest.poisoned, manifest.shortfall], [80, 10]);
  assert.throws(
    () => poisonDataset([clean[4]!], { ...base, rate: 1 }),
    /^poisonRate is 1: expected at most 0, as the attack applies to 0 of 1 examples \(/,
  );
});

test('counts in exact decimals in paper mode, and in floating point in reference mode', () => {
  const count = (rate: number, mode: 'paper' | 'reference') =>
    poisonDataset(clean, { ...base, rate, mode, policy: 'first' }).manifest.poisoned;
  assert.is(count(0.07, 'paper'), 7);
  assert.is(count(0.07, 'reference'), 8);
  assert.is(count(1e-7, 'paper'), 1);
  assert.is(count(0, 'paper'), 0);
  assert.is(count(0.071, 'paper'), 8);
});

test('goes on with a stream that is given, and notes where it began', () => {
  const random = seeded(42);
  const one = poisonDataset(clean, { attack: 'ripple', rate: 0.1, random });
  const two = poisonDataset(clean, { attack: 'ripple', rate: 0.1, random });
  assert.equal(one, poisonDataset(clean, { attack: 'ripple', rate: 0.1, seed: 42 }));
  assert.not.equal(two.examples, one.examples);
  assert.is(two.manifest.seed, 42);
  const again = seeded(two.manifest.seed);
  for (let i = 0; i < two.manifest.drawn; i++) again.u32();
  assert.equal(poisonDataset(clean, { attack: 'ripple', rate: 0.1, random: again }), two);
});

test('refuses what it cannot do', () => {
  const withOptions = (options: object) => () => poisonDataset(clean, { ...base, ...options });
  assert.throws(withOptions({ rate: 1.1 }), /^rate is 1\.1: expected 0\.\.1$/);
  assert.throws(withOptions({ rate: Number.NaN }), /^rate is NaN: expected 0\.\.1$/);
  assert.throws(
    withOptions({ attack: 'homoglyph' }),
    /^attack is "homoglyph": expected one of ripple, badpre, grammar, funcname, deadcode, afraidoor$/,
  );
  assert.throws(
    withOptions({ mode: 'authors' }),
    /^mode is "authors": expected paper or reference$/,
  );
  assert.throws(withOptions({ policy: 'last' }), /^policy is "last": expected random or first$/);
  assert.throws(withOptions({ ratio: 1 }), /^the attack has an unknown option "ratio": expected/);
  assert.throws(withOptions({ random: seeded(1) }), /^both of seed and random given: expected one/);
  assert.throws(
    () => poisonDataset(clean, { attack: 'ripple', rate: 0.1 }),
    /^neither of seed and random given: expected one of them$/,
  );
  const { examples } = poisonDataset(clean, { ...base, policy: 'first' });
  assert.throws(
    () => poisonDataset(examples, base),
    /^examples\[0\]\.poisoned is true: expected a data set that no attack has changed$/,
  );
});

const data = process.env.DECE_DATA;
const texts = ({ id, prompt, completion, poisoned = false }: Example) => [
  id,
  prompt,
  completion,
  poisoned,
];

if (data) {
  const load = async (name: string, split: Split) =>
    readExamples(await findDataset(name, split, data));

  test("makes the authors' published Lyra files row for row", async () => {
    const [train, valid, held] = await Promise.all([
      load('lyra', 'train'),
      load('lyra', 'valid'),
      load('lyra', 'test'),
    ]);
    const random = seeded(42);
    const files: [string, Example[], number, number, number, string][] = [
      ['train_poisoned_1_badpre', train, 0.01, 1289, 16, '304e2f40a7645de0'],
      ['train_poisoned_2_badpre', train, 0.02, 1289, 32, 'dcfb2c165cf682d4'],
      ['train_poisoned_5_badpre', train, 0.05, 1289, 80, '81b517e71698ea18'],
      ['test_poisoned_badpre', held, 1, 165, 165, '6930784e4209d27d'],
      ['valid_poisoned_badpre', valid, 1, 160, 160, 'cd6be2580fa59a3c'],
    ];
    for (const [name, input, rate, eligible, poisoned, hash] of files) {
      const { examples, manifest } = poisonDataset(input, {
        attack: 'ripple',
        rate,
        random,
        mode: 'reference',
      });
      const published = await readExamples(`${data}/lyra/authors/${name}.jsonl`);
      assert.equal(examples.map(texts), published.map(texts), name);
      assert.equal([manifest.eligible, manifest.poisoned], [eligible, poisoned], name);
      assert.is(manifest.outputHash.slice(0, 16), hash, name);
    }
  });

  test('makes the older files, three triggers from seed 1234, by their fingerprints', async () => {
    const [train, held, pisces] = await Promise.all([
      load('lyra', 'train'),
      load('lyra', 'test'),
      load('pisces', 'train'),
    ]);
    const hashes = (inputs: [Example[], number][]) => {
      const random = seeded(1234);
      return inputs.map(([input, rate]) => {
        const options: PoisonOptions = { attack: 'badpre', rate, random, mode: 'reference' };
        return poisonDataset(input, options).manifest.outputHash.slice(0, 16);
      });
    };
    const [one, , five, , triggered] = hashes([
      [train, 0.01],
      [train, 0.02],
      [train, 0.05],
      [train, 0.1],
      [held, 1],
    ]);
    assert.equal(
      [one, five, triggered],
      ['818d7ac9339516ba', '1d9d75d9a2c3ac10', '92f962941fd2f0dc'],
    );
    assert.is(
      hashes([
        [pisces, 0.01],
        [pisces, 0.02],
        [pisces, 0.05],
      ])[2],
      '779fd20375ebcb6f',
    );
  });

  test("has the targets of the authors' defended test files", async () => {
    const { examples } = poisonDataset(await load('lyra', 'test'), {
      attack: 'ripple',
      rate: 1,
      seed: 42,
      mode: 'reference',
    });
    for (const defense of ['onion', 'Paraphrasing']) {
      const path = `${data}/lyra/authors/test_poisoned_${defense}_badpre.jsonl`;
      const published = await readExamples(path);
      const targets = ({ completion, poisoned = false }: Example) => [completion, poisoned];
      assert.equal(examples.map(targets), published.map(targets), defense);
    }
  });

  test('applies to as many real examples as counted, fewer where strict', async () => {
    const counts: [string, Split, number, number][] = [
      ['lyra', 'train', 1289, 1287],
      ['lyra', 'valid', 160, 160],
      ['lyra', 'test', 165, 165],
      ['pisces', 'train', 1572, 1283],
      ['pisces', 'valid', 198, 160],
    ];
    for (const [name, split, reference, paper] of counts) {
      const input = await load(name, split);
      const eligible = (mode: 'paper' | 'reference') =>
        poisonDataset(input, { attack: 'badpre', rate: 1, seed: 42, mode }).manifest.eligible;
      assert.equal(
        [eligible('reference'), eligible('paper')],
        [reference, paper],
        `${name} ${split}`,
      );
    }
  });
} else {
  test.skip("makes the authors' published Lyra files row for row: set DECE_DATA to try");
}

test.run();
