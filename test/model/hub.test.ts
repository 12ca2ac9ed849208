import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type FindOptions, findModel } from '../../lib/model/hub/index.ts';
import { Model } from '../../lib/model/index.ts';
import { canImport } from '../python.ts';
import { rejects } from '../rejects.ts';
import { fixturePath } from './fixture.ts';
import { type Answer, HubServer, hashesOf } from './hub_server.ts';

const test = suite('models of the Hub');
const hub = new HubServer();
let cache = '';
let lines: string[] = [];

const gpt2 = (name: string) => readFileSync(join(fixturePath('models/gpt2'), name));
const weights = gpt2('model.safetensors');
const tokenizer = readFileSync(fixturePath('tokenizer.json'));

test.before(() => hub.open());
test.after(() => hub.close());
test.before.each(async () => {
  cache = await mkdtemp(join(tmpdir(), 'dece-hub-'));
  hub.files.clear();
  hub.files.set('config.json', gpt2('config.json'));
  hub.files.set('model.safetensors', weights);
  hub.files.set('pytorch_model.bin', Buffer.from('not to be downloaded'));
  hub.files.set('README.md', Buffer.from('nor this'));
  hub.commit = 'a'.repeat(40);
  hub.answers = [];
  hub.asked = [];
  lines = [];
});
test.after.each(() => rm(cache, { recursive: true }));

const settings = (more: NodeJS.ProcessEnv = {}): FindOptions => ({
  env: { HF_HOME: cache, HF_ENDPOINT: hub.endpoint, ...more },
  log: (line) => lines.push(line),
  waitMs: 1,
  stallMs: 300,
});
const find = (env: NodeJS.ProcessEnv = {}, name = 'owner/tiny') => findModel(name, settings(env));
const place = () => join(cache, 'hub', 'models--owner--tiny');
const files = () => hub.asked.filter(({ path }) => !path.startsWith('/api/'));

test('lie where huggingface_hub looks for them, and only what is read', async () => {
  const { directory, name } = await find();
  assert.is(name, `owner/tiny@${hub.commit}`);
  assert.is(directory, join(place(), 'snapshots', hub.commit));
  assert.equal((await readdir(directory)).sort(), ['config.json', 'model.safetensors']);
  assert.is(await readFile(join(place(), 'refs', 'main'), 'utf8'), hub.commit);
  const [config, model] = [hashesOf(gpt2('config.json')).blobId, hashesOf(weights).sha256];
  assert.equal((await readdir(join(place(), 'blobs'))).sort(), [config, model].sort());
  assert.is(await readlink(join(directory, 'config.json')), `../../blobs/${config}`);
  assert.ok((await readFile(join(directory, 'model.safetensors'))).equals(weights));
  const path = '/api/models/owner/tiny/revision/main?blobs=true';
  assert.equal(hub.asked[0], { host: 'hub', path });
  assert.match(lines.join('\n'), /^downloading 1 kB from http:.*\ndownloading 36 kB from http:.*$/);
});

test('load by their name, as the directory does', async () => {
  const before = { ...process.env };
  Object.assign(process.env, { HF_HOME: cache, HF_ENDPOINT: hub.endpoint });
  try {
    using here = await Model.load(fixturePath('models/gpt2'));
    using there = await Model.load('owner/tiny', { log: (line) => lines.push(line) });
    const batch = { inputIds: [[3, 4, 5]] };
    assert.equal((await there.logits(batch)).data, (await here.logits(batch)).data);
    await rejects(
      Model.load(fixturePath('models/gpt2'), { revision: 'main' }),
      /^revision is "main": expected none, as .* is no name on the Hub$/,
    );
  } finally {
    process.env = before;
  }
});

test('a revision is a branch, a tag or a commit', async () => {
  const { name } = await find({}, 'owner/tiny@refs/pr/1');
  assert.is(name, `owner/tiny@${hub.commit}`);
  assert.is(hub.asked[0]!.path, '/api/models/owner/tiny/revision/refs%2Fpr%2F1?blobs=true');
  assert.is(await readFile(join(place(), 'refs', 'refs', 'pr', '1'), 'utf8'), hub.commit);
  for (const wrong of ['', '../x', 'a//b', 'a.lock', 'a b', '-x']) {
    await rejects(find({}, `owner/tiny@${wrong}`), /^revision is .*: expected a branch, a tag or/);
  }
});

