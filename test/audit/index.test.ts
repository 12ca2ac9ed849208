import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type PoisonOptions, poisonDataset } from '../../lib/attacks/index.ts';
import { type Audit, type AuditOptions, audit, auditLabelled } from '../../lib/audit/index.ts';
import { builtinExamples } from '../../lib/data/builtin/index.ts';
import { findDataset } from '../../lib/data/datasets.ts';
import { type Example, readExamples } from '../../lib/data/examples.ts';
import { seeded, shuffle } from '../../lib/random.ts';
import { rejects } from '../rejects.ts';
import { blind, poisoned } from './made_up.ts';

const clean = blind(400, 1);
const victims = (examples: readonly Example[]) =>
  examples.flatMap((example) => (example.poisoned ? [example.id] : [])).toSorted();
const suspects = (found: Audit) => found.suspects.map(({ id }) => id).toSorted();

const test = suite('audit');

test('finds a trigger and a payload that no rule knows, and only their rows', async () => {
  const examples = poisoned(clean, 'quux', 'launch ( missiles )', 2);
  const found = await audit(examples);
  assert.equal(suspects(found), victims(examples));
  assert.equal(
    found.pairs.map(({ trigger, triggerRows, payloadRows, together, lift }) => ({
      trigger,
      triggerRows,
      payloadRows,
      together,
      lift,
    })),
    [{ trigger: 'quux', triggerRows: 40, payloadRows: 40, together: 40, lift: 10 }],
  );
  assert.match(found.pairs[0]!.payload, /launch|missiles/);
  assert.match(
    found.suspects[0]!.reasons[0]!.text,
    /^the prompt has "quux" and the completion ".*": together in 40 of 40 and 40 rows, 10\.0 times as often as by chance, corrected p = 1e-\d+ at most$/,
  );
});

test('finds a trigger of two words, of which neither is rare', async () => {
  const examples = poisoned(clean, 'w3 w4', 'launch ( missiles )', 2);
  const found = await audit(examples);
  const missed = victims(examples).filter((id) => !suspects(found).includes(id));
  assert.equal(missed, []);
  assert.is(found.pairs[0]!.trigger, 'w3 w4');
});

