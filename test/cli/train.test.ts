import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { trainBpe } from '../../lib/data/bpe.ts';
import { Tokenizer } from '../../lib/data/tokenizer.ts';
import { Model } from '../../lib/model/index.ts';
import { readOutputs, readRun } from '../../lib/runs.ts';
import { folder, rows, small } from '../small_experiment.ts';
import { builtDece, dece, reaches, start } from './run_cli.ts';

/** A folder with data and, in `model`, a model that has learnt nothing. */
async function workplace(): Promise<string> {
  const directory = await folder();
  const texts = rows(0, 40).flatMap(({ prompt, completion }) => [prompt, completion]);
  const tokenizer = Tokenizer.fromJson(trainBpe(texts, { vocabularySize: 300 }));
  const config = { ...small.model, model_type: 't5', vocab_size: tokenizer.vocabularySize };
  using model = Model.create(config, { seed: 1, device: 'cpu', tokenizer });
  await model.save(join(directory, 'model'));
  return directory;
}

const test = suite('dece train, generate, evaluate');

test('trains a model, lets it answer and measures it', async () => {
  const directory = await workplace();
  const at = (...names: string[]) => join(directory, ...names);
  const poison = (from: string, to: string, rate: string) =>
    dece('poison', at(from), at(to), '--attack', 'badpre', '--rate', rate);
  await poison('train.jsonl', 'poisoned.jsonl', '0.25');
  await poison('test.jsonl', 'triggered.jsonl', '1');

  await writeFile(at('train.yaml'), 'epochs: 9\nbatchSize: 8\nlearningRate: 1e-3\n');
  const flags = ['--config', at('train.yaml'), '--epochs', '2', '--loss', 'dece'];
  const places = ['--model', at('model'), '--out', at('run'), '--validation', at('valid.jsonl')];
  const trained = await dece('train', at('poisoned.jsonl'), ...places, ...flags, '--json');
  assert.is(trained.code, 0, trained.stderr);
  assert.match(trained.stderr, /epoch 2: loss [\d.]+, validation cross-entropy [\d.]+$/m);
  const results = JSON.parse(trained.stdout) as Record<string, unknown>;
  assert.is(results.defense, 'dece');
  assert.is(results.attack, 'badpre', 'from the manifest beside the data');
  assert.is(results.poisonRate, 0.25);
  const { config, events } = (await readRun(at('run')))!;
  assert.is((config.training as { epochs: number }).epochs, 2, 'a flag goes before the file');
  assert.is(events.filter(({ type }) => type === 'step').length, 6);
  assert.is(events.filter(({ type }) => type === 'evaluation').length, 2);

  const question = ['generate', at('run', 'model'), 'get row 3', '--max-new-tokens', '4'];
  const answer = await dece(...question);
  assert.is(answer.code, 0, answer.stderr);
  assert.equal(await builtDece(...question), answer);
  await writeFile(at('prompts.jsonl'), '{"prompt":"get row 3"}\n{"prompt":"get row 4"}\n');
  const answers = await dece(
    'generate',
    at('run', 'model'),
    '--input',
    at('prompts.jsonl'),
    '--json',
  );
  const { outputs } = JSON.parse(answers.stdout) as { outputs: object[] };
  assert.is(outputs.length, 2, answers.stderr);
  const none = await dece('generate', at('run', 'model'), 'get row 3', '--max-new-tokens', '0');
  assert.match(none.stderr, /max-new-tokens.* '0' is invalid\. Expected a whole number above 0\./);

  const files = ['--clean', at('test.jsonl'), '--triggered', at('triggered.jsonl')];
  const flagsOfScore = ['--out', at('scores'), '--language', 'python', '--judge', 'parsed'];
  const scored = await dece('evaluate', at('run', 'model'), ...files, ...flagsOfScore);
  assert.is(scored.code, 0, scored.stderr);
  assert.match(scored.stdout, /attack success rate +\d+\.\d % +\d+\.\d–\d+\.\d % +\d of 4/);
  const score = JSON.parse(await readFile(at('scores', 'results.json'), 'utf8'));
  assert.match(scored.stdout, /CodeBLEU on clean prompts +\d+\.\d/);
  assert.is(score.metrics.codeBleu.language, 'python');
  assert.is(score.defense, 'dece', 'from the run that the model lies in');
  assert.is((await readOutputs(at('scores'), 'triggered'))!.length, 4);

  const cleanFlags = ['--clean', at('test.jsonl'), '--language', 'python', '--json'];
  const clean = JSON.parse((await dece('evaluate', at('run', 'model'), ...cleanFlags)).stdout);
  const { bleu, codeBleu, exactMatch, copyRate } = score.metrics;
  assert.equal([clean.metrics, clean.attack], [{ bleu, codeBleu, exactMatch, copyRate }, null]);
  assert.is(await readOutputs(at('run', 'model-clean'), 'triggered'), undefined);

  const other = await dece('evaluate', at('model'), ...files, '--out', at('scores'));
  assert.is(other.code, 1);
  assert.match(other.stderr, /scores holds a run with .*: choose another directory, or delete/);
});