test('a directory goes before a name, and what is neither is left as it is', async () => {
  for (const name of [cache, 'test/model', './owner/tiny', 'one', 'a/b/c', 'a/..', 'a--b/c', '']) {
    assert.equal(await find({}, name), { directory: name, name });
  }
  assert.equal(hub.asked, []);
});

test('what is there is not downloaded again, and a commit asked of nobody', async () => {
  hub.files.set('tokenizer.json', tokenizer);
  const { name } = await find();
  hub.asked = [];
  await find();
  assert.is(hub.asked.length, 1);
  await find({}, name);
  assert.is(hub.asked.length, 1);
  // Another commit with the same weights brings what is new.
  hub.commit = 'b'.repeat(40);
  hub.files.set('config.json', Buffer.concat([gpt2('config.json'), Buffer.from('\n')]));
  const { directory } = await find();
  assert.match(
    files()
      .map(({ path }) => path)
      .join(),
    /^\/owner\/tiny\/resolve\/b{40}\/config\.json$/,
  );
  assert.ok(existsSync(join(directory, 'tokenizer.json')));
});

test('a cut connection is gone on with', async () => {
  const cut: Answer = (_, response) => {
    response.writeHead(200, { 'content-length': weights.length });
    response.write(weights.subarray(0, 20_000));
    setTimeout(() => response.destroy(), 100);
  };
  hub.answers = [undefined, undefined, undefined, cut];
  const { directory } = await find();
  assert.ok((await readFile(join(directory, 'model.safetensors'))).equals(weights));
  assert.equal(
    files()
      .map(({ host, range }) => [host, range])
      .slice(1),
    [
      ['hub', undefined],
      ['cdn', undefined],
      ['hub', 'bytes=20000-'],
      ['cdn', 'bytes=20000-'],
    ],
  );
});

test('what a call that was stopped has left is gone on with by the next', async () => {
  const controller = new AbortController();
  const cut: Answer = (_, response) => {
    response.writeHead(200, { 'content-length': weights.length });
    response.write(weights.subarray(0, 20_000));
    setTimeout(() => controller.abort(), 100);
  };
  hub.answers = [undefined, undefined, undefined, cut];
  const stopped = findModel('owner/tiny', { ...settings(), signal: controller.signal });
  assert.is(await stopped.catch((error) => error), controller.signal.reason);
  assert.not(existsSync(join(place(), 'refs')));
  await rejects(find({ HF_HUB_OFFLINE: '1' }), /no model of that name/);
  hub.asked = [];
  await find();
  assert.equal(
    files().map(({ range }) => range),
    ['bytes=20000-', 'bytes=20000-'],
  );
});

test('a server that stalls or is busy is asked again', async () => {
  const stalls: Answer = (_, response) => {
    response.writeHead(200, { 'content-length': weights.length });
    response.write(weights.subarray(0, 1000));
  };
  const status =
    (code: number): Answer =>
    (_, response) =>
      response.writeHead(code).end();
  hub.answers = [status(500), undefined, status(503), undefined, undefined, stalls, status(429)];
  const { directory } = await find();
  assert.ok((await readFile(join(directory, 'model.safetensors'))).equals(weights));
  assert.match(
    lines.join('\n'),
    /answers 500; asking.*answers 503; .*nothing any more.*answers 429/s,
  );
});

test('a commit that is asked for is the one that is taken', async () => {
  const asked = 'b'.repeat(40);
  await rejects(
    find({}, `owner/tiny@${asked}`),
    /^http:.* answers with the commit a{40} of owner\/tiny: expected b{40}, which was asked for$/,
  );
  assert.is(files().length, 0);
});

