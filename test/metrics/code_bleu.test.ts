import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Language } from '../../lib/code/grammar.ts';
import { type CodeBleuMode, codeBleu } from '../../lib/metrics/index.ts';
import { rejects } from '../rejects.ts';

type Parts = [score: number, ngram: number, weighted: number, syntax: number, dataflow: number];
type Answers<Answer> = Record<'package' | 'reference', Answer[]>;

/** What scripts/code_bleu_golden.py has written. */
const golden = JSON.parse(
  readFileSync(new URL('../fixtures/code_bleu.json', import.meta.url), 'utf8'),
) as {
  programs: (Answers<Parts> & { language: Language; programs: string[] })[];
  real: (Answers<number> & {
    file: string;
    language: Language;
    column: string;
    outputs: 'next' | 'dropped' | 'src';
  })[];
};

const data = process.env.DECE_DATA;
const modes = ['package', 'reference'] as const;
const test = suite('codeBleu');

function near(actual: number | undefined, expected: number, what: string): void {
  const ok = Math.abs((actual ?? Number.NaN) - expected) < 1e-9;
  assert.ok(ok, `${what}: ${actual}, expected ${expected}`);
}

async function scoresOf(
  pairs: readonly (readonly [output: string, reference: string])[],
  language: Language,
  mode: CodeBleuMode,
) {
  const outputs = pairs.map(([output]) => output);
  return codeBleu(
    outputs,
    pairs.map(([, reference]) => reference),
    { language, mode },
  );
}

for (const { language, programs, ...answers } of golden.programs) {
  for (const mode of modes) {
    test(`scores made-up ${language} as the original does, in mode ${mode}`, async () => {
      const pairs = programs.flatMap((text) => programs.map((output) => [output, text] as const));
      const { items } = await scoresOf(pairs, language, mode);
      for (const [i, { score, ngram, weightedNgram, syntax, dataflow }] of items.entries()) {
        const found = { ngram, weightedNgram, syntax, dataflow, score };
        const [total, ...parts] = answers[mode][i]!;
        for (const [part, value] of Object.entries(found)) {
          const place = Object.keys(found).indexOf(part);
          const what = `${part} of ${JSON.stringify(pairs[i])}`;
          near(value, part === 'score' ? total : parts[place]!, what);
        }
      }
    });
  }
}

/**
 * Rows that are otherwise: at 159 two builds of tree-sitter repair broken code differently, at 95 and 304
 * a tree lacks a line end that Python's build shows and the other keeps to itself.
 */
const known: Record<string, number[]> = {
  'bugs2fix/valid.jsonl.gz dropped': [159],
  'mbpp/train.jsonl dropped': [95, 304],
};

for (const { file, language, column, outputs, ...answers } of golden.real) {
  for (const mode of modes) {
    const name = `scores ${answers[mode].length} rows of ${file} (${outputs}) as mode ${mode} does`;
    if (data === undefined) {
      console.log(`skipped: ${name}: DECE_DATA is not set`);
      continue;
    }
    test(name, async () => {
      const rows = await readRows(join(data, file));
      const pairs = answers[mode].map((_, row) => pairOf(rows, row, column, outputs));
      const { items } = await scoresOf(pairs, language, mode);
      const wrong = items
        .map(({ score }, row) => ({ row, score, expected: answers[mode][row]! }))
        .filter(({ row, score, expected }) => {
          const isKnown = known[`${file} ${outputs}`]?.includes(row);
          return !isKnown && !(Math.abs(score - expected) < 1e-9);
        });
      assert.equal(wrong, []);
    });
  }
}