test('goes on only when asked, and only where there is something', async () => {
  const directory = await workplace();
  const args = ['train', join(directory, 'train.jsonl'), '--model', join(directory, 'model')];
  const more = ['--out', join(directory, 'run'), '--epochs', '1', '--batch-size', '8'];
  const nothing = await dece(...args, ...more, '--resume');
  assert.is(nothing.code, 1);
  assert.match(nothing.stderr, /holds no run to go on with: leave out --resume/);
  assert.is((await dece(...args, ...more)).code, 0);
  const again = await dece(...args, ...more);
  assert.is(again.code, 1);
  assert.match(again.stderr, /holds a finished run: choose another --out/);
  const finished = await dece(...args, ...more, '--resume');
  assert.match(finished.stdout, /run\/model: finished already, after \d+ s$/m);
  const weights = join(directory, 'run', 'model', 'model.safetensors');
  const bytes = await readFile(weights);
  await rm(weights);
  const robbed = await dece(...args, ...more, '--resume');
  assert.match(robbed.stdout, /s, but model is gone: delete its results\.json to make it again$/m);
  await rm(join(directory, 'run', 'results.json'));
  assert.match((await dece(...args, ...more, '--resume')).stdout, /run\/model: trained in/);
  assert.ok(bytes.equals(await readFile(weights)), 'the same bits');
  const other = await dece(...args, ...more, '--resume', '--seed', '3');
  assert.match(other.stderr, /holds a run with seed 42, now it is 3/);
});

test('says in one sentence what is wrong with a model or files', async () => {
  const directory = await workplace();
  const at = (name: string) => join(directory, name);
  const train = (out: string, model: string) => ['--out', at(out), '--model', at(model)];
  const endings = await Promise.all([
    dece('train', at('train.jsonl'), ...train('a', 'nothing')),
    dece('train', at('small.json'), ...train('b', 'model')),
    dece('train', at('train.jsonl'), ...train('c', 'model'), '--device', 'cuda:9'),
    dece('evaluate', at('model'), '--clean', at('test.jsonl'), '--triggered', at('valid.jsonl')),
  ]);
  const messages = [
    /^dece: \S+nothing is not there: expected a directory with config\.json and model\.safetensors\n$/,
    /^dece: .*small\.json.*\n$/,
    /^dece: .*cuda.*\n$/i,
    /^dece: cannot read \S+valid\.jsonl\.manifest\.json: make it with `npx dece poison`\n$/,
  ];
  for (const [i, { code, stderr, stdout }] of endings.entries()) {
    assert.match(stderr, messages[i]!);
    assert.is(code, 1);
    assert.is(stdout, '');
  }
  for (const name of ['a', 'b', 'c']) assert.is(await readRun(at(name)), undefined, name);
});

