import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { grammarOf } from '../../lib/code/grammar.ts';
import {
  renameVariables,
  type VariableLanguage,
  variableLanguages,
  variablesOf,
} from '../../lib/code/variables.ts';

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

test('gives the tokens of a program, without comments', async () => {
  await grammarOf('java');
  const { tokens } = variablesOf('int f() { /* x */ return "a b"; // y\n}', 'java');
  assert.equal(
    tokens.map(({ text }) => text),
    ['int', 'f', '(', ')', '{', 'return', '"a b"', ';', '}'],
  );
});

test.run();
