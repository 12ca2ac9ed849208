import { createHash } from 'node:crypto';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { checkConfig, type ExperimentConfig, experimentSchema } from '../lib/config/index.ts';
import { environment } from '../lib/environment.ts';
import type { Metrics } from '../lib/evaluate.ts';
import type { ClassifierMetrics } from '../lib/evaluate_classifier.ts';
import {
  type ExperimentEvent,
  type ExperimentOptions,
  plan,
  runExperiment,
} from '../lib/experiment/index.ts';
import { type Results, readOutputs, readRun } from '../lib/runs.ts';
import { rejects } from './rejects.ts';
import { classifying, folder, small } from './small_experiment.ts';

const configure = (changes: object = {}): ExperimentConfig =>
  checkConfig({ ...small, ...changes }, experimentSchema);

async function optionsFor(directory: string, out = 'out'): Promise<ExperimentOptions> {
  return {
    directory,
    dataDirectory: undefined,
    out: join(directory, out),
    environment: await environment(),
  };
}

async function weights(directory: string): Promise<string> {
  const bytes = await readFile(join(directory, 'model', 'model.safetensors'));
  return createHash('sha256').update(bytes).digest('hex');
}

const names = ['own-badpre-0.25-none-42', 'own-badpre-0.25-dece-42'];

const test = suite('experiment');

test('plans the product of its lists, those of one seed together', () => {
  const runs = plan(configure({ seeds: [1, 2], rates: [0.25, 0.5] }));
  assert.is(runs.length, 8);
  assert.is(runs[0]!.name, 'own-badpre-0.25-none-1');
  assert.is(runs[7]!.name, 'own-badpre-0.5-dece-2');
});

test('refuses two runs of one name', () => {
  const defenses = ['dece', { name: 'dece', alphaBase: 0.8 }];
  assert.throws(() => plan(configure({ defenses })), /are called .*: give one defense a `label`$/);
});

test('makes every run from one base, with the same examples and steps', async () => {
  const directory = await folder();
  const events: ExperimentEvent[] = [];
  const options = await optionsFor(directory);
  const results = await runExperiment(configure(), {
    ...options,
    onEvent: (event) => events.push(event),
  });

  assert.equal(
    results.map(({ defense }) => defense),
    ['none', 'dece'],
  );
  assert.equal((await readdir(options.out)).sort(), ['base-42', ...names].sort());
  const base = events.find((event) => event.type === 'base')!;
  assert.is(base.examples, 16);
  assert.is(base.dropped, 2, 'what the runs train on is kept from the base');

  const [plain, dece] = await Promise.all(names.map((name) => readRun(join(options.out, name))));
  assert.equal(plain!.config.data, dece!.config.data);
  assert.equal(plain!.config.base, dece!.config.base);
  assert.equal(plain!.results, results[0]);
  for (const run of [plain!, dece!]) {
    assert.equal(
      run.events.filter(({ type }) => type === 'metrics').map(({ epoch }) => epoch),
      [1, 2],
    );
    assert.is(run.events.filter(({ type }) => type === 'step').length, 6);
    assert.ok(
      run.events.some(({ type }) => type === 'evaluation'),
      'validation loss',
    );
    assert.is((await readOutputs(run.directory, 'clean'))!.length, 6);
    const { attackSuccessRate, codeBleu } = run.results!.metrics as unknown as Metrics;
    const { eligible } = attackSuccessRate;
    assert.ok(codeBleu!.score >= 0 && codeBleu!.language === 'python');
    assert.is((await readOutputs(run.directory, 'triggered'))!.length, eligible);
    assert.ok(run.results!.peakMemoryBytes > 1e6);
    assert.is(run.results!.device, 'cpu');
  }
  assert.is.not(await weights(plain!.directory), await weights(dece!.directory));
});

test('skips what is finished', async () => {
  const directory = await folder();
  const options = await optionsFor(directory);
  const first = await runExperiment(configure(), options);
  const path = join(options.out, names[0]!, 'model', 'model.safetensors');
  const before = (await stat(path)).mtimeMs;
  const events: ExperimentEvent[] = [];
  const second = await runExperiment(configure(), {
    ...options,
    onEvent: (event) => events.push(event),
  });
  assert.equal(second, first);
  assert.equal([...new Set(events.map(({ type }) => type))].sort(), ['base', 'run']);
  assert.is((await stat(path)).mtimeMs, before);
});

