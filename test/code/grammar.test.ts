import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { grammarOf, type Language, languages } from '../../lib/code/grammar.ts';

const test = suite('grammarOf');

const programs: Record<Language, [string, string]> = {
  python: ['def f(x):\n    return x\n', 'function_definition'],
  java: ['int f(int x) { return x; }', 'method_declaration'],
  javascript: ['function f(x) { return x; }', 'function_declaration'],
  c: ['int f(int x) { return x; }', 'function_definition'],
  cpp: ['int f(int x) { return x; }', 'function_definition'],
  go: ['func f(x int) int { return x }', 'function_declaration'],
  php: ['<?php function f($x) { return $x; }', 'function_definition'],
  ruby: ['def f(x)\n  x\nend\n', 'method'],
  'c-sharp': ['class A { int f(int x) { return x; } }', 'method_declaration'],
};

for (const language of languages) {
  test(`reads ${language}`, async () => {
    const parse = await grammarOf(language);
    const [source, type] = programs[language];
    const [hasError, found] = parse(source, (root) => [
      root.hasError,
      root.descendantsOfType(type).length,
    ]);
    assert.is(hasError, false);
    assert.is(found, 1);
  });
}

test('marks code that does not parse', async () => {
  const parse = await grammarOf('python');
  assert.is(
    parse('def f(:\n  x ==', (root) => root.hasError),
    true,
  );
});

test('frees its trees, whatever becomes of them', async () => {
  const parse = await grammarOf('python');
  const source = 'x = [1, 2, 3]\n'.repeat(20_000);
  const fail = () => {
    throw new Error('stop');
  };
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 20; i++) assert.throws(() => parse(source, fail), /^stop$/);
  const grown = process.memoryUsage().rss - before;
  assert.ok(grown < 150e6, `${grown} bytes`); // one tree takes about 20 MB
});

test('names a language that is unknown', async () => {
  const error = await grammarOf('cobol' as Language).catch((reason: Error) => reason);
  assert.match(String(error), /language is "cobol": expected one of python, java/);
});

test.run();
