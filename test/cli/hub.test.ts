import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { trainBpe } from '../../lib/data/bpe.ts';
import { Tokenizer } from '../../lib/data/tokenizer.ts';
import { Model } from '../../lib/model/index.ts';
import { readRun } from '../../lib/runs.ts';
import { HubServer } from '../model/hub_server.ts';
import { folder, rows, small } from '../small_experiment.ts';
import { start } from './run_cli.ts';

const test = suite('dece with models of the Hub');
const hub = new HubServer();
const name = `owner/tiny@${hub.commit}`;
let directory = '';

test.before(async () => {
  await hub.open();
  directory = await folder();
  const texts = rows(0, 40).flatMap(({ prompt, completion }) => [prompt, completion]);
  const tokenizer = Tokenizer.fromJson(trainBpe(texts, { vocabularySize: 300 }));
  const config = { ...small.model, model_type: 't5', vocab_size: tokenizer.vocabularySize };
  using model = Model.create(config, { seed: 1, device: 'cpu', tokenizer });
  // In shards, so that they are met everywhere.
  await model.save(join(directory, 'model'), { maxShardBytes: 10_000 });
  for (const file of await readdir(join(directory, 'model'))) {
    hub.files.set(file, await readFile(join(directory, 'model', file)));
  }
});
test.after(() => hub.close());

const at = (file: string) => join(directory, file);
const dece = (...args: string[]) =>
  start(args, { HF_ENDPOINT: hub.endpoint, HF_HOME: at('cache') }).ended;

test('generate says what it downloads, and answers as with the directory', async () => {
  const rest = ['get row 3', '--max-new-tokens', '4'];
  const there = await dece('generate', 'owner/tiny', ...rest);
  assert.is(there.code, 0, there.stderr);
  assert.match(there.stderr, /^downloading \d+ kB from http:.*\/owner\/tiny\/resolve\/a{40}\//);
  assert.is(there.stdout, (await dece('generate', at('model'), ...rest)).stdout);
});

test('train and evaluate write down its name and commit', async () => {
  const out = ['--out', at('run'), '--epochs', '1'];
  const trained = await dece('train', at('train.jsonl'), '--model', 'owner/tiny@main', ...out);
  assert.is(trained.code, 0, trained.stderr);
  assert.is((await readRun(at('run')))!.config.model, name);

  const poison = [at('test.jsonl'), at('triggered.jsonl'), '--attack', 'badpre', '--rate', '1'];
  assert.is((await dece('poison', ...poison)).code, 0);
  const files = ['--clean', at('test.jsonl'), '--triggered', at('triggered.jsonl')];
  const short = ['--max-new-tokens', '4', '--out', at('evaluation')];
  const measured = await dece('evaluate', name, ...files, ...short);
  assert.is(measured.code, 0, measured.stderr);
  const { model, weights } = (await readRun(at('evaluation')))!.config;
  assert.is(model, name);
  assert.match(
    Object.keys(weights as object)
      .sort()
      .join(),
    /^model-00001-of-\d{5}\.safetensors,/,
  );
});

test('an experiment takes one as its baseModel', async () => {
  const { model: _, tokenizer: __, base: ___, ...rest } = small;
  await writeFile(at('hub.json'), JSON.stringify({ ...rest, baseModel: 'owner/tiny' }));
  const done = await dece('run', at('hub.json'), '--out', at('grid'), '--json');
  assert.is(done.code, 0, done.stderr);
  const { results } = JSON.parse(done.stdout) as { results: { model: string }[] };
  assert.equal(
    results.map(({ model }) => model),
    [name, name],
  );
});

test('a misspelt directory is told apart', async () => {
  hub.answers = [(_, response) => response.writeHead(404).end()];
  const { code, stderr } = await dece('generate', 'runs/dece', 'x');
  assert.is(code, 1);
  assert.match(
    stderr,
    /^dece: there is no directory runs\/dece, and http:.* has no model runs\/dece/,
  );
});

test.run();
