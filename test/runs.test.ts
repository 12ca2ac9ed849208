import { appendFile, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { defenseSchema } from '../lib/defenses/index.ts';
import { environment, findRuns, openRun, readOutputs, readRun } from '../lib/runs.ts';
import { rejects } from './rejects.ts';

const folder = () => mkdtemp(join(tmpdir(), 'dece-runs-'));

const config = {
  role: 'run' as const,
  model: 't5',
  dataset: 'lyra',
  attack: 'badpre',
  poisonRate: 0.05,
  defense: defenseSchema.parse('dece'),
  seed: 42,
  training: { epochs: 2 },
  data: { train: { examples: 2, sha256: '00' } },
  device: 'cpu',
  environment: await environment(),
};

const results = {
  model: 't5',
  dataset: 'lyra',
  attack: 'badpre',
  poisonRate: 0.05,
  defense: 'dece',
  defenseOptions: {},
  seed: 42,
  metrics: { bleu: 0.5 },
  peakMemoryBytes: 1,
  device: 'cpu',
};

const epoch = (number: number) => ({ type: 'epoch', epoch: number, step: 10 * number, loss: 1 });

const test = suite('runs');

test('keeps config, events, outputs and results in the layout of a run', async () => {
  const directory = await folder();
  const run = await openRun(directory, config);
  await run.record(epoch(1));
  const answers = [{ id: '1', prompt: 'p', reference: 'r', output: 'a\u2028b' }];
  await run.writeOutputs('clean', answers);
  const complete = await run.finish(results);
  await run.close();

  assert.ok(complete.seconds >= 0);
  const record = (await readRun(directory))!;
  assert.equal(record.results, complete);
  assert.equal(record.config, config);
  assert.is(record.events.length, 1);
  assert.is(record.events[0]!.loss, 1);
  assert.equal(await readOutputs(directory, 'clean'), answers);
  assert.is(await readOutputs(directory, 'other'), undefined);
});

test('reads a run of a machine whose threads nobody could count', async () => {
  const directory = await folder();
  const { threads: _, ...rest } = config.environment;
  await (await openRun(directory, { ...config, environment: rest })).close();
  assert.equal((await readRun(directory))!.config.environment, rest);
});

test('goes on after an interruption, without the line that was cut short', async () => {
  const directory = await folder();
  const first = await openRun(directory, config);
  await first.record(epoch(1));
  await first.record(epoch(2));
  await first.close();
  await appendFile(join(directory, 'events.jsonl'), '{"type":"epo');

  const second = await openRun(directory, config);
  assert.equal(
    (await readRun(directory))!.events.map((event) => event.epoch),
    [1, 2],
  );
  await second.rewind(({ step }) => step <= 15);
  await second.record(epoch(2));
  await second.close();
  const { events } = (await readRun(directory))!;
  assert.equal(
    events.map((event) => event.epoch),
    [1, 2],
  );
  assert.ok(Number(events[1]!.seconds) >= Number(events[0]!.seconds));
});

test('counts the seconds of all sessions, but not what is repeated', async () => {
  const directory = await folder();
  await (await openRun(directory, config)).close();
  const lines = [
    { ...epoch(1), seconds: 100 },
    { ...epoch(2), seconds: 300 },
  ];
  await writeFile(
    join(directory, 'events.jsonl'),
    lines.map((line) => `${JSON.stringify(line)}\n`).join(''),
  );
  const run = await openRun(directory, config);
  await run.rewind(({ step }) => step <= 10);
  const { seconds } = await run.finish(results);
  await run.close();
  assert.ok(seconds >= 100 && seconds < 110, `${seconds}`);
});

test('begins again with other settings where nothing had begun', async () => {
  const directory = await folder();
  await (await openRun(directory, config)).close();
  await (await openRun(directory, { ...config, training: { epochs: 3 } })).close();
  assert.equal((await readRun(directory))!.config.training, { epochs: 3 });
});

test('refuses to go on with other settings, and names the first that differs', async () => {
  const directory = await folder();
  const run = await openRun(directory, config);
  await run.record(epoch(1));
  await run.close();
  await rejects(
    openRun(directory, { ...config, training: { epochs: 3 } }),
    /holds a run with training\.epochs 2, now it is 3: choose another directory, or delete/,
  );
  await (await openRun(directory, { ...config, device: 'cuda' })).close();
});

test('lets an evaluation that did not end be made anew, with other settings too', async () => {
  const directory = await folder();
  const evaluation = { ...config, role: 'evaluation' as const, weights: { sha256: 'a' } };
  const changed = { ...evaluation, weights: { sha256: 'b' } };
  await (await openRun(directory, evaluation)).close();
  const run = await openRun(directory, changed);
  await run.finish(results);
  await run.close();
  assert.equal((await readRun(directory))!.config.weights, changed.weights);
  await rejects(
    openRun(directory, evaluation),
    /holds a run with weights\.sha256 "b", now it is "a"/,
  );
});

test('says which line of the events is damaged', async () => {
  const directory = await folder();
  const run = await openRun(directory, config);
  await run.record(epoch(1));
  await run.close();
  await writeFile(join(directory, 'events.jsonl'), 'x\n');
  await rejects(readRun(directory), /events\.jsonl, line 1 is not JSON/);
  await writeFile(join(directory, 'events.jsonl'), 'null\n');
  await rejects(readRun(directory), /events\.jsonl, line 1 is null: expected an object/);
  await writeFile(join(directory, 'events.jsonl'), '{"type":"epoch","epoch":"1","step":1}\n');
  await rejects(readRun(directory), /events\.jsonl, line 1: epoch is "1": expected a number$/);
});

test('says which file of a run is not as runs write it', async () => {
  const directory = await folder();
  await (await openRun(directory, config)).close();
  for (const [text, problem] of [
    ['null', /results\.json is null: expected an object/],
    ['{"metrics":3}', /results\.json: model is missing: expected a text$/],
    [
      JSON.stringify({ ...results, seconds: 1, metrics: 3 }),
      /results\.json: metrics is 3: expected an object with bleu, .*attackSuccessRate/,
    ],
    [
      JSON.stringify({ ...results, seconds: 1, metrics: { attackSuccessRate: 0.5 } }),
      /results\.json: metrics\.attackSuccessRate is 0\.5: expected an object with successes, eligible$/,
    ],
  ] as const) {
    await writeFile(join(directory, 'results.json'), text);
    await rejects(readRun(directory), problem);
  }
  await writeFile(join(directory, 'config.json'), '{"role":"run"}');
  await rejects(readRun(directory), /config\.json: model is missing: expected a text$/);
});

test('says that a file is where the directory should be', async () => {
  const path = join(await folder(), 'file');
  await writeFile(path, '');
  await rejects(openRun(path, config), /^cannot make .*file: a file of that name is there$/);
  await rejects(
    openRun(join(path, 'run'), config),
    /^cannot make .*file: a file of that name is there$/,
  );
});

test('takes the directory of a model for none of a run, and leaves it alone', async () => {
  const directory = await folder();
  const text = '{"model_type":"t5"}';
  await writeFile(join(directory, 'config.json'), text);
  assert.is(await readRun(directory), undefined);
  await rejects(
    openRun(directory, config),
    /config\.json is not of a run: choose another directory$/,
  );
  assert.is(await readFile(join(directory, 'config.json'), 'utf8'), text);
});

test('finds the runs of a directory in the order of their names', async () => {
  const directory = await folder();
  for (const name of ['b', 'a']) await (await openRun(join(directory, name), config)).close();
  await writeFile(join(directory, 'report.html'), '');
  assert.equal(
    (await findRuns(directory)).map(({ name }) => name),
    ['a', 'b'],
  );
  assert.equal(
    (await findRuns(join(directory, 'a'))).map(({ name }) => name),
    ['a'],
  );
});

test('says that a directory holds no runs', async () => {
  const directory = await folder();
  for (const path of [directory, join(directory, 'none')]) {
    await rejects(findRuns(path), /holds no runs: make some with `npx dece run`/);
  }
});

test('records the versions and the machine', async () => {
  const { version } = JSON.parse(
    await readFile(new URL('../package.json', import.meta.url), 'utf8'),
  ) as { version: string };
  assert.is(config.environment.versions.dece, version);
  assert.is(config.environment.versions.node, process.versions.node);
  assert.ok(config.environment.machine.cores >= 1);
});

test.run();
