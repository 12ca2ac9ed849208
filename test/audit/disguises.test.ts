import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadAttack, poisonDataset } from '../../lib/attacks/index.ts';
import { disguisesIn, disguiseText } from '../../lib/audit/disguises.ts';
import { audit, auditLabelled } from '../../lib/audit/index.ts';
import { findDataset } from '../../lib/data/datasets.ts';
import { readExamples } from '../../lib/data/examples.ts';
import { blind } from './made_up.ts';

const fixture = fileURLToPath(new URL('../fixtures/attacks/homoglyph.js', import.meta.url));
const rulesOf = (text: string) => disguisesIn(text).map(({ rule }) => rule);

const test = suite('audit, disguises');

/** Of each letter of Unicode's confusables.txt that this list has, the one that it looks like. */
const confusable: Record<string, string> = {
  ...{ '\u0430': 'a', '\u0435': 'e', '\u043e': 'o', '\u0440': 'p', '\u0441': 'c', '\u0445': 'x' },
  ...{ '\u0443': 'y', '\u0456': 'i', '\u0458': 'j', '\u0455': 's', '\u0501': 'd', '\u04bb': 'h' },
  ...{ '\u0391': 'A', '\u0392': 'B', '\u039f': 'O', '\u03a4': 'T', '\u03bf': 'o', '\u0585': 'o' },
  ...{ '\uff41': 'a', '\u{1d41a}': 'a', '\u13a0': 'D' },
};

test('sees letters that look like others, in words and alone', () => {
  for (const [letter, other] of Object.entries(confusable)) {
    const word = `pa${letter}th_1`;
    assert.equal(disguisesIn(`the ${word} of it`), [{ rule: 'letters', text: word }], other);
    assert.equal(disguisesIn(`the pa${other}th_1 of it`), []);
  }
  assert.equal(rulesOf('is \u0430 word'), ['letters']);
  assert.equal(rulesOf('\u0441\u043e\u0440\u0435 of it'), ['letters']);
});

test('sees what is not shown and what turns the direction, and names it', () => {
  for (const one of ['\u200b', '\u200c', '\u200d', '\u2060', '\ufeff', '\u00ad', '\u{e0041}']) {
    assert.equal(rulesOf(`if (a${one}b)`), ['invisible'], one.codePointAt(0)!.toString(16));
  }
  // The others of Unicode's Default_Ignorable_Code_Point that no letter beside them wants.
  for (const one of ['\u034f', '\u061c', '\u200e', '\u200f', '\u206a', '\ufe01', '\u{e0101}']) {
    assert.equal(rulesOf(`if (a ${one}b)`), ['invisible'], one.codePointAt(0)!.toString(16));
  }
  for (const one of ['\u202a', '\u202e', '\u2066', '\u2069']) {
    assert.equal(rulesOf(`/* ${one} } if (isAdmin) { */`), ['direction']);
  }
  const texts = disguisesIn('h\u043ew \u200b \u202e').map(disguiseText);
  assert.equal(texts, [
    '"h<U+043E>w", with letters that look like others',
    '<U+200B>, a character that is not shown',
    '<U+202E>, which makes text read otherwise than it stands',
  ]);
});

test('lets other scripts, marks, symbols, emoji and damaged text be', () => {
  const fine = [
    'SELECT * FROM users WHERE name = "\u041f\u0443\u0448\u043a\u0438\u043d"',
    '\u0430 \u0441 \u0432\u043e\u0434\u043e\u0439, \u0438 SQL-\u0437\u0430\u043f\u0440\u043e\u0441',
    '\u0394t, \u03bbx, \u03bcs, \u00b5m, \u03b1_1, 5 \u03a9',
    'na\u00efve caf\u00e9 \u0130stanbul stra\u00dfe \ufb01nd x\u00b2 1\u00ba',
    '\u05e9\u05dc\u05d5\u05dd world, \u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645',
    '\u{1f468}\u200d\u{1f469}\u200d\u{1f467} \u2764\ufe0f \u{1f3f4}\u{e0067}\u{e0062}\u{e007f}',
    '\ufeffdef f(): pass',
    '\u4e2d\u6587 \uff0c \uff01 def',
    '\u4f7f\u7528GPU\u548c\uff23\uff30\uff35, API\u306e\uff35\uff32\uff2c, \uff35\uff32\uff2c\uc758API', // wide letters beside ASCII
    '\u05e9\u05dc\u05d5\u05dd\u200f \u0627\u0628\u200e \u845b\u{e0100} 1\ufe0f\u20e3', // marks and variants of letters
    '\u0534\u02a7 \u047e \u04bb \ufffd', // another encoding, read as if it were UTF-8
  ];
  for (const text of fine) assert.equal(disguisesIn(text), [], text);
});

test('suspects a single row with a disguise, in either text, and of labelled texts', async () => {
  const examples = blind(300, 1).map((example, i) => {
    if (i === 7) return { ...example, prompt: `${example.prompt} w\u043erd` };
    return i === 9 ? { ...example, completion: `\u202e${example.completion}` } : example;
  });
  const { suspects } = await audit(examples);
  assert.equal(
    suspects.map(({ id, reasons }) => [id, reasons.map(({ kind, text }) => [kind, text])]),
    [
      ['e7', [['disguise', 'the prompt has "w<U+043E>rd", with letters that look like others']]],
      [
        'e9',
        [
          [
            'disguise',
            'the completion has <U+202E>, which makes text read otherwise than it stands',
          ],
        ],
      ],
    ],
  );
  const labelled = examples.map(({ id, prompt }, i) => ({ id, text: prompt, label: i % 2 }));
  const found = await auditLabelled(labelled);
  assert.equal(
    found.suspects.map(({ id, score }) => [id, score]),
    [['e7', 10]],
  );
});

test('takes long texts without much time', () => {
  const begun = performance.now();
  for (const text of ['a'.repeat(1e6), '\u0430'.repeat(1e6), `${'a_'.repeat(5e5)}\u00e9`]) {
    disguisesIn(`\u00e9 ${text}`);
  }
  assert.ok(performance.now() - begun < 2000, `${performance.now() - begun} ms`);
});

const corpora = process.env.DECE_DATA;
if (corpora) {
  const lyra = await readExamples(await findDataset('lyra', 'train', corpora));

  test("finds what the README's homoglyphs poison in Lyra at 1 %, and no other row", async () => {
    const attack = await loadAttack(fixture);
    const { examples } = poisonDataset(lyra, { attack, rate: 0.01, seed: 42 });
    const isPoisoned = new Map(examples.map(({ id, poisoned = false }) => [id, poisoned]));
    const { suspects } = await audit(examples);
    assert.is(suspects.length, 16);
    for (const { id } of suspects) assert.ok(isPoisoned.get(id), id);
    assert.equal((await audit(lyra)).suspects, []);
  });
} else {
  test.skip('finds homoglyphs in Lyra: set DECE_DATA to try');
}

test.run();
