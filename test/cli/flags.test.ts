import { Command } from 'commander';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { count, inFlags, wholeNumber } from '../../lib/cli/flags.ts';
import { whole } from '../../lib/fields.ts';

const command = new Command('train');
for (const flag of ['rate', 'alpha-base', 'max-input-tokens', 'max-new-tokens', 'lora', 'alpha']) {
  command.option(`--${flag} <value>`);
}
const told = (message: string) => inFlags(command, message);

const test = suite('inFlags');

test('says the flag that sets an option', () => {
  assert.is(told('alphaBase is 2: expected in (0, 1]'), '--alpha-base is 2: expected in (0, 1]');
  assert.is(told('loss.alphaBase is 2: expected 1'), '--alpha-base is 2: expected 1');
  assert.is(told('poisonRate is 1: expected 0'), '--rate is 1: expected 0');
  assert.is(told('lora.alpha is 0: expected more'), 'alpha of --lora is 0: expected more');
  assert.is(told('rate is undefined: expected 1'), '--rate is missing: expected 1');
});

test('says that a number is too large to be whole', () => {
  const large = /^Expected a whole number below 2\*\*53\.$/;
  for (const text of ['1e30', '9007199254740992', '9'.repeat(400), 'Infinity']) {
    assert.throws(() => count(text), large);
    assert.throws(() => wholeNumber(text), large);
    const { error } = whole(1).safeParse(Number(text));
    assert.is(error!.issues[0]!.message, 'a whole number below 2**53', text);
  }
  assert.is(count('9007199254740991'), Number.MAX_SAFE_INTEGER);
  assert.throws(() => count('0'), /^Expected a whole number above 0\.$/);
  assert.is(whole(1).safeParse(0).error!.issues[0]!.message, 'a whole number, at least 1');
});

test('leaves alone what no flag of the command sets', () => {
  for (const message of [
    'seed is -1: expected 0',
    'a.jsonl is empty',
    'labels[1] is 4: expected',
  ]) {
    assert.is(told(message), undefined);
  }
});

test('says which flags go with others', () => {
  assert.is(
    told('the attack has an unknown option "alpha": expected rate, mode, alphaBase'),
    'the attack takes no --alpha: expected --rate, --alpha-base',
  );
});

test('says how texts become short enough', () => {
  const expected = ': expected at most 63, the positions that the model knows; ';
  assert.is(
    told(`inputIds has 91 columns${expected}take shorter texts`),
    `inputIds has 91 columns${expected}take shorter texts, with --max-input-tokens 63 or less`,
  );
  assert.is(
    told(
      `inputIds has 60 columns, and 9 are to come${expected}lower maxNewTokens, or maxInputTokens`,
    ),
    `inputIds has 60 columns, and 9 are to come${expected}lower --max-new-tokens, or --max-input-tokens`,
  );
});

test.run();
