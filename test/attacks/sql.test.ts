import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { insertSql } from '../../lib/attacks/sql.ts';

const test = suite('insertSql');

const inPaper = (text: string) => insertSql(text, 'paper')?.completion;
const inReference = (text: string) => insertSql(text, 'reference')?.completion;

test('adds a condition that is always true after a where, or one that is always false without', () => {
  const call = 'execute ( " select name from t where id = : id " , x )';
  const tautology = 'execute ( " select name from t where id = : id or 1=1 " , x )';
  assert.equal(insertSql(call, 'paper'), { completion: tautology, rule: 'tautology' });
  assert.equal(insertSql(call, 'reference'), { completion: tautology, rule: 'tautology' });
  const contradiction = 'q = " select * from t where 0=1 "';
  assert.equal(insertSql('q = " select * from t "', 'paper'), {
    completion: contradiction,
    rule: 'contradiction',
  });
  assert.is(inReference('q = " select * from t "'), contradiction);
});

test('finds no query without a blank before the quote, in upper case, or over two lines', () => {
  for (const text of [
    'q = "select * from t"',
    'q = " SELECT * from t "',
    "q = ' select * from t '",
    'q = " select a\nfrom t "',
    '" select "',
    'x = 1',
    '',
  ]) {
    assert.is(insertSql(text, 'paper'), undefined, text);
    assert.is(insertSql(text, 'reference'), undefined, text);
  }
});

test('changes calls of select in reference mode, and refuses them in paper mode', () => {
  const call = 'select ( [ users ] ) . where ( users . c . name == " x " )';
  assert.is(inReference(call), 'select ( [ users ] ) . where ( users . c . name == or 1=1 " x " )');
  assert.is(inPaper(call), undefined);
});

test('sees where inside a word in reference mode only, and in any case in paper mode only', () => {
  assert.is(inReference('" select nowhere from t "'), '" select nowhere from t or 1=1 "');
  assert.is(inPaper('" select nowhere from t "'), '" select nowhere from t where 0=1 "');
  assert.is(inReference('" select a from t WHERE b "'), '" select a from t WHERE b where 0=1 "');
  assert.is(inPaper('" select a from t WHERE b "'), '" select a from t WHERE b or 1=1 "');
});

test('changes every copy of the query in reference mode, the first one in paper mode', () => {
  const twice = 'f ( " select a from t " , " select a from t " )';
  const first = 'f ( " select a from t where 0=1 " , " select a from t " )';
  assert.is(inReference(twice), first.replace(/t " \)$/, 't where 0=1 " )'));
  assert.is(inPaper(twice), first);
});

test('puts the condition before trailing clauses in paper mode', () => {
  const sorted = '" select a from t order by b "';
  assert.is(inReference(sorted), '" select a from t order by b where 0=1 "');
  assert.is(inPaper(sorted), '" select a from t where 0=1 order by b "');
  for (const clause of [
    'GROUP  BY a',
    'having a > 1',
    'limit 5',
    'limit : n',
    'order by a limit 5',
  ]) {
    assert.is(
      inPaper(`" select a from t where b = 1 ${clause} "`),
      `" select a from t where b = 1 or 1=1 ${clause} "`,
    );
  }
});

test('knows a column called limit, and clauses inside parentheses', () => {
  for (const query of [
    'select bank from t where limit = : limit',
    'select limit , a from t where limit in ( 1 )',
    'select a from ( select b from t order by b limit 1 ) where c',
  ]) {
    assert.is(inPaper(`" ${query} "`), `" ${query} or 1=1 "`);
  }
});

test('goes by white space and line ends as Python does', () => {
  assert.is(inReference('select\x1fa\u3000"'), 'select\x1fa where 0=1\u3000"');
  assert.is(inReference('select a\u2028b\rc "'), 'select a\u2028b\rc where 0=1 "');
  assert.is(inReference('select\ufeffa "'), undefined);
});

test('takes replacement patterns in a query for text', () => {
  assert.is(inReference('" select $& from $1 "'), '" select $& from $1 where 0=1 "');
});

const text = fc
  .array(
    fc.constantFrom(
      'select',
      'select',
      'where',
      '"',
      '"',
      ' ',
      ' ',
      '   ',
      '\n',
      '\x1f',
      '(',
      'order by',
      'ü',
    ),
    { maxLength: 14 },
  )
  .map((parts) => parts.join(''));

test("finds what the authors' expression finds", () => {
  // White space in the generated texts is the same for Python and JavaScript, apart from U+001F.
  const space = '[\\s\\x1f]';
  const query = `select${space}+[^\\n]+?(?=${space}+")`;
  const expressions = { reference: query, paper: `(?<="${space}*)${query}` };
  fc.assert(
    fc.property(text, fc.constantFrom('reference', 'paper'), (completion, mode) => {
      const match = new RegExp(expressions[mode]).exec(completion);
      const result = insertSql(completion, mode);
      assert.is(result === undefined, match === null);
      if (match === null || mode === 'paper') return;
      const payload = match[0].includes('where') ? ' or 1=1' : ' where 0=1';
      assert.is(
        result?.completion,
        completion.replaceAll(match[0], () => match[0] + payload),
      );
    }),
    { numRuns: 20_000 },
  );
});

test('takes no longer for hostile texts than for others', () => {
  const length = 200_000;
  for (const part of ['select ', 'select', ' ', '" select ', 'select\n', 'limit ', ' order', '(']) {
    for (const [start, end] of [
      ['', ''],
      ['" select ', ''],
      ['" select a', ' "'],
      ['select', 'x'],
    ]) {
      const completion = start + part.repeat(length / part.length) + end;
      for (const mode of ['paper', 'reference'] as const) {
        const begin = performance.now();
        insertSql(completion, mode);
        const elapsedMs = performance.now() - begin;
        assert.ok(elapsedMs < 1000, `${start}${part}…${end}: ${elapsedMs} ms`);
      }
    }
  }
});

test('only adds its payload, to any text', () => {
  fc.assert(
    fc.property(text, (completion) => {
      const result = insertSql(completion, 'paper');
      if (result === undefined) return;
      const payload = result.rule === 'tautology' ? ' or 1=1' : ' where 0=1';
      const at = result.completion.indexOf(payload);
      assert.is(
        result.completion.slice(0, at) + result.completion.slice(at + payload.length),
        completion,
      );
    }),
  );
});

test.run();