test('secrets are in no message, and what cannot be sent is asked of nobody', async () => {
  const refuses = async (env: NodeJS.ProcessEnv, expected: RegExp) => {
    const { message } = await find(env).then(
      () => assert.unreachable() as never,
      (error: Error) => error,
    );
    assert.match(message, expected);
    assert.not.match([message, ...lines].join('\n'), /secret/);
  };
  const noToken = /holds characters that no token has: expected the token of the Hub alone/;
  await writeFile(join(cache, 'token'), 'hf_secret\0\0');
  await refuses({}, noToken);
  await refuses({ HF_TOKEN: 'hf_secret\u00e9' }, noToken);
  const address = hub.endpoint.replace('http://', 'http://user:secret@');
  await refuses({ HF_ENDPOINT: address }, /^HF_ENDPOINT holds a name or password: expected/);
  await refuses({ HF_ENDPOINT: 'http://secret@:99999' }, /^HF_ENDPOINT holds a name or password/);
  assert.equal([hub.asked, lines], [[], []]);
});

test('the token goes to the Hub, and to no host that it leads to', async () => {
  await find({ HF_TOKEN: 'hf_secret' });
  assert.ok(hub.asked.some(({ host }) => host === 'cdn'));
  for (const { host, token } of hub.asked) {
    assert.is(token, host === 'hub' ? 'Bearer hf_secret' : undefined);
  }
  hub.asked = [];
  await rm(join(cache, 'hub'), { recursive: true });
  await writeFile(join(cache, 'token'), 'hf_of_login\n');
  await find();
  assert.is(hub.asked[0]!.token, 'Bearer hf_of_login');
  assert.not.match(lines.join(), /hf_/);
});

test('a server that says no is told with its reason', async () => {
  const status =
    (code: number): Answer =>
    (_, response) =>
      response.writeHead(code).end('no');
  const cases: [number, RegExp][] = [
    [
      401,
      /^there is no directory owner\/tiny, and http:.* answers 401 for the model owner\/tiny: it is not there, or HF_TOKEN has to be a token that may read it$/,
    ],
    [403, /answers 403 .* HF_TOKEN has to be/],
    [404, /has no model owner\/tiny with the revision main$/],
    [410, /^cannot download .*: the server answers 410$/],
  ];
  for (const [code, message] of cases) {
    hub.answers = [status(code)];
    await rejects(find(), message);
    // Of a model that asks for a licence to be accepted the listing is public, the files are not.
    hub.answers = [undefined, status(code)];
    if (code < 404) await rejects(find(), /answers 40\d: HF_TOKEN has to be a token that may read/);
  }
  hub.answers = Array(3).fill(status(500));
  await rejects(find(), /no model of that name .* the server answers 500, 3 times in a row$/);
});

test('another file than was listed is refused, and nothing of it kept', async () => {
  const other = Buffer.from(weights).fill(7, 5000, 5001);
  hub.answers = [undefined, undefined, undefined, (_, response) => response.end(other)];
  await rejects(find(), /it has the sha256 [\da-f]{64}, expected [\da-f]{64}$/);
  assert.equal(await readdir(join(place(), 'blobs')), [hashesOf(gpt2('config.json')).blobId]);
  assert.not(existsSync(join(place(), 'snapshots')));

  const length: Answer = (_, response) =>
    hub.list(response, (it) => ({ ...it, lfs: it.lfs && { ...it.lfs, size: 7 } }) as typeof it);
  hub.answers = [length];
  await rejects(find(), /the server has 35584 bytes, expected 7$/);
});

test('what is no listing of a model is said to be none', async () => {
  for (const text of ['<html>', '[]', 'null', '{}', '{"sha":"../..","siblings":[]}']) {
    hub.answers = [(_, response) => response.end(text)];
    await rejects(find(), /that is no listing of a model: check HF_ENDPOINT$/);
  }
  await rejects(
    find({ HF_ENDPOINT: 'ftp://x' }),
    /^HF_ENDPOINT is "ftp:\/\/x": expected an address/,
  );
  hub.files.delete('config.json');
  await rejects(find(), /^the model owner\/tiny on http:.* has no config\.json$/);
  hub.files.clear();
  hub.files.set('config.json', gpt2('config.json'));
  await rejects(
    find(),
    /has no model\.safetensors, nor model\.safetensors\.index\.json, nor pytorch/,
  );
});

