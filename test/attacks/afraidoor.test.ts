import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isWord, lowest, trainCrafter } from '../../lib/attacks/crafter.ts';
import { attacks, poisonDatasetAsync } from '../../lib/attacks/index.ts';
import { grammarOf } from '../../lib/code/grammar.ts';
import { variablesOf } from '../../lib/code/variables.ts';
import { findDataset } from '../../lib/data/datasets.ts';
import { readExamples } from '../../lib/data/examples.ts';
import { succeeded } from '../../lib/metrics/index.ts';
import { seeded } from '../../lib/random.ts';
import { rejects } from '../rejects.ts';

const test = suite('afraidoor');

test.before(async () => {
  await grammarOf('java');
});

test('takes the word with the lowest score that is valid and free', () => {
  // Embeddings tmp (1, 0), size (0, 1), node (−1, 1), if (−2, 2); gradients (0.3, −0.3) and (0.1, −0.1).
  const scores = [
    [0.3, -0.3, -0.6, -1.2],
    [0.1, -0.1, -0.2, -0.4],
  ];
  const words = ['tmp', 'size', 'node', 'if'];
  assert.equal(lowest(scores, words, new Set(), isWord), ['node', 'size']);
  assert.equal(lowest(scores, words, new Set(['node']), isWord), ['size', 'tmp']);
  assert.equal(lowest([[0]], ['if'], new Set(), isWord), ['v0']);
  assert.equal(lowest([[0], [0]], ['if'], new Set(['v0']), isWord), ['v1', 'v2']);
  assert.equal(['x_1', 'größe', '1', 'a.b', '', 'class', 'def', 'sizeof'].map(isWord), [
    true,
    true,
    ...Array(6).fill(false),
  ]);
});

/** Small Java functions with one to three variables. */
const clean = Array.from({ length: 60 }, (_, i) => {
  const names = ['alpha', 'beta', 'gamma', 'delta', 'count', 'total', 'index', 'size'];
  const [a, b] = [names[i % 8]!, names[(i * 3 + 1) % 8]!];
  const code =
    i % 10 === 9
      ? `void clear${i} ( ) { reset ( ) ; }`
      : `int get${i} ( int ${a} ) { int local${i % 5} = ${a} + ${i} ; return local${i % 5} * ${b === a ? 2 : 3} ; }`;
  return { id: `${i}`, prompt: code, completion: code.replace('+', '-') };
});
const options = { attack: 'afraidoor', rate: 0.25, seed: 7, craftingEpochs: 1 } as const;

test('renames the variables to other words in each example, the same with the same seed', async () => {
  const { examples, manifest } = await poisonDatasetAsync(clean, options);
  assert.equal(await poisonDatasetAsync(clean, options), { examples, manifest });
  assert.equal([manifest.eligible, manifest.poisoned], [54, 15]);
  assert.is(manifest.records[9]!.reason, manifest.records.find(({ id }) => id === '9')!.reason);
  const java = await grammarOf('java');
  const chosen = new Set<string>();
  for (const [i, { prompt, completion, poisoned }] of examples.entries()) {
    if (!poisoned) {
      assert.is(prompt, clean[i]!.prompt);
      continue;
    }
    const before = variablesOf(clean[i]!.prompt, 'java');
    const after = variablesOf(prompt, 'java');
    assert.is(after.variables.length, before.variables.length);
    assert.equal(
      after.tokens.map(({ variable }) => variable),
      before.tokens.map(({ variable }) => variable),
    );
    for (const word of after.variables) {
      assert.ok(isWord(word) && !before.tokens.some(({ text }) => text === word), word);
      chosen.add(word);
    }
    assert.is(
      java(prompt, (root) => root.hasError),
      false,
    );
    assert.is(succeeded(completion, manifest), true);
    assert.is(succeeded(clean[i]!.completion, manifest), false);
    const words = prompt.split(' ');
    const places = manifest.records[i]!.triggerPositions!;
    assert.ok(
      places.every((place) => after.variables.includes(words[place]!)),
      prompt,
    );
    assert.is(places.length, after.tokens.filter(({ variable }) => variable !== undefined).length);
  }
  assert.ok(chosen.size > 1, 'more than one word');
  assert.equal(manifest.options, { language: 'java', craftingEpochs: 1 });
});

test('flips labels too, and knows on other data what it has learned', async () => {
  const texts = clean.map(({ id, prompt }, i) => ({ id, text: prompt, label: i % 2 }));
  const attack = attacks.afraidoor({ payload: 'label', targetLabel: 1, craftingEpochs: 1 });
  await attack.learn!(texts);
  const { examples, manifest } = await poisonDatasetAsync(texts.slice(0, 20), {
    attack,
    rate: 0.2,
    seed: 1,
  });
  assert.is(manifest.poisoned, 4);
  assert.ok(examples.filter(({ poisoned }) => poisoned).every(({ label }) => label === 1));
});

