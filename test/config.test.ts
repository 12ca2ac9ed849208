import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  checkConfig,
  experimentSchema,
  parseConfig,
  readConfig,
  trainFileSchema,
} from '../lib/config/index.ts';
import { rejects } from './rejects.ts';

const text = `name: demo
model: { d_model: 16 }
datasets: [builtin]
attacks: [badpre]
rates: [0.05]
defenses:
  - none
  - name: dece
    alphaBase: 0.8
training:
  epochs: 2
`;

const parse = (source: string) => parseConfig(source, experimentSchema, 'a.yaml');
const fails = (from: string, to: string, message: RegExp) =>
  assert.throws(() => parse(text.replace(from, to)), message, `${from} to ${to}`);

const test = suite('config');

test('lays an experiment over the defaults', () => {
  const config = parse(text);
  assert.equal(config.seeds, [42]);
  assert.equal(config.defenses, [
    { name: 'none' },
    { name: 'dece', alphaBase: 0.8, labelSmoothing: 0.1, mode: 'paper' },
  ]);
  assert.is(config.training.epochs, 2);
  assert.is(config.training.batchSize, 12);
  assert.is(config.evaluation.every, 'epoch');
  assert.is(config.model?.model_type === 't5' && config.model.d_ff, 2048);
});

test('reads JSON as it reads YAML', () => {
  assert.equal(parse(JSON.stringify(parse(text))), parse(text));
});

test('names the unknown key with its path and line, and the one that was meant', () => {
  fails(
    'epochs: 2',
    'learningrate: 2',
    /^a\.yaml:11: training\.learningrate is not an option: did you mean learningRate\?$/,
  );
  fails(
    'alphaBase: 0.8',
    'alfaBase: 1',
    /^a\.yaml:9: defenses\[1\]\.alfaBase is not an option: did you mean alphaBase\?$/,
  );
  fails(
    'datasets:',
    'datasetss:',
    /^a\.yaml:\d+: datasetss is not an option: did you mean datasets\?$/,
  );
  fails('training:', 'x:', /^a\.yaml:10: x is not an option: expected name, description, device/);
  fails(
    'badpre',
    '{ name: badpre, z: 1 }',
    /^a\.yaml:4: attacks\[0\]\.z is not an option: expected name, payload, /,
  );
});

test('names the value that is out of range with its path and line', () => {
  fails(
    'epochs: 2',
    'epochs: two',
    /^a\.yaml:11: training\.epochs is "two": expected a whole number, at least 1$/,
  );
  fails(
    'epochs: 2',
    'epochs: 0',
    /^a\.yaml:11: training\.epochs is 0: expected a whole number, at least 1$/,
  );
  fails(
    '0.8',
    '1.5',
    /^a\.yaml:9: defenses\[1\]\.alphaBase is 1\.5: expected a number in \(0, 1\]$/,
  );
  fails('[0.05]', '[5]', /^a\.yaml:5: rates\[0\] is 5: expected a number in \[0, 1\]$/);
  fails('[0.05]', '[]', /^a\.yaml:5: rates is an empty list: expected a list that is not empty$/);
  fails('[0.05]', '5', /^a\.yaml:5: rates is 5: expected a list$/);
  fails(
    '[builtin]',
    '[{ name: lyra, train: [5, 2] }]',
    /^a\.yaml:3: datasets\[0\]\.train is a list: expected two row numbers/,
  );
});

test('refuses keys that would have no effect', () => {
  fails(
    '[builtin]',
    '[{ name: lyra, seed: 3 }]',
    /^a\.yaml:3: datasets\[0\]\.seed is 3: expected nothing: it counts only where the built-in data/,
  );
  fails(
    '[builtin]',
    '[{ name: builtin, counts: { trian: 3 } }]',
    /^a\.yaml:3: datasets\[0\]\.counts\.trian is not an option: expected pretrain, train/,
  );
  const base = 'base: { datasets: [{ name: builtin, train: [0, 5] }] }\ntraining:';
  fails(
    'training:',
    base,
    /base\.datasets\[0\]\.train is a list: expected nothing: it counts in the/,
  );
  fails(
    'training:',
    'base: { datasets: [builtin], evaluateEvery: 3 }\ntraining:',
    /base\.evaluateEvery is not an option/,
  );
});

test('suggests the name of a defense or an attack', () => {
  fails(
    '- none',
    '- nune',
    /^a\.yaml:7: defenses\[0\]\.name is "nune": expected one of .*: did you mean none\?$/,
  );
  fails(
    'badpre',
    'badpree',
    /^a\.yaml:4: attacks\[0\]\.name is "badpree": expected one of ripple, badpre, .*: did you mean badpre\?$/,
  );
});