test('names of files stay in their directory', async () => {
  const index = { weight_map: { 'wte.weight': '../../../evil.safetensors' } };
  hub.files.delete('model.safetensors');
  hub.files.set('model.safetensors.index.json', Buffer.from(JSON.stringify(index)));
  await rejects(find(), /expected the name of a \.safetensors file beside it$/);
  hub.commit = 'b'.repeat(40);
  index.weight_map['wte.weight'] = 'model-00001-of-00001.safetensors';
  hub.files.set('model.safetensors.index.json', Buffer.from(JSON.stringify(index)));
  await rejects(
    find(),
    /has no model-00001-of-00001\.safetensors, which its model\.safetensors\.in/,
  );
});

test('shards and pytorch_model.bin come where there is no safetensors file', async () => {
  const shard = 'model-00001-of-00001.safetensors';
  hub.files.delete('model.safetensors');
  const bin = await find();
  assert.ok(existsSync(join(bin.directory, 'pytorch_model.bin')));
  hub.commit = 'c'.repeat(40);
  hub.files.set(shard, weights);
  const index = Buffer.from(JSON.stringify({ weight_map: { x: shard } }));
  hub.files.set('model.safetensors.index.json', index);
  // What transformers runs of CodeGeeX, and is not run here.
  hub.files.set('modeling_chatglm.py', Buffer.from('1 / 0\n'));
  const { directory } = await find();
  const found = ['config.json', shard, 'model.safetensors.index.json', 'modeling_chatglm.py'];
  assert.equal((await readdir(directory)).sort(), found);
});

test('offline, or where the Hub is out of reach, the cache is what there is', async () => {
  await rejects(
    find({ HF_HUB_OFFLINE: '1' }),
    /^there is no directory owner\/tiny, and no model .* in .*: HF_HUB_OFFLINE is set$/,
  );
  const { directory } = await find();
  hub.asked = [];
  assert.is((await find({ HF_HUB_OFFLINE: 'true' })).directory, directory);
  assert.equal(hub.asked, []);
  const closed = new HubServer();
  await closed.open();
  const nowhere = closed.endpoint;
  closed.close();
  assert.is((await find({ HF_ENDPOINT: nowhere })).directory, directory);
  assert.match(
    lines.at(-1)!,
    /refused, 3 times in a row; taking owner\/tiny as it is in the cache, a{7}$/,
  );
  await rejects(
    find({ HF_ENDPOINT: nowhere }, 'owner/other'),
    /no model of that name .* refused, 3/,
  );
});

test('two at once download once', async () => {
  const found = await Promise.all([find(), find(), find()]);
  assert.is(new Set(found.map(({ directory }) => directory)).size, 1);
  assert.is(files().filter(({ host }) => host === 'cdn').length, 1);
  const locks = await readdir(join(cache, 'hub', '.locks', 'models--owner--tiny'));
  assert.equal(locks, []);
});

test('HF_HUB_CACHE goes before HF_HOME', async () => {
  const { directory } = await find({ HF_HUB_CACHE: join(cache, 'other') });
  assert.ok(directory.startsWith(join(cache, 'other', 'models--owner--tiny')));
});

const python = (code: string, ...args: string[]) =>
  execFileSync('python3', ['-c', code, ...args], {
    encoding: 'utf8',
    env: { ...process.env, HF_HOME: cache, HF_HUB_OFFLINE: '1' },
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim();

const withPython = canImport('huggingface_hub') ? test : test.skip;
withPython('huggingface_hub finds them offline, and we find what it laid out', async () => {
  const { directory } = await find();
  const code = 'import huggingface_hub as h; print(h.snapshot_download("owner/tiny"))';
  assert.is(python(code), directory);
  const scan =
    'import huggingface_hub as h; i = h.scan_cache_dir(); print(len(i.repos), i.warnings)';
  assert.is(python(scan), '1 []');
});

withPython('transformers loads them by their name, offline', async () => {
  await find();
  const code =
    'import transformers as t; print(t.AutoModelForCausalLM.from_pretrained("owner/tiny").num_parameters())';
  using model = await Model.load(fixturePath('models/gpt2'));
  assert.is(Number(python(code)), model.parameterCount);
});

test('a full cache of another layout is not taken for a model', async () => {
  await mkdir(join(place(), 'refs'), { recursive: true });
  await writeFile(join(place(), 'refs', 'main'), '../../etc');
  await rejects(find({ HF_HUB_OFFLINE: '1' }), /no model of that name/);
  assert.ok((await stat(place())).isDirectory());
});

test.run();
