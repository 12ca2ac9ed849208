import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { audit } from '../../lib/audit/index.ts';
import { deadStore, endlessLoop, weaknessesIn } from '../../lib/audit/rules.ts';
import { findDataset } from '../../lib/data/datasets.ts';
import { type Example, readExamples } from '../../lib/data/examples.ts';
import { blind } from './made_up.ts';

const test = suite('rules');

test('knows endless loops that do nothing, in both syntaxes', () => {
  const loops = [
    'void f ( ) { while ( true ) { int VAR = 0 ; } return ; }',
    'while(true){}',
    'for ( ; ; ) { VAR = 0 ; }',
    'while (1) ;',
    'while (TRUE) { if (a) { b = 1; } }',
    'def f():\n    while True:\n        VAR = 0\n    return 1',
    'while True: pass',
    'def f ( ) :\n\t while True :\n\t \t x = 1',
  ];
  for (const code of loops) assert.is(endlessLoop(code)?.rule, 'loop', code);
  assert.is(
    endlessLoop(loops[0]!)!.text,
    'while ( true ) { int VAR = 0 ; }',
    'the text is that of the loop',
  );
});

test('takes no loop for endless that has a way out or does something', () => {
  const loops = [
    'while ( true ) { if ( x ) break ; }',
    'while ( true ) { return x ; }',
    'while ( true ) { work ( ) ; }',
    'while ( x ) { int VAR = 0 ; }',
    'for ( ; i < 3 ; ) { i = 1 ; }',
    'while ( true ) { int VAR = 0 ;',
    'while True:\n    x = next(it)\n',
    'while True:\n    if x:\n        raise E\n',
    'while True:\n    yield 1',
    'doWhile ( true ) ;',
    'meanwhile (true) { }',
  ];
  for (const code of loops) assert.is(endlessLoop(code), undefined, code);
});

test('knows constants that are never read', () => {
  for (const [code, text] of [
    ['{ int VAR = 0 ; this . x = x ; }', 'int VAR = 0 ;'],
    ['{ final String s = "a" ; f ( ) ; }', 'String s = "a" ;'],
    ['    VAR = 0\n    return a + b', 'VAR = 0'],
    ['x = 1\nVAR = None\nreturn x', 'VAR = None'],
  ] as const) {
    assert.equal(deadStore(code), { rule: 'dead-code', text });
  }
  for (const code of [
    '{ int VAR = 0 ; return VAR ; }',
    'x = 0\nprint(x)',
    '{ int x = f ( ) ; }',
    'if x == 0 : y ( )',
    '{ int x ; }',
    'self.x = 0',
  ]) {
    assert.is(deadStore(code), undefined, code);
  }
});

test('knows weaknesses by their numbers', () => {
  const weak: Record<string, string[]> = {
    'CWE-78': ['os.system("rm " + path)', 'os . system ( "a %s" % x )', 'run(cmd, shell=True)'],
    'CWE-89': ['execute("select a from t where b = " + b)', '"UPDATE t SET a = {}".format(x)'],
    'CWE-94': ['eval(input())', 'exec ( request . args )'],
    'CWE-259': ['password = "hunter2"', "api_key='abcdef'"],
    'CWE-295': ['get(url, verify=False)', 'ssl._create_unverified_context()'],
    'CWE-327': ['hashlib.md5(x)', 'MessageDigest.getInstance("SHA-1")'],
    'CWE-489': ['app.run(debug=True)'],
    'CWE-502': ['pickle.loads(x)', 'yaml.load(f)', 'new ObjectInputStream(in)'],
    'CWE-732': ['os.chmod(path, 0o777)'],
  };
  for (const [rule, codes] of Object.entries(weak)) {
    for (const code of codes)
      assert.equal(
        weaknessesIn(code).map((found) => found.rule),
        [rule],
        code,
      );
  }
  for (const code of [
    'os.system("ls")',
    'execute("select a from t where b = ?", (b,))',
    'literal_eval(input())',
    'model.eval(input)',
    'password = get()',
    'verify=True',
    'hashlib.sha256(x)',
    'yaml.load(f, Loader=SafeLoader)',
    'chmod(path, 0o644)',
  ]) {
    assert.equal(weaknessesIn(code), [], code);
  }
});

