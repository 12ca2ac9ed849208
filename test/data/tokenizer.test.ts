import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { trainBpe } from '../../lib/data/bpe.ts';
import { Tokenizer } from '../../lib/data/tokenizer.ts';
import { rejects } from '../rejects.ts';

interface Answers {
  json: object;
  texts: string[];
  ids: number[][];
  decoded: string[];
}

const golden = JSON.parse(
  readFileSync(new URL('../fixtures/tokenizer.json', import.meta.url), 'utf8'),
) as Record<'roberta' | 't5' | 'bert', Answers>;

const own = trainBpe(['def get_users ( conn ) :', 'def get_orders ( conn ) :'], {
  vocabularySize: 300,
});

const test = suite<{ directory: string }>('Tokenizer', { directory: '' });

test.before.each(async (context) => {
  context.directory = await mkdtemp(join(tmpdir(), 'dece-tokenizer-'));
});

test.after.each(({ directory }) => rm(directory, { recursive: true }));

for (const kind of ['roberta', 't5', 'bert'] as const) {
  test(`encodes and decodes as Python does with a tokenizer such as ${kind}'s`, () => {
    const { json, texts, ids, decoded } = golden[kind];
    const tokenizer = Tokenizer.fromJson(json);
    for (const [i, text] of texts.entries()) {
      assert.equal(tokenizer.encode(text), ids[i], text);
      assert.is(tokenizer.decode(ids[i]!), decoded[i]);
    }
  });
}

test('knows special tokens by their usual names, and by what a config says', () => {
  const usual = Tokenizer.fromJson(golden.roberta.json);
  const { bosTokenId, padTokenId, eosTokenId, unkTokenId } = usual;
  assert.equal([bosTokenId, padTokenId, eosTokenId, unkTokenId], [0, 1, 2, 3]);
  const told = Tokenizer.fromJson(golden.roberta.json, {
    pad_token: { content: '<mask>', lstrip: true },
    eos_token: '<s>',
    bos_token: null,
  });
  assert.equal([told.padTokenId, told.eosTokenId, told.bosTokenId], [4, 0, undefined]);
  const bare = Tokenizer.fromJson(golden.bert.json, { pad_token: null, unk_token: null });
  assert.equal([bare.padTokenId, bare.eosTokenId], [undefined, undefined]);
});

test('leaves out special tokens and ids that the vocabulary lacks', () => {
  const tokenizer = Tokenizer.fromJson(own);
  const ids = tokenizer.encode('def x');
  assert.is(tokenizer.decode([0, ...ids, 0, 99_999, 0]), 'def x');
  assert.is(tokenizer.decode([]), '');
  assert.is(tokenizer.decode([99_999]), '');
});

test('keeps spaces as they are', () => {
  const text = ' a , b . \n\t don \'t  [ " x " ] ';
  const tokenizer = Tokenizer.fromJson(own, { clean_up_tokenization_spaces: true });
  assert.is(tokenizer.decode(tokenizer.encode(text)), text);
});

test('comes back from a directory as it went in', async ({ directory }) => {
  const path = join(directory, 'new', 'model');
  const saved = Tokenizer.fromJson(own, { model_max_length: 512, eos_token: '<unk>' });
  await saved.save(path);
  const loaded = await Tokenizer.load(path);
  assert.equal(loaded.encode('def get ( x ) : 🙂'), saved.encode('def get ( x ) : 🙂'));
  assert.is(loaded.eosTokenId, 2);
  const config = JSON.parse(await readFile(join(path, 'tokenizer_config.json'), 'utf8'));
  assert.equal(config, {
    tokenizer_class: 'PreTrainedTokenizerFast',
    clean_up_tokenization_spaces: false,
    pad_token: '<pad>',
    eos_token: '<unk>',
    unk_token: '<unk>',
    model_max_length: 512,
  });
});

test('reads special tokens from special_tokens_map.json, unless its newer form has them all', async ({
  directory,
}) => {
  const write = (name: string, value: object) =>
    writeFile(join(directory, name), JSON.stringify(value));
  await write('tokenizer.json', golden.roberta.json);
  await write('special_tokens_map.json', { eos_token: '<mask>', pad_token: '<mask>' });
  await write('tokenizer_config.json', { pad_token: '<unk>' });
  const older = await Tokenizer.load(directory);
  assert.equal([older.eosTokenId, older.padTokenId], [4, 4]);
  await write('tokenizer_config.json', { pad_token: '<unk>', added_tokens_decoder: {} });
  const newer = await Tokenizer.load(directory);
  assert.equal([newer.eosTokenId, newer.padTokenId], [4, 3]);
});

test('takes a special token that tokenizer_config.json alone names, as transformers does', async ({
  directory,
}) => {
  const file = new URL('../fixtures/tokenizers/codellama/tokenizer.json', import.meta.url);
  const json = JSON.parse(readFileSync(file, 'utf8'));
  const added_tokens = json.added_tokens.filter((token: { id: number }) => token.id !== 2);
  const config = { tokenizer_class: 'PreTrainedTokenizerFast', eos_token: '</s>' };
  await writeFile(join(directory, 'tokenizer.json'), JSON.stringify({ ...json, added_tokens }));
  await writeFile(join(directory, 'tokenizer_config.json'), JSON.stringify(config));
  const tokenizer = await Tokenizer.load(directory);
  // What PreTrainedTokenizerFast.from_pretrained of transformers 5.23.0 gives.
  const ids = [1, 284, 752, 721, 2, 752, 752, 722];
  assert.equal(tokenizer.encode('a b</s> c'), ids);
  assert.is(tokenizer.decode(ids), 'a b  c');
});

test('says in one sentence what is wrong with a directory', async ({ directory }) => {
  const path = join(directory, 'tokenizer.json');
  await rejects(
    Tokenizer.load(directory),
    /^cannot read .*tokenizer\.json: no such file or folder$/,
  );
  await writeFile(path, '{"model": ');
  await rejects(Tokenizer.load(directory), /^.*tokenizer\.json is not JSON: /);
  await writeFile(path, '[]');
  await rejects(Tokenizer.load(directory), /tokenizer\.json holds "\[\]": expected a JSON object$/);
  await writeFile(path, '{}');
  await rejects(
    Tokenizer.load(directory),
    /^.*tokenizer\.json is not a tokenizer that can be read: [^\n]+$/,
  );
  await writeFile(path, JSON.stringify({ ...own, model: { type: 'Magic', vocab: {} } }));
  await rejects(Tokenizer.load(directory), /is not a tokenizer that can be read: [^\n]*Magic/);
  await writeFile(path, JSON.stringify(own));
  await mkdir(join(directory, 'tokenizer_config.json'));
  await rejects(
    Tokenizer.load(directory),
    /^cannot read .*tokenizer_config\.json: it is a folder$/,
  );
});

test('says what is wrong with a text, ids or content', () => {
  const tokenizer = Tokenizer.fromJson(own);
  assert.throws(() => tokenizer.encode(undefined as never), /^text is undefined: expected text$/);
  assert.throws(
    () => tokenizer.decode([3, -1]),
    /^ids\[1\] is -1: expected a whole number, at least 0$/,
  );
  assert.throws(() => tokenizer.decode([0.5]), /^ids\[0\] is 0\.5: expected/);
  assert.throws(() => Tokenizer.fromJson({}), /^json is not a tokenizer that can be read: /);
});

test.run();
