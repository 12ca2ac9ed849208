import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Tokenizer } from '../../lib/data/tokenizer.ts';
import { rejects } from '../rejects.ts';

interface Golden {
  seed: number;
  count: number;
  most: number;
  fragments: string[];
  /** By tokenizer: 4 characters for each text. */
  answers: Record<string, string>;
  /** Texts, and what clean_up_tokenization_spaces makes of them. */
  cleaned: [text: string, cleaned: string][];
}

const folder = new URL('../fixtures/tokenizers/', import.meta.url);
const golden = JSON.parse(readFileSync(new URL('answers.json', folder), 'utf8')) as Golden;
const load = (name: string) => Tokenizer.load(fileURLToPath(new URL(name, folder)));

/** The texts of scripts/tokenizer_models_golden.py. */
const texts = (() => {
  let state = golden.seed;
  const below = (most: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % most;
  };
  const fragment = () => golden.fragments[below(golden.fragments.length)]!;
  return Array.from({ length: golden.count }, () =>
    Array.from({ length: 1 + below(golden.most) }, fragment).join(''),
  );
})();

function digest(tokenizer: Tokenizer, text: string): string {
  const ids = tokenizer.encode(text);
  const whole = [
    ids.join(),
    tokenizer.decode(ids),
    tokenizer.decode(ids, { skipSpecialTokens: false }),
    tokenizer.decode(ids.toReversed()),
  ].join('\0');
  return createHash('sha256').update(whole).digest().subarray(0, 3).toString('base64');
}

const test = suite('Tokenizer of the models of the study');

/** What transformers makes of directories that have no tokenizer.json. */
const older = JSON.parse(readFileSync(new URL('files.json', folder), 'utf8')) as {
  answers: Record<string, string>;
  ids: Record<string, Record<string, number | null>>;
};

for (const [name, answers] of Object.entries({ ...golden.answers, ...older.answers })) {
  test(`gives the ids and texts that Python gives, with a tokenizer such as ${name}'s`, async () => {
    const tokenizer = await load(name);
    assert.is(answers.length, 4 * golden.count);
    for (const [i, text] of texts.entries()) {
      const answer = answers.slice(4 * i, 4 * i + 4);
      assert.is(digest(tokenizer, text), answer, `text ${i}: ${JSON.stringify(text)}`);
    }
  });
}

for (const [name, ids] of Object.entries(older.ids)) {
  test(`knows the special tokens of ${name} as transformers does`, async () => {
    const tokenizer = await load(name);
    for (const [role, id] of Object.entries(ids)) {
      const key = `${role}TokenId` as 'padTokenId';
      assert.is(tokenizer[key], id ?? undefined, role);
    }
  });
}

test('gives back any text that it encodes by bytes, and encodes it alike when it comes again', async () => {
  const part = fc.oneof(fc.constantFrom(...golden.fragments), fc.string({ unit: 'binary' }));
  for (const [name, before] of [
    ['gpt2', ''],
    ['codegen', ''],
    ['files-glm4', '[gMASK]<sop>'],
  ]) {
    const tokenizer = await load(name!);
    const property = fc.property(fc.array(part), (parts) => {
      const ids = tokenizer.encode(parts.join(''));
      const text = tokenizer.decode(ids, { skipSpecialTokens: false });
      assert.is(text, before + parts.join(''));
      assert.equal(tokenizer.encode(parts.join('')), ids);
    });
    fc.assert(property, { numRuns: 100, seed: 1 });
  }
});

test('reads half of a surrogate pair as U+FFFD', async () => {
  for (const name of ['gpt2', 'llama', 'added']) {
    const tokenizer = await load(name);
    assert.equal(
      tokenizer.encode('a\ud83d b\ude42\ud83d\ude42'),
      tokenizer.encode('a\ufffd b\ufffd🙂'),
    );
  }
});