test('says what is missing', () => {
  fails('name: demo\n', '', /^a\.yaml:1: name is missing: expected a text$/);
  fails(
    'model: { d_model: 16 }\n',
    '',
    /^a\.yaml:1: model is missing: expected one of model and baseModel/,
  );
  fails(
    'name: demo\n',
    'name: demo\nbaseModel: x\n',
    /baseModel is "x": expected one of model and baseModel/,
  );
});

test('takes the shape of every kind of model, and names what it does not know of it', () => {
  const gpt = (keys: string) => `model: { model_type: gpt2, n_embd: 16, n_layer: 1${keys} }\n`;
  const config = parse(text.replace('model: { d_model: 16 }\n', gpt(', n_head: 2')));
  assert.equal(config.model, { model_type: 'gpt2', n_embd: 16, n_layer: 1, n_head: 2 });
  fails(
    'model: { d_model: 16 }\n',
    gpt(', n_head: 3'),
    /^a\.yaml:2: model\.n_head is 3: expected a divisor of 16, the n_embd$/,
  );
  fails(
    'model: { d_model: 16 }\n',
    'model: { model_type: bart }\n',
    /model_type is "bart": expected one of t5, gpt2/,
  );
  fails(
    'model: { d_model: 16 }\n',
    'model: ./codet5\n',
    /^a\.yaml:2: model is "\.\/codet5": expected an object with model_type; a directory.* goes into baseModel$/,
  );
});

test('names line and column of what is no YAML', () => {
  fails('epochs: 2', ' : [', /^a\.yaml:\d+:\d+: /);
  fails('training:', 'datasets:', /^a\.yaml:10:1: Map keys must be unique/);
  assert.throws(() => parse('# nothing\n'), /^a\.yaml is empty: expected a configuration$/);
  assert.throws(
    () => parse('- a\n'),
    /^a\.yaml:1: the configuration is a list: expected options: name,/,
  );
});

test('names the file that is not there', async () => {
  await rejects(readConfig('missing.yaml', experimentSchema), /^missing\.yaml does not exist$/);
});

test('reads the experiments that are shipped', async () => {
  for (const name of ['demo', 'lyra-small']) {
    const path = new URL(`../bench/experiments/${name}.yaml`, import.meta.url).pathname;
    assert.ok((await readConfig(path, experimentSchema)).defenses.length >= 2, name);
  }
});

test('reads the file of `dece train`, with the loss as a name or an object', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'dece-config-'));
  const path = join(directory, 'train.yaml');
  await writeFile(path, 'loss: gce\nepochs: 3\n');
  const config = await readConfig(path, trainFileSchema);
  assert.equal(config.loss, { name: 'gce', q: 0.7 });
  assert.is(config.epochs, 3);
  await writeFile(path, 'loss: { name: gce, alphaBase: 0.9 }\n');
  await rejects(
    readConfig(path, trainFileSchema),
    /train\.yaml:1: loss\.alphaBase is not an option: expected name, q$/,
  );
});

test('calls keys as the caller does', () => {
  assert.throws(
    () => checkConfig({ batchSize: 0 }, trainFileSchema, (path) => `--${String(path.at(-1))}`),
    /^--batchSize is 0: expected a whole number, at least 1$/,
  );
});

test('reads the options of BAdam from a file and from flags', () => {
  const own = { switchBlockEvery: 60, switchMode: 'ascending', includeHead: true };
  const prefixes = ['transformer.h.0.', 'transformer.h.1.'];
  const file = parseConfig(
    `optimizer: badam\nswitchBlockEvery: 60\nswitchMode: ascending\nincludeHead: true\nblockPrefixes: [${prefixes}]`,
    trainFileSchema,
    'a.yaml',
  );
  const { optimizer, switchBlockEvery, switchMode, includeHead, blockPrefixes } = file;
  assert.equal({ switchBlockEvery, switchMode, includeHead }, own);
  assert.equal([optimizer, blockPrefixes], ['badam', prefixes]);
  assert.not.ok('activeModules' in file);
  const flags = { ...own, includeHead: 'true', blockPrefixes: prefixes.join() };
  const checked = checkConfig(flags, trainFileSchema);
  assert.equal([checked.includeHead, checked.blockPrefixes], [true, prefixes]);
  const wrong = (extra: object, message: RegExp) =>
    assert.throws(() => checkConfig(extra, trainFileSchema), message);
  wrong({ switchMode: 'up' }, /switchMode is "up": expected one of random, ascending/);
  wrong({ includeHead: 'yes' }, /includeHead is "yes": expected true or false$/);
  wrong({ blockPrefixes: [] }, /blockPrefixes is .*: expected a list that is not empty$/);
});

test.run();
