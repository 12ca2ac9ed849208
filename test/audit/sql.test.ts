import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { emptyCondition } from '../../lib/audit/sql.ts';

const test = suite('emptyCondition');

test('finds what is always true behind or', () => {
  for (const condition of [
    'or 1=1',
    'OR 1 = 1',
    'or\t0=0',
    "or '1'='1",
    "or 'a' like 'a'",
    'or (1=1)',
    'or/**/1=1',
    'or 2>1',
    "or 'a'<>'b'",
    'or "x" = "x"',
    "or \\'1\\' = \\'1\\'",
    "or''=''",
    'or 1.5 = 1.50',
  ]) {
    const found = emptyCondition(`q = " select a from t where b = c ${condition} "`);
    assert.is(found?.rule, 'tautology', condition);
  }
});

test('finds what is always false behind where, having and and', () => {
  for (const condition of ['where 0=1', 'WHERE 1 = 0', 'and 1<>1', "having 'a'='b'", 'and 2 < 1']) {
    const found = emptyCondition(`" select a from t ${condition} "`);
    assert.is(found?.rule, 'contradiction', condition);
  }
});

test('leaves alone what looks at the data, changes nothing or is no condition', () => {
  for (const text of [
    'where 1=1 and a = b',
    'and 1 = 1',
    'or 0=1',
    'or a = 1',
    'or 1 = a1',
    'or 1 = 1.a',
    'or a = a',
    'x or 1 == 1',
    'color 1=1',
    'floor=1',
    "or 'a' = b",
    'where a in (0, 1)',
    '',
    '\0',
  ]) {
    assert.is(emptyCondition(text), undefined, text);
  }
});

test('takes little time for long texts', () => {
  const started = performance.now();
  for (const part of ['or ', "or '", 'or (', 'or/*', 'where 1', 'or 1=', "' ", 'or 1 ']) {
    emptyCondition(part.repeat(50_000));
  }
  assert.ok(performance.now() - started < 5000);
});

test.run();