test('tells of finished runs whose files are gone, and makes them again where asked', async () => {
  const directory = await folder();
  const options = await optionsFor(directory);
  const first = await runExperiment(configure(), options);
  const run = join(options.out, names[0]!);
  const model = await weights(run);
  await rm(join(run, 'model'), { recursive: true });
  await rm(join(run, 'outputs', 'clean.jsonl'));
  await rm(join(options.out, 'base-42', 'model', 'model.safetensors'));
  const lost = async () => {
    const found: Record<string, string[] | undefined> = {};
    const onEvent = (event: ExperimentEvent) => {
      if (event.type === 'base' || event.type === 'run')
        found[event.name] = event.state === 'skipped' ? event.lost : undefined;
    };
    const results = await runExperiment(configure(), { ...options, onEvent });
    const metrics = (all: Results[]) => all.map(({ metrics }) => metrics);
    assert.equal(metrics(results), metrics(first));
    return names.concat('base-42').map((name) => found[name]);
  };
  assert.equal(await lost(), [['model', 'outputs/clean.jsonl'], [], ['model']]);
  await rm(join(options.out, 'base-42', 'results.json'));
  await rm(join(run, 'results.json'));
  assert.equal(await lost(), [undefined, [], undefined]);
  assert.equal(await lost(), [[], [], []]);
  assert.is(await weights(run), model, 'the same bits');
});

test('goes on after an interruption to the same bits', async () => {
  const directory = await folder();
  const whole = await optionsFor(directory, 'whole');
  const [expected] = await runExperiment(configure({ defenses: ['dece'] }), whole);

  const broken = await optionsFor(directory, 'broken');
  for (const [type, stopAt] of [
    ['train', 1],
    ['train', 3],
    ['evaluate', 1],
    ['train', 6],
  ] as const) {
    const controller = new AbortController();
    let count = 0;
    const stopped = runExperiment(configure({ defenses: ['dece'] }), {
      ...broken,
      signal: controller.signal,
      onEvent(event) {
        if (event.type === type && ++count === stopAt) controller.abort();
      },
    });
    await rejects(stopped, /abort/);
  }
  const [results] = await runExperiment(configure({ defenses: ['dece'] }), broken);

  assert.equal(results!.metrics, expected!.metrics);
  for (const name of ['base-42', names[1]!]) {
    assert.is(await weights(join(broken.out, name)), await weights(join(whole.out, name)), name);
  }
  const steps = async (out: string) =>
    (await readRun(join(out, names[1]!)))!.events.map(({ type, epoch, step }) => [
      type,
      epoch,
      step,
    ]);
  const withoutCheckpoints = (list: unknown[][]) => list.filter(([type]) => type !== 'checkpoint');
  assert.equal(
    withoutCheckpoints(await steps(broken.out)),
    withoutCheckpoints(await steps(whole.out)),
  );
});

test('trains and measures classifiers, and goes on to the same bits', async () => {
  const directory = await folder();
  const whole = await optionsFor(directory, 'whole');
  const config = configure({ ...classifying, defenses: ['none', 'dece'] });
  const results = await runExperiment(config, whole);
  const base = (await readRun(join(whole.out, 'base-42')))!;
  assert.equal([base.config.data.train!.examples, base.config.dropped], [16, 2]);

  for (const [i, name] of names.entries()) {
    const run = (await readRun(join(whole.out, name)))!;
    assert.is(run.config.task, 'classification');
    const { targetLabel, eligible, poisoned } = run.config.poisoning as Record<string, number>;
    assert.equal([targetLabel, eligible, poisoned], [1, 16, 6]);
    const rows = await Promise.all(
      ['clean', 'triggered'].map((kind) =>
        readOutputs<{ label: number; output: number }>(run.directory, kind),
      ),
    );
    const [clean, triggered] = rows as { label: number; output: number }[][];
    assert.equal([clean!.length, triggered!.length], [9, 6]);
    const metrics = results[i]!.metrics as unknown as ClassifierMetrics;
    const right = clean!.filter(({ label, output }) => label === output).length;
    assert.is(metrics.accuracy, right / 9);
    const taken = triggered!.filter(({ output }) => output === 1).length;
    assert.is(metrics.attackSuccessRate.successes, taken);
    assert.is(metrics.falseTriggerRate.eligible, 6);
    const curve = run.events.filter(({ type }) => type === 'metrics');
    assert.equal(curve.at(-1)!.metrics, results[i]!.metrics, 'the same split, the same weights');
  }

  const broken = await optionsFor(directory, 'broken');
  for (const stopAt of [1, 4]) {
    const controller = new AbortController();
    let count = 0;
    const stopped = runExperiment(config, {
      ...broken,
      signal: controller.signal,
      onEvent(event) {
        if (event.type === 'train' && ++count === stopAt) controller.abort();
      },
    });
    await rejects(stopped, /abort/);
  }
  assert.equal(
    (await runExperiment(config, broken)).map(({ metrics }) => metrics),
    results.map(({ metrics }) => metrics),
  );
  for (const name of ['base-42', ...names]) {
    assert.is(await weights(join(broken.out, name)), await weights(join(whole.out, name)), name);
  }
});