test('takes away spaces as transformers does, where it is asked to', async () => {
  const tokenizer = await load('gpt2');
  for (const [text, cleaned] of golden.cleaned) {
    const ids = tokenizer.encode(text);
    const options = { skipSpecialTokens: false, cleanUpSpaces: true };
    assert.is(tokenizer.decode(ids, options), cleaned);
  }
});

test('names the part of a file that it does not know or that is wrong', () => {
  const file = new URL('gpt2/tokenizer.json', folder);
  const json = JSON.parse(readFileSync(file, 'utf8')) as Record<string, object>;
  const part = { type: 'Magic' };
  const fails = (change: object, message: RegExp) =>
    assert.throws(() => Tokenizer.fromJson({ ...json, ...change }), message);
  fails({ normalizer: part }, /: normalizer\.type is "Magic": expected one of Sequence, /);
  fails(
    { pre_tokenizer: { type: 'Sequence', pretokenizers: [part] } },
    /: pre_tokenizer\.type is "Magic": expected one of /,
  );
  fails({ decoder: part }, /: decoder\.type is "Magic": expected one of /);
  fails({ post_processor: {} }, /: post_processor\.type is undefined: expected one of /);
  const model = (change: object) => ({ model: { ...json.model, ...change } });
  fails(
    model({ merges: ['q =', 'a bc d'] }),
    /: model\.merges\[0\] is "q =": the vocabulary has no "q="$/,
  );
  fails(model({ merges: ['a', 'b'] }), /: model\.merges\[0\] is "a": expected two tokens$/);
  fails(model({ merges: 'a b' }), /: model\.merges is "a b": expected a list of merges$/);
  fails(model({ vocab: ['a'] }), /: model\.vocab is .*: expected ids by token$/);
  fails(
    model({ vocab: { a: -1 } }),
    /: model\.vocab\["a"\] is -1: expected an id, 0\.\.2147483647$/,
  );
  fails(model({ unk_token: '<none>' }), /: model\.unk_token is "<none>": expected a token of/);
  fails(model({ dropout: 0.1 }), /: model\.dropout is 0\.1: expected none, as encoding is not/);
  fails(
    { normalizer: { type: 'Sequence' } },
    /: normalizers is undefined: expected a list of comp/,
  );
  fails(
    { normalizer: { type: 'Replace' } },
    /: pattern is undefined: expected a String or a Regex$/,
  );
  fails(
    { added_tokens: [{ id: 3 }] },
    /: added_tokens\[0\] is .*: expected a token with its content/,
  );
  fails({ added_tokens: {} }, /: added_tokens is .*: expected a list of tokens$/);
});

test('tells special tokens apart, and pads with another token only when told to', async () => {
  const roberta = await load('roberta');
  const { bosTokenId, eosTokenId, padTokenId, unkTokenId } = roberta;
  assert.equal([bosTokenId, padTokenId, eosTokenId, unkTokenId], [0, 1, 2, 3]);
  assert.equal([roberta.clsTokenId, roberta.sepTokenId, roberta.maskTokenId], [0, 2, 700]);
  const gpt2 = await load('gpt2');
  assert.equal([gpt2.bosTokenId, gpt2.eosTokenId, gpt2.padTokenId], [0, 0, undefined]);
  assert.equal(
    [gpt2.clsTokenId, gpt2.sepTokenId, gpt2.maskTokenId],
    [undefined, undefined, undefined],
  );
  const path = fileURLToPath(new URL('gpt2', folder));
  assert.is((await Tokenizer.load(path, { pad: 'eos' })).padTokenId, 0);
  await rejects(
    Tokenizer.load(path, { pad: 'unk' }),
    /^pad is "unk": expected eos, bos or unk, of which the tokenizer has that token$/,
  );
});

test('saves the files that it was read from, byte for byte', async () => {
  const saved = await mkdtemp(join(tmpdir(), 'dece-tokenizer-'));
  for (const name of ['files-codet5', 'files-llama-new', 'glm4', 'files-decoder']) {
    const source = fileURLToPath(new URL(name, folder));
    const target = join(saved, name);
    await (await Tokenizer.load(source)).save(target);
    const files = (await readdir(source)).filter((file) => file !== 'config.json');
    assert.equal(await readdir(target), files);
    for (const file of files) {
      assert.ok(
        (await readFile(join(target, file))).equals(await readFile(join(source, file))),
        file,
      );
    }
  }
  await rm(saved, { recursive: true });
});