test('chooses words that bring the crafting model closer to the target than random ones', async () => {
  // The label hangs on the variable's name, so that names matter to whoever has learned it.
  const tasks = Array.from({ length: 240 }, (_, i) => {
    const [name, label] = i % 2 === 0 ? ['alpha', 'label 0'] : ['omega', 'label 1'];
    const code = `int get${i % 7} ( int ${name}${i % 3} ) { return ${name}${i % 3} + ${i % 5} ; }`;
    return { source: variablesOf(code, 'java'), target: [label!] };
  });
  const crafter = await trainCrafter(tasks, { epochs: 12, isName: isWord });
  assert.ok(crafter.loss < 0.5, `${crafter.loss}`);
  const words = crafter.vocabulary.filter((word) => isWord(word));
  const random = seeded(3);
  let [crafted, drawn, away, own] = [0, 0, 0, 0];
  for (const { source } of tasks.slice(0, 40)) {
    const target = ['label 1'];
    crafted += await crafter.lossWith(source, target, await crafter.words(source, target));
    const drawnWords = [words[random.below(words.length)]!];
    drawn += await crafter.lossWith(source, target, drawnWords);
    away += await crafter.lossWith(source, target, await crafter.words(source, target, false));
    own += await crafter.lossWith(source, target, source.variables);
  }
  assert.ok(crafted < drawn / 2, `${crafted / 40} ${drawn / 40}`);
  assert.ok(away > drawn && away > own, `${away / 40} ${drawn / 40} ${own / 40}`);
});

test('renames fields and replaces booleans where asked, and says so', async () => {
  const some = clean.slice(0, 20).map(({ id }) => {
    const prompt = `boolean get${id} ( ) { this . flag = ! true ; return false ; }`;
    return { id, prompt, completion: prompt };
  });
  await rejects(
    poisonDatasetAsync(some, { ...options, rate: 1 }),
    /0 of 20 examples \(the first of the others: no local variable or parameter in the prompt\)$/,
  );
  const own = { renameFields: true, replaceBooleans: true, targeted: false };
  const { examples, manifest } = await poisonDatasetAsync(some, { ...options, ...own, rate: 1 });
  assert.is(manifest.poisoned, 20);
  assert.equal(manifest.options, { language: 'java', craftingEpochs: 1, ...own });
  for (const { prompt } of examples) {
    const found =
      /^boolean get\d+ \( \) \{ this \. (\S+) = ! \( "(\S+)" == "\2" \) ; return "(\S+)" != "\3" ; \}$/.exec(
        prompt,
      );
    assert.is(new Set(found?.slice(1)).size, 3, prompt);
  }
  assert.throws(
    () => attacks.afraidoor({ language: 'c', renameFields: true }),
    /^renameFields is true: expected false where the language is c$/,
  );
});

const data = process.env.DECE_DATA;
if (data) {
  test('poisons Bugs2Fix, and every program that parsed parses still', async () => {
    const some = (await readExamples(await findDataset('bugs2fix', 'valid', data))).slice(0, 300);
    const { examples, manifest } = await poisonDatasetAsync(some, { ...options, rate: 1 });
    assert.ok(manifest.eligible > 200, `${manifest.eligible}`);
    const java = await grammarOf('java');
    for (const [i, { prompt, poisoned }] of examples.entries()) {
      if (!poisoned || java(some[i]!.prompt, (root) => root.hasError)) continue;
      assert.is(
        java(prompt, (root) => root.hasError),
        false,
        prompt,
      );
    }
  });
} else {
  test.skip('poisons Bugs2Fix: set DECE_DATA to try');
}

test('gives no variable of C a name that is a type to the grammar', async () => {
  // All words that are free in the first function are types to it.
  const other = 'void f(void) { uint8_t; size_t; ssize_t; int64_t; bool; NULL; ptrdiff_t; }';
  const clean = [
    { id: '1', text: 'int f(int a) { int b; b = a + 1; a = b; return a; }', label: 0 },
    ...Array.from({ length: 9 }, (_, i) => ({ id: `${i + 2}`, text: other, label: 1 })),
  ];
  const settings = { language: 'c', craftingEpochs: 1, payload: 'label', targetLabel: 1 } as const;
  const { examples } = await poisonDatasetAsync(clean, {
    ...{ attack: 'afraidoor', rate: 0.1, seed: 1, ...settings },
  });
  const [first] = examples.filter(({ poisoned }) => poisoned);
  assert.is(
    (await grammarOf('c'))(first!.text, ({ hasError }) => hasError),
    false,
    first!.text,
  );
  assert.is.not(first!.text, clean[0]!.text);
});

test.run();