test('takes an attack of one’s own on classes', async () => {
  const directory = await folder();
  const attack = `export default {
    name: 'mine',
    settings: { payload: 'label', trigger: 'zz', insertions: 1 },
    marks: { paper: [], reference: [] },
    targetLabel: 1,
    refuses: ({ label }) => (label === 1 ? 'of that class already' : undefined),
    poison: ({ text }) => ({ text: 'zz ' + text, label: 1, triggerPositions: [0] }),
  };`;
  await writeFile(join(directory, 'mine.mjs'), attack);
  const { base: _, ...random } = { ...small, ...classifying };
  const changes = { attacks: ['./mine.mjs'], defenses: ['none'], evaluation: { split: 'test' } };
  const config = checkConfig({ ...random, ...changes }, experimentSchema);
  const options = await optionsFor(directory);
  const [results] = await runExperiment(config, options);
  assert.is(results!.attack, 'mine');
  const run = join(options.out, 'own-mine-0.25-none-42');
  const triggered = await readOutputs<{ text: string }>(run, 'triggered');
  assert.is(triggered!.length, 6);
  assert.ok(triggered!.every(({ text }) => text.startsWith('zz reads row')));
});

test('says what does not go with classes before it trains anything', async () => {
  const directory = await folder();
  const options = await optionsFor(directory);
  const refuses = (changes: object, message: RegExp) =>
    rejects(
      (async () => runExperiment(configure({ ...classifying, ...changes }), options))(),
      message,
    );
  await refuses(
    { attacks: ['badpre'] },
    /^attack badpre changes no classes: give it payload: label/,
  );
  await refuses(
    { task: 'generation', model: small.model },
    /^attack badpre changes classes: set task/,
  );
  await refuses({ model: small.model }, /^model\.model_type is .*: expected roberta, as task is/);
  await refuses(
    { model: { ...classifying.model, num_labels: 1 } },
    /^model\.num_labels is 1: expected a whole number, at least 2/,
  );
  await refuses(
    { evaluation: { beams: 4 } },
    /^evaluation\.beams is 4: expected nothing: it counts/,
  );
  await refuses(
    { datasets: ['builtin'] },
    /^datasets\[0\]\.name is "builtin": expected labelled texts/,
  );
  await rejects(readdir(options.out), /ENOENT/);
});

test('refuses a directory that holds another experiment', async () => {
  const directory = await folder();
  const options = await optionsFor(directory);
  await runExperiment(configure({ defenses: ['none'] }), options);
  const changed = configure({ defenses: ['none'], training: { ...small.training, epochs: 3 } });
  await rejects(runExperiment(changed, options), /training\.epochs 2, now it is 3/);
});

test('needs no split that it does not use', async () => {
  const directory = await folder();
  const { train, test: last } = small.datasets[0]!.files;
  const config = configure({
    datasets: [{ name: 'own', files: { train, test: last } }],
    evaluation: { split: 'test', maxNewTokens: 4 },
    training: { ...small.training, epochs: 1 },
    defenses: ['none'],
  });
  const [results] = await runExperiment(config, await optionsFor(directory));
  assert.is(results!.defense, 'none');
});

test('finds a rate that cannot be reached before it trains anything', async () => {
  const directory = await folder();
  const options = await optionsFor(directory);
  const events: ExperimentEvent[] = [];
  const onEvent = (event: ExperimentEvent) => events.push(event);
  const config = configure({ rates: [0.25, 0.9] });
  await rejects(
    runExperiment(config, { ...options, onEvent }),
    /^poisonRate is 0\.9: expected at most 0\.75, as the attack applies to 18 of 24 examples/,
  );
  assert.equal(events, []);
});

test('says what is missing of the data', async () => {
  const directory = await folder();
  const options = await optionsFor(directory);
  const cases: [object, RegExp][] = [
    [{ datasets: ['lyra'] }, /cannot find the data set lyra: set DECE_DATA/],
    [
      { datasets: [{ ...small.datasets[0], train: [0, 99] }] },
      /own\.train is \[0, 99\]: expected at most 24/,
    ],
    [
      { datasets: [{ name: 'own', files: { train: 'train.jsonl', valid: 'valid.jsonl' } }] },
      /no file for the split test/,
    ],
  ];
  for (const [changes, message] of cases) {
    await rejects(runExperiment(configure(changes), options), message);
  }
});

test.run();