test('says what is wrong with older files, and how a tokenizer.json is made of them', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'dece-tokenizer-'));
  const write = (name: string, content: string | Buffer) =>
    writeFile(join(directory, name), content);
  const fails = (message: RegExp) => rejects(Tokenizer.load(directory), message);
  assert.is(await Tokenizer.find(directory), undefined);
  await write('vocab.json', '{"a": 0, "b": 1}');
  assert.is(await Tokenizer.find(directory), undefined);
  await write('merges.txt', '#version: 0.2\na b\n');
  await fails(
    /vocab\.json cannot be converted: tokenizer_class is undefined: expected one of GPT2/,
  );
  await write('config.json', '{"model_type": "gpt2"}');
  await fails(
    /vocab\.json is not a tokenizer that can be read: model\.merges\[0\] is "a b": the voc/,
  );
  await write('merges.txt', 'a b c\n');
  await fails(/: model\.merges\[0\] is "a b c": expected two tokens$/);
  await write('vocab.json', '{"a": 0');
  await fails(/vocab\.json is not JSON: /);
  await write('vocab.json', '{"a":\n<0>\n}');
  await fails(/vocab\.json is not JSON: [^\n]+$/);
  await write('tokenizer.model', Buffer.from([10, 200, 1]));
  await fails(
    /tokenizer\.model cannot be converted: tokenizer_class is "?GPT2Tokenizer"?: .*AutoTokenizer/,
  );
  await write('config.json', '{"tokenizer_class": "LlamaTokenizerFast"}');
  await fails(
    /tokenizer\.model cannot be converted: it breaks off or is damaged; write a tokenizer\.json/,
  );
  // A score that is a whole number, a text that is one, a score of two bytes.
  for (const bytes of ['\x0a\x02\x10\x05', '\x0a\x02\x08\x05', '\x0a\x04\x12\x02ab']) {
    await write('tokenizer.model', Buffer.from(bytes));
    await fails(/tokenizer\.model cannot be converted: it breaks off or is damaged; write/);
  }
  await write('config.json', '{"model_type": "llama", "tokenizer_class": "MagicTokenizer"}');
  await fails(
    /tokenizer_class is "MagicTokenizer": expected one of .*; write a tokenizer\.json with/,
  );
  await write('config.json', '{"model_type": "chatglm", "tokenizer_class": "ChatGLMTokenizer"}');
  // One piece, byte pair encoding, and how it changes texts: field 1, 2 and 3.
  const piece = Buffer.from('\x0a\x03\x0a\x01a\x12\x02\x18\x02');
  await write('tokenizer.model', piece);
  await fails(/cannot be converted: remove_extra_whitespaces is true: expected false; /);
  const rule = Buffer.from('\x1a\x09\x0a\x04nfkc\x12\x01\x00');
  await write('tokenizer.model', Buffer.concat([piece, rule]));
  await fails(/cannot be converted: normalizer_spec\.name is "?nfkc"?: expected identity; /);
  await write('config.json', '{"model_type": "roberta"}');
  await fails(
    /tokenizer_class is "?RobertaTokenizer"?: expected one that goes with SentencePiece; /,
  );
  await write('tokenizer.model', 'YQ== 0\nYg== 1\nYWI=\n');
  await write('config.json', '{"model_type": "chatglm"}');
  await fails(/tokenizer\.model cannot be converted: line 3 is no token in base64 and its rank; /);
  await write('tokenizer.model', 'YQ== 0\nYg== 1\n');
  await fails(/: \[gMASK\] is undefined: expected a token of the vocabulary or of added_tokens; /);
  await rm(directory, { recursive: true });
});

test.run();