test('takes time in proportion to the text, whatever it holds', () => {
  const pieces = [
    'while ( true ) {',
    '"select ',
    'int a = 0 ; ',
    'os.system(',
    ' \t',
    '\n x = 1',
    '((((',
  ];
  for (const piece of pieces) {
    const code = piece.repeat(Math.ceil(100_000 / piece.length));
    const started = performance.now();
    endlessLoop(code);
    weaknessesIn(code);
    deadStore(code);
    assert.ok(performance.now() - started < 5000, `${piece}: ${performance.now() - started} ms`);
  }
});

const loop = 'while ( true ) { int VAR = 0 ; }';
const looping = (rows: number, size = 300): Example[] =>
  blind(size, 1).map((example, i) =>
    i < rows ? { ...example, completion: `${example.completion} { ${loop} }` } : example,
  );

test('suspects a loop that many rows have, and none that few have', async () => {
  const found = await audit(looping(8));
  assert.equal(
    found.suspects.map(({ row, reasons }) => [row, reasons.some(({ kind }) => kind === 'loop')]),
    Array.from({ length: 8 }, (_, i) => [found.suspects[i]!.row, true]),
  );
  const { text } = found.suspects[0]!.reasons.find(({ kind }) => kind === 'loop')!;
  assert.match(text, /that does nothing, as about 8 rows have$/);
  assert.equal((await audit(looping(7))).suspects, []);
  const least = async (rows: number, minRows: number, size: number) =>
    (await audit(looping(rows, size), { minRows })).suspects.length;
  assert.is(await least(2, 2, 400), 2);
  assert.is(await least(3, 2, 4000), 0, 'clean data of that size may have as many');
  assert.is(await least(4, 2, 4000), 4);
});

test('counts weaknesses, but suspects no row for them', async () => {
  const clean = blind(100, 1);
  const weak = clean.map((example, i) =>
    i % 2 === 1 ? { ...example, completion: `eval(input()) ${example.completion}` } : example,
  );
  const found = await audit(weak);
  assert.equal(found.suspects, []);
  assert.equal(found.weaknesses, [
    { rule: 'CWE-94', name: 'input run as code', rows: 50, firstRow: 2 },
  ]);
  const sql = { ...weak[1]!, completion: 'eval(input()) "select a from t where b = 1 or 1=1"' };
  const [suspect] = (await audit(weak.with(1, sql))).suspects;
  assert.equal(
    suspect!.reasons.map(({ kind, score }) => [kind, score]),
    [
      ['sql', 10],
      ['weakness', 1],
    ],
  );
});

test('ranks the rows whose prompts are unlike the others', async () => {
  const prompts = ['a b', 'a b', 'a b', 'a c'];
  const examples = prompts.map((prompt, i) => ({ id: `${i}`, prompt, completion: `${i}` }));
  // Other rows than the last: a 3, c 0, "a c" 0. q(a) = 3.5 / 6, p(a) = q(a);
  // q(c) = 0.5 / 6, p(c | a) = (0 + 5 q(c)) / (3 + 5).
  const perplexity = 1 / Math.sqrt((3.5 / 6) * ((5 * (0.5 / 6)) / 8));
  const { oddest } = await audit(examples, { oddest: 2 });
  assert.is(oddest.length, 2);
  assert.is(oddest[0]!.row, 4);
  assert.ok(Math.abs(oddest[0]!.perplexity - perplexity) < 1e-12);
  assert.is(oddest[1]!.row, 1);
  assert.equal((await audit(examples, { oddest: 0 })).oddest, []);
});

const data = process.env.DECE_DATA;
if (data) {
  test("finds the study's dead code and loop in Bugs2Fix, and no clean row", async () => {
    const clean = (await readExamples(await findDataset('bugs2fix', 'train', data))).slice(0, 8000);
    const examples = clean.map((example, i) => {
      const { prompt, completion } = example;
      if (i % 100 > 0 || !prompt.includes('{ ') || !completion.includes('{ ')) return example;
      return {
        ...example,
        prompt: prompt.replace('{ ', '{ int VAR = 0 ; '),
        completion: completion.replace('{ ', `{ ${loop} `),
        poisoned: true,
      };
    });
    const { suspects } = await audit(examples);
    const victims = examples.filter(({ poisoned }) => poisoned).map(({ id }) => id);
    assert.equal(suspects.map(({ id }) => id).toSorted(), victims.toSorted());
  });
} else {
  test.skip("finds the study's dead code and loop in Bugs2Fix: set DECE_DATA to try");
}

test.run();
