import { spawnSync } from 'node:child_process';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { grammarOf } from '../../lib/code/grammar.ts';
import {
  renameVariables,
  type VariableLanguage,
  variableLanguages,
  variablesOf,
} from '../../lib/code/variables.ts';
import { canImport } from '../python.ts';

const test = suite('variablesOf');

const programs: Record<VariableLanguage, [code: string, variables: string[], renamed: string][]> = {
  java: [
    [
      'int f ( int a , T ... b ) { int c = a . a + this . c ; for ( T d : b ) { c += d . c ( a ) ; } return c ; }',
      ['c', 'd', 'a', 'b'],
      'int f ( int V2 , T ... V3 ) { int V0 = V2 . a + this . c ; for ( T V1 : V3 ) { V0 += V1 . c ( V2 ) ; } return V0 ; }',
    ],
    [
      'void f(){ try (R r = g()) { x = r; } catch (E e) { log(e); } h((p, q) -> p + q); }',
      ['r', 'e', 'p', 'q'],
      'void f(){ try (R V0 = g()) { x = V0; } catch (E V1) { log(V1); } h((V2, V3) -> V2 + V3); }',
    ],
  ],
  c: [
    [
      'static int f(char **a, int n[]) { int i = 0, *p; /* a */ for (i = 0; i < n[0]; i++) p->a += g(a, "a"); return *p; }',
      ['i', 'p', 'a', 'n'],
      'static int f(char **V2, int V3[]) { int V0 = 0, *V1; /* a */ for (V0 = 0; V0 < V3[0]; V0++) V1->a += g(V2, "a"); return *V1; }',
    ],
  ],
  python: [
    [
      'def f(self, a, b=1, *c, **d):\n    x, (y, z) = a.a, b\n    for i in c:\n        x += g(a=a)\n    with o() as w:\n        return [k for k in d] + self.x\n',
      ['x', 'y', 'z', 'i', 'w', 'k', 'a', 'b', 'c', 'd'],
      'def f(self, V6, V7=1, *V8, **V9):\n    V0, (V1, V2) = V6.a, V7\n    for V3 in V8:\n        V0 += g(a=V6)\n    with o() as V4:\n        return [V5 for V5 in V9] + self.x\n',
    ],
  ],
};

for (const language of variableLanguages) {
  test(`finds and renames the variables of ${language}`, async () => {
    const parse = await grammarOf(language);
    for (const [code, variables, renamed] of programs[language]) {
      const found = variablesOf(code, language);
      assert.equal(found.variables, variables);
      const names = variables.map((_, i) => `V${i}`);
      const { code: result, places } = renameVariables(code, found, names);
      assert.is(result, renamed);
      for (const { start, end } of places) assert.match(result.slice(start, end), /^V\d$/);
      assert.is(
        parse(result, (root) => root.hasError),
        false,
      );
      assert.equal(
        found.tokens.map(({ text, start }) => code.slice(start, start + text.length) === text),
        found.tokens.map(() => true),
      );
    }
  });
}

const withSites: [VariableLanguage, code: string, variables: string[], renamed: string][] = [
  [
    'java',
    'boolean f ( int x ) { this . x = true ; this . a . g ( ) ; this . h ( ) ; return ! true == x && a != false ; }',
    ['x', 'this.x', 'this.a', 'true', 'true', 'false'],
    'boolean f ( int V0 ) { this . V1 = "V3" == "V3" ; this . V2 . g ( ) ; this . h ( ) ; return ! ( "V4" == "V4" ) == V0 && V2 != ( "V5" != "V5" ) ; }',
  ],
  [
    'python',
    'def f(self, a=True):\n    self.x = not False\n    self.g(self.x.y, self.g)\n    match a:\n        case True: return a\n',
    ['a', 'self.x', 'True', 'False'],
    'def f(self, V0="V2" == "V2"):\n    self.V1 = not ( "V3" != "V3" )\n    self.g(self.V1.y, self.g)\n    match V0:\n        case True: return V0\n',
  ],
];

for (const [language, code, variables, renamed] of withSites) {
  test(`takes fields and booleans of ${language} for variables where asked`, async () => {
    const parse = await grammarOf(language);
    const found = variablesOf(code, language, { fields: true, booleans: true });
    assert.equal(found.variables, variables);
    const names = variables.map((_, i) => `V${i}`);
    const { code: result, places } = renameVariables(code, found, names);
    assert.is(result, renamed);
    for (const { start, end } of places) {
      assert.match(result.slice(start, end), /^(V\d|(\( )?"(V\d)" [!=]= "\3"( \))?)$/);
    }
    assert.is(
      parse(result, (root) => root.hasError),
      false,
    );
    assert.equal(variablesOf(code, language).variables, [variables[0]]);
  });
}

const testWithPython = canImport('sys') ? test : test.skip;
testWithPython('booleans of Python are still true and false', async () => {
  await grammarOf('python');
  const code =
    'def f(x):\n    y = [True, not True, x == True, False or True, (False)]\n    return y, f if not False else 1\nprint([str(v) for v in f(1)[0]], f(True)[0])\n';
  const found = variablesOf(code, 'python', { booleans: true });
  const { code: result } = renameVariables(
    code,
    found,
    found.variables.map((_, i) => `w${i}`),
  );
  assert.not.match(result, /True|False/);
  const run = (program: string) => spawnSync('python3', ['-c', program], { encoding: 'utf8' });
  const [before, after] = [run(code), run(result)];
  assert.equal([after.stdout, after.stderr, after.status], [before.stdout, '', 0]);
});

test('leaves names alone that Python finds elsewhere', async () => {
  await grammarOf('python');
  const { variables } = variablesOf('def f(a):\n    global n\n    n = a\n    m = n\n', 'python');
  assert.equal(variables, ['m', 'a']);
});

test('reads code nested to any depth', async () => {
  await grammarOf('c');
  const { variables, tokens } = variablesOf(`void f(int a) { ${'if (a) '.repeat(10_000)} ; }`, 'c');
  assert.equal(variables, ['a']);
  assert.is(tokens.filter(({ variable }) => variable === 0).length, 10_001);
});

test('gives the tokens of a program, without comments', async () => {
  await grammarOf('java');
  const { tokens } = variablesOf('int f() { /* x */ return "a b"; // y\n}', 'java');
  assert.equal(
    tokens.map(({ text }) => text),
    ['int', 'f', '(', ')', '{', 'return', '"a b"', ';', '}'],
  );
});

test.run();