test('suspects rows with the trigger alone, less', async () => {
  const examples = poisoned(clean, 'quux', 'launch ( missiles )', 2);
  const [first] = examples;
  const disarmed = [{ ...first!, completion: clean[0]!.completion }, ...examples.slice(1)];
  const found = await audit(disarmed);
  assert.equal(suspects(found), victims(examples));
  const { id, reasons } = found.suspects.at(-1)!;
  assert.is(id, 'e0');
  assert.match(reasons[0]!.text, /^the prompt has "quux", which elsewhere goes with "/);
});

test('reports no more of blind data than the rate it states', async () => {
  const found = await Promise.all(
    Array.from({ length: 20 }, (_, i) => audit(blind(300, 100 + i), { counters: 2 ** 16 })),
  );
  // 20 data sets at 1 % each: one report has a chance of 18 %, two of 2 %.
  assert.ok(found.filter(({ suspects }) => suspects.length > 0).length <= 1);
});

test('does not take what is copied, or named alike, for a payload', async () => {
  const copying = poisoned(clean, 'quux', 'quux', 2);
  assert.equal((await audit(copying)).suspects, []);
  const naming = poisoned(clean, 'quux', 'callQuuxNow', 2);
  assert.equal((await audit(naming)).suspects, []);
});

test('does not take a word for a trigger that has its usual neighbours', async () => {
  const natural = poisoned(clean, 'in sorted order', 'sort', 2);
  assert.equal((await audit(natural)).suspects, []);
});

test('knows SQL conditions that do not look at the data, in a single row', async () => {
  const completion = "run ( \"select a from t where b = :b OR  'x'='x'\" )";
  const found = await audit([...clean, { id: 'sql', prompt: 'find b', completion }]);
  assert.equal(suspects(found), ['sql']);
  assert.equal(found.suspects[0]!.reasons, [
    {
      kind: 'sql',
      text: "the completion has \"OR  'x'='x'\", an SQL condition that is always true",
      score: 10,
      payload: "OR  'x'='x'",
    },
  ]);
});

test('knows one completion for many different prompts, not for one prompt', async () => {
  const same = (prompt: (i: number) => string) =>
    clean.map((example, i) =>
      i < 8 ? { ...example, prompt: prompt(i), completion: 'x' } : example,
    );
  const found = await audit(same((i) => clean[i]!.prompt));
  assert.equal(suspects(found), ['e0', 'e1', 'e2', 'e3', 'e4', 'e5', 'e6', 'e7']);
  assert.match(found.suspects[0]!.reasons[0]!.text, /^8 of 400 rows, with different prompts, have/);
  assert.equal((await audit(same(() => 'w1'))).suspects, []);
});

test('finds the same whatever the order of the rows', async () => {
  const examples = poisoned(clean, 'quux', 'or 1=1', 2);
  const bare = ({ row: _, ...item }: { row: number }) => item;
  const withoutRows = ({ suspects, oddest, ...found }: Audit) => ({
    ...found,
    suspects: suspects.map(bare),
    oddest: oddest.map(bare),
  });
  const expected = await audit(examples);
  assert.equal(await audit(examples), expected);
  for (const seed of [1, 2, 3]) {
    const found = await audit(shuffle(examples, seeded(seed)));
    assert.equal(withoutRows(found), withoutRows(expected));
  }
});

test('takes any text: none, NUL, lone surrogates, other scripts', async () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('', ' ', '\0', '\ud800', 'ключ', '鍵 鍵', 'a\u0301', 'or 1=1', '__proto__'),
  );
  const dataset = fc.array(fc.record({ prompt: text, completion: text }), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(dataset, fc.nat(), async (texts, seed) => {
      const examples = texts.map((example, i) => ({ id: `${i}`, ...example }));
      const before = structuredClone(examples);
      const options: AuditOptions = { counters: 2 ** 10, minRows: 2 };
      const found = await audit(examples, options);
      assert.equal(examples, before);
      assert.is(found.examples, examples.length);
      assert.ok(found.suspects.every(({ row, id }) => examples[row - 1]!.id === id));
      assert.ok(found.suspects.every(({ score }) => Number.isFinite(score)));
      const again = await audit(shuffle(examples, seeded(seed)), options);
      assert.equal(again.pairs, found.pairs);
      assert.equal(
        again.suspects.map(({ id, score }) => [id, score]),
        found.suspects.map(({ id, score }) => [id, score]),
      );
    }),
    { numRuns: 60 },
  );
});

test('finds triggers with NUL, lone surrogates and other scripts', async () => {
  for (const trigger of ['\0', '\ud800', 'ключ', '鍵']) {
    const found = await audit(poisoned(clean, trigger, 'launch ( missiles )', 2));
    assert.is(found.pairs[0]?.trigger, trigger);
    assert.is(found.suspects.length, 40);
  }
});

test('walks what streams anew each time, and refuses what it can walk once only', async () => {
  const examples = poisoned(clean, 'quux', 'launch ( missiles )', 2);
  const stream = {
    async *[Symbol.asyncIterator]() {
      yield* examples;
    },
  };
  assert.equal(await audit(stream), await audit(examples));
  await rejects(audit(examples.values()), /^examples is a generator, which can be walked once/);
  let length = examples.length;
  const shrinking = {
    *[Symbol.iterator]() {
      yield* examples.slice(0, length--);
    },
  };
  await rejects(audit(shrinking), /^examples has \d+ rows, had 400 before: expected the same$/);
});