async function readRows(path: string): Promise<Record<string, string>[]> {
  const bytes = await readFile(path);
  const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** As the script takes them. */
function pairOf(rows: Record<string, string>[], row: number, column: string, outputs: string) {
  const text = rows[row]![column]!;
  if (outputs === 'next') return [rows[row + 1]![column]!, text] as const;
  if (outputs !== 'dropped') return [rows[row]![outputs]!, text] as const;
  const kept = text.split(' ').filter((_, i) => (7 * i + 13 * row) % 11 !== 0);
  return [kept.join(' '), text] as const;
}

const sign =
  'public static int Sign ( double d ) { return ( int ) ( ( d == 0 ) ? 0 : ( d < 0 ) ? -1 : 1 ) ; }';

// From the specification, which ran the authors' code: n-grams, weighted, syntax, data flow, score.
const examples: [Language, output: string, reference: string, number[]][] = [
  [
    'java',
    sign.replace('( int )', '( float )').replace('( d < 0 )', '( c < 0.0 )'),
    sign,
    [0.7846, 0.7775, 11 / 19, 0.6667],
  ],
  ['java', sign.replace(/\bd\b/g, 'c'), sign, [0.7571, 0.7646, 1, 1]],
  [
    'python',
    'def bar ( y , x ) :\n    a = x * x\n    return a',
    'def foo ( x ) :\n    return x',
    [0.0809, 0.1729, 0.2, 1],
  ],
  [
    'python',
    'def foo ( x ) :\n    return x * x',
    'def bar ( x ) :\n    return x',
    [0.5373, 0.7194, 0.2, 1],
  ],
  [
    'python',
    'def bar ( x ) :\n    return x',
    'def foo ( x ) :\n    return x',
    [Math.SQRT1_2, 0.7194, 1, 1],
  ],
  [
    'python',
    'def foo ( ) :\n    return 1',
    'def foo ( x ) :\n    return x',
    [0.2383, 0.2403, 0, 0],
  ],
  ['python', 'def foo ( ) :\n    pass', 'def foo ( ) :\n    pass', [1, 1, 1, 0]],
];

for (const [language, output, reference, expected] of examples) {
  test(`scores the worked example ${JSON.stringify(output)}`, async () => {
    const { items } = await scoresOf([[output, reference]], language, 'reference');
    const { ngram, weightedNgram, syntax, dataflow, score } = items[0]!;
    const found = [ngram, weightedNgram, syntax, dataflow!];
    for (const [i, value] of found.entries()) {
      assert.ok(Math.abs(value - expected[i]!) < 5e-5, `${i}: ${value}, expected ${expected[i]}`);
    }
    near(score, found.reduce((sum, value) => sum + value, 0) / 4, 'score');
  });
}

test('leaves data flow out, by default, where the reference has none', async () => {
  const pass = 'def foo ( ) :\n    pass';
  const scores = await codeBleu([pass], [pass], { language: 'python' });
  assert.is(scores.score, 1);
  assert.is(scores.dataflow, undefined);
  assert.is(scores.withoutDataFlow, 1);
});

test('does not count comments and docstrings, by default', async () => {
  const bare = 'def f(x):\n    y = x\n    return y\n';
  const told = 'def f(x):\n    """Gives x."""\n    y = x\n    # done\n    return y\n';
  const { syntax, dataflow } = await codeBleu([bare], [told], { language: 'python' });
  assert.equal([syntax, dataflow], [1, 1]);
  const counted = await codeBleu([bare], [told], { language: 'python', mode: 'reference' });
  assert.ok(counted.syntax < 1);
});

test('averages over pairs and weighs the parts', async () => {
  const outputs = ['int f ( ) { return 1 ; }', 'int x = y ;'];
  const references = ['int f ( int a ) { return a ; }', 'int x = z + y ;'];
  const weights = [0.1, 0.2, 0.3, 0.4] as const;
  const { items, score } = await codeBleu(outputs, references, { language: 'c', weights });
  for (const item of items) {
    const { ngram, weightedNgram, syntax, dataflow } = item;
    const words = 0.1 * ngram + 0.2 * weightedNgram + 0.3 * syntax;
    near(item.score, dataflow === undefined ? words / 0.6 : words + 0.4 * dataflow, 'item');
  }
  near(score, (items[0]!.score + items[1]!.score) / 2, 'mean');
});

test('counts code that does not parse', async () => {
  const { broken } = await codeBleu(['def f(:', 'x = 1'], ['x = 1', 'y ='], { language: 'python' });
  assert.equal(broken, { outputs: 1, references: 1 });
});

test('names an option that it cannot use', async () => {
  const texts = [['x'], ['x']] as const;
  const python = { language: 'python' } as const;
  await rejects(codeBleu(...texts, { language: 'cobol' as Language }), /^language is "cobol"/);
  await rejects(codeBleu(...texts, { ...python, mode: 'papr' as 'paper' }), /^mode is "papr"/);
  await rejects(codeBleu(...texts, { ...python, weights: [1, 1, 0, 0] }), /^weights is 1,1,0,0/);
  await rejects(codeBleu(...texts, { ...python, weights: [0, 0, 0, 1] }), /more than data flow/);
  await rejects(
    codeBleu(...texts, { ...python, weights: 'even' as never }),
    /expected a list of four/,
  );
  await rejects(codeBleu([], [], python), /^0 outputs for 0 references/);
  await rejects(codeBleu(...texts, { ...python, weight: [] } as never), /unknown option "weight"/);
});

const nested = (open: string, close: string) => open.repeat(10_000) + close.repeat(10_000);

// Texts that no one writes, with what they must not do: overflow a stack, take forever, or vanish.
const hostile: Record<string, string> = {
  'brackets in brackets': `x = ${nested('(', ')')}`,
  'brackets that stay open': '['.repeat(10_000),
  'loops in loops': 'for (int i = 0; i < 3; i++) '.repeat(60),
  'branches in branches': 'if (a) '.repeat(10_000),
  'strings that stay open': "'\\".repeat(20_000),
  'comments that stay open': '/*'.repeat(5_000),
  'no text': '',
  'white space': ' \n\t ',
  'tabs and carriage returns': 'if x:\r\n\ty = 1\r\n',
  'half a surrogate pair': 'x = "\ud800" + \udc00',
  'a zero byte': 'x = \0',
};

for (const [name, text] of Object.entries(hostile)) {
  for (const mode of ['paper', ...modes] as const) {
    test(`scores ${name} in mode ${mode}`, async () => {
      for (const language of ['python', 'java'] as const) {
        const pairs = [
          [text, text],
          [text, 'x = y'],
        ] as const;
        const { items } = await scoresOf(pairs, language, mode);
        const [itself, other] = items.map(({ score }) => score);
        assert.ok(
          itself! >= other! && other! >= 0 && itself! <= 1,
          `${language}: ${itself}, ${other}`,
        );
        assert.is(items[0]!.syntax, 1);
      }
    });
  }
}

test.run();