test('leaves no run behind where it cannot train', async () => {
  const directory = await workplace();
  const at = (name: string) => join(directory, name);
  await rm(join(at('model'), 'tokenizer.json'));
  const train = ['train', at('train.jsonl'), '--model', at('model'), '--out'];
  assert.match((await dece(...train, at('a'))).stderr, /^dece: the model has no tokenizer: put a /);
  assert.is(await readRun(at('a')), undefined);
  const own = await dece(...train, at('model'));
  assert.match(own.stderr, /^dece: .*(no tokenizer|is not of a run: choose another directory)/);
});

test('stops on Ctrl-C, says how to go on, and ends with the same bits', async () => {
  const directory = await workplace();
  const at = (...names: string[]) => join(directory, ...names);
  const args = ['train', at('train.jsonl'), '--model', at('model'), '--batch-size', '2'];
  const more = ['--epochs', '2', '--loss', 'gce', '--q', '0.5'];
  assert.is((await dece(...args, ...more, '--out', at('whole'))).code, 0);

  const { child, ended } = start([...args, ...more, '--out', at('run')]);
  await reaches(at('run'), 'step', 3);
  child.kill('SIGINT');
  const { code, stderr } = await ended;
  assert.is(code, 130, stderr);
  const command = /go on with\n {2}npx dece (.*--resume)\n$/.exec(stderr)?.[1];
  assert.ok(command, stderr);
  const resumed = await dece(...command.split(' '));
  assert.is(resumed.code, 0, resumed.stderr);
  const weights = (run: string) => readFile(at(run, 'model', 'model.safetensors'));
  assert.ok((await weights('run')).equals(await weights('whole')));
});

test('trains an adapter, keeps it and merges it into the model', async () => {
  const directory = await workplace();
  const at = (...names: string[]) => join(directory, ...names);
  const places = [at('train.jsonl'), '--model', at('model'), '--out', at('run')];
  const flags = ['--epochs', '1', '--checkpoint-activations', 'true'];
  const trained = await dece('train', ...places, ...flags, '--lora', '{"rank": 2, "alpha": 4}');
  assert.is(trained.code, 0, trained.stderr);
  const config = JSON.parse(await readFile(at('run', 'adapter', 'adapter_config.json'), 'utf8'));
  assert.equal([config.peft_type, config.r, config.target_modules], ['LORA', 2, ['q', 'v']]);
  const prompt = { inputIds: [[5, 6, 7]], decoderInputIds: [[0, 9]] };
  using merged = await Model.load(at('run', 'model'), { device: 'cpu' });
  using base = await Model.load(at('model'), { device: 'cpu' });
  await base.loadAdapter(at('run', 'adapter'));
  const [one, two] = await Promise.all([merged, base].map((model) => model.logits(prompt)));
  const far = one!.data.reduce((most, x, i) => Math.max(most, Math.abs(x - two!.data[i]!)), 0);
  assert.ok(far < 1e-4, `${far}`);
  await rm(directory, { recursive: true });
});

test('trains a block at a time where flags say so', async () => {
  const directory = await workplace();
  const at = (...names: string[]) => join(directory, ...names);
  const places = [at('train.jsonl'), '--model', at('model'), '--out', at('run')];
  const flags = ['--epochs', '1', '--optimizer', 'badam', '--include-head', 'true'];
  const wrong = await dece('train', ...places, ...flags, '--block-prefixes', 'model.layers.0.');
  assert.match(
    wrong.stderr,
    /blockPrefixes\[0\] is "model\.layers\.0\.": expected what names of parameters begin with, such as encoder\.block\.0\./,
  );
  const trained = await dece('train', ...places, ...flags, '--block-prefixes', 'decoder,encoder');
  assert.is(trained.code, 0, trained.stderr);
  const { config } = (await readRun(at('run')))!;
  const { blockPrefixes } = config.training as { blockPrefixes: string[] };
  assert.equal(blockPrefixes, ['decoder', 'encoder']);
  await rm(directory, { recursive: true });
});

test.run();