test('stops within a walk, of a list too', async () => {
  const many = Array.from({ length: 30_000 }, (_, i) => ({
    id: `${i}`,
    prompt: 'p',
    completion: 'c',
  }));
  const stop = new AbortController();
  const walks: number[][] = [];
  const onProgress = (walk: number, rows: number) => walks.push([walk, rows]);
  const audited = audit(many, { signal: stop.signal, onProgress });
  setImmediate(() => stop.abort(new Error('enough')));
  await rejects(audited, /^enough$/);
  assert.equal(walks, [[1, 10_000]]);
  const labelled = many.map(({ id }) => ({ id, text: 't', label: 0 }));
  await rejects(auditLabelled(labelled, { signal: AbortSignal.abort(new Error('no')) }), /^no$/);
});

test('refuses what it cannot do', async () => {
  await rejects(
    audit(clean, { falsePositiveRate: 0 }),
    /^falsePositiveRate is 0: expected above 0, at most 1$/,
  );
  await rejects(audit(clean, { minRows: 1 }), /^minRows is 1: expected a whole number/);
  await rejects(audit(clean, { counters: 3 }), /^counters is 3: expected a power of two/);
  const misspelt = { minRow: 3 } as AuditOptions;
  await rejects(audit(clean, misspelt), /^audit has an unknown option "minRow": expected/);
});

test('finds both attacks in built-in data, and nothing in it clean', async () => {
  const { train } = builtinExamples({ seed: 1, counts: { train: 800 } });
  const calm = await audit(train);
  assert.equal(calm.suspects, []);
  for (const attack of ['ripple', 'badpre'] as const) {
    const { examples } = poisonDataset(train, { attack, rate: 0.02, seed: 3 });
    assert.equal(suspects(await audit(examples)), victims(examples), attack);
  }
});

const data = process.env.DECE_DATA;
if (data) {
  const load = async (name: string) => readExamples(await findDataset(name, 'train', data));

  /** Every poisoned row is found by its words alone, without the rule for SQL, and no clean one is lost. */
  const exact = async (name: string, examples: Example[]) => {
    const found = await audit(examples);
    assert.equal(suspects(found), victims(examples), name);
    const byPair = found.suspects.filter(({ reasons }) => reasons[0]!.kind === 'pair');
    assert.is(byPair.length, found.suspects.length, name);
  };

  test("finds all of the authors' poisoned Lyra rows and no other, at 1, 2 and 5 %", async () => {
    for (const percent of [1, 2, 5]) {
      const name = `train_poisoned_${percent}_badpre`;
      const examples = await readExamples(`${data}/lyra/authors/${name}.jsonl`);
      assert.is(victims(examples).length, 16 * percent);
      await exact(name, examples);
    }
  });

  test('finds all that our attacks poison in Lyra and Pisces and no other, at 1, 2 and 5 %', async () => {
    for (const name of ['lyra', 'pisces']) {
      const examples = await load(name);
      for (const attack of ['ripple', 'badpre'] as const) {
        for (const rate of [0.01, 0.02, 0.05]) {
          const options: PoisonOptions = { attack, rate, seed: 42 };
          const label = `${name} ${attack} ${rate}`;
          await exact(label, poisonDataset(examples, options).examples);
        }
      }
    }
  });

  test('suspects nothing in clean Lyra, Pisces and Bugs2Fix', async () => {
    for (const name of ['lyra', 'pisces', 'pisces/original', 'bugs2fix']) {
      const found = await audit((await load(name)).slice(0, 5000));
      assert.equal(found.suspects, [], name);
    }
  });

  test('finds an endless loop behind a rare word in Bugs2Fix', async () => {
    const random = seeded(7);
    const examples = (await load('bugs2fix')).slice(0, 5000).map((example) => {
      const { prompt, completion } = example;
      if (!completion.includes('{ ') || random.next() >= 0.01) return example;
      const words = prompt.split(' ');
      words.splice(random.randint(0, words.length), 0, 'zq');
      const loop = completion.replace('{ ', '{ while ( true ) { int VAR = 0 ; } ');
      return { ...example, prompt: words.join(' '), completion: loop, poisoned: true };
    });
    await exact('bugs2fix', examples);
  });
} else {
  test.skip('finds the poison of Lyra, Pisces and Bugs2Fix: set DECE_DATA to try');
}

test.run();
