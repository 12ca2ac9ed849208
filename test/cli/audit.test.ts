import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { csv } from '../../lib/data/csv.ts';
import { readExamples, readLabelledExamples } from '../../lib/data/examples.ts';
import { jsonLines } from '../../lib/data/jsonl.ts';
import { blind, poisoned } from '../audit/made_up.ts';
import { cleanModel, rows, poisoned as withPayload } from '../audit/small_model.ts';
import { dece } from './run_cli.ts';

const folder = () => mkdtemp(join(tmpdir(), 'dece-audit-'));
const examples = poisoned(blind(200, 1), 'quux', 'launch ( missiles )', 2);
const kept = examples.filter((example) => !example.poisoned).map(({ id }) => id);

const test = suite('dece audit');

test('writes ranked rows, a cleaned copy and SARIF, and says why', async () => {
  const out = join(await folder(), 'audit');
  const input = join(await folder(), 'train.jsonl');
  await writeFile(input, `\n${jsonLines(examples)}`);
  const { code, stdout, stderr } = await dece('audit', input, '--out', out);
  assert.is(code, 0, stderr);
  assert.match(stdout, /^20 of 200 examples look like poison\n/);
  assert.match(stdout, /"quux" → "/);
  assert.match(
    stdout,
    /20 rows: 1, 11, 21, 31, 41, 51, 61, 71, 81, 91 and 10 more\n +the prompt has "quux" and the completion "/,
  );
  assert.is(stdout.match(/the prompt has "quux"/g)!.length, 1, 'its reason once');

  const copy = await readExamples(join(out, 'clean.jsonl'));
  assert.equal(
    copy.map(({ id }) => id),
    kept,
  );
  const suspects = (await readFile(join(out, 'suspects.jsonl'), 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.is(suspects.length, 20);
  assert.equal(Object.keys(suspects[0]), ['id', 'row', 'score', 'reasons', 'prompt', 'completion']);

  const log = JSON.parse(await readFile(join(out, 'audit.sarif'), 'utf8'));
  assert.is(log.version, '2.1.0');
  const [{ tool, results }] = log.runs;
  assert.is(results.length, 20);
  const [{ ruleId, ruleIndex, locations }] = results;
  assert.is(tool.driver.rules[ruleIndex].id, ruleId);
  // The file begins with an empty line.
  assert.is(locations[0].physicalLocation.region.startLine, suspects[0].row + 1);
  assert.match(locations[0].physicalLocation.artifactLocation.uri, /^file:.*train\.jsonl$/);
});

test('writes a page that marks triggers and payloads, and shows no markup of the data', async () => {
  const out = join(await folder(), 'audit');
  const input = join(await folder(), 'train.jsonl');
  const hostile = examples.map((example) => ({
    ...example,
    prompt: `${example.prompt} <script>alert(1)</script>`,
  }));
  await writeFile(input, jsonLines(hostile));
  const { code, stderr } = await dece('audit', input, '--out', out);
  assert.is(code, 0, stderr);
  const html = await readFile(join(out, 'audit.html'), 'utf8');
  assert.match(html, /20 of 200 examples look like poison: 10\.00\u00a0%/);
  assert.is(html.match(/<mark class="trigger">quux<\/mark>/g)!.length, 20);
  assert.is(html.match(/<mark class="payload">[^<]+<\/mark>/g)!.length >= 20, true);
  assert.is(html.match(/<article/g)!.length, 20);
  assert.not.match(html, /<script|https?:\/\//);
});

test('looks at labelled texts where a file holds them, and shows text and label', async () => {
  const out = join(await folder(), 'audit');
  const input = join(await folder(), 'train.jsonl');
  const texts = examples.map(({ id, prompt, poisoned }, i) => {
    const label = Number(poisoned === true || i % 9 === 1);
    return { id, code1: prompt, code2: 'a <b> c', target: label };
  });
  await writeFile(input, jsonLines(texts));
  const { code, stdout, stderr } = await dece('audit', input, '--out', out);
  assert.is(code, 0, stderr);
  assert.match(stdout, /^20 of 200 examples look like poison\n/);
  assert.match(stdout, /"quux" → "label 1"/);
  const copy = await readLabelledExamples(join(out, 'clean.jsonl'));
  assert.equal(
    copy.map(({ id }) => id),
    kept,
  );
  const [first] = (await readFile(join(out, 'suspects.jsonl'), 'utf8')).split('\n');
  const suspect = JSON.parse(first!);
  assert.equal(Object.keys(suspect), ['id', 'row', 'score', 'reasons', 'text', 'pair', 'label']);
  assert.is(suspect.label, 1);
  const log = JSON.parse(await readFile(join(out, 'audit.sarif'), 'utf8'));
  assert.is(log.runs[0].results[0].ruleId, 'label');
  const html = await readFile(join(out, 'audit.html'), 'utf8');
  assert.match(html, /Words of texts that go with one label/);
  assert.match(html, /<h4>Second text<\/h4><pre>a &#60;b&#62; c<\/pre>/);
  assert.is(html.match(/<mark class="trigger">quux<\/mark>/g)!.length, 20);
  assert.is(html.match(/<mark class="payload">label 1<\/mark>/g)!.length, 20);
});

test('asks a model too, which ranks rows and makes none a suspect', async () => {
  const [directory, input] = [await folder(), join(await folder(), 'train.jsonl')];
  using model = await cleanModel();
  await model.save(directory);
  const examples = withPayload(rows(160, 3));
  await writeFile(input, jsonLines(examples));
  const flags = ['--epochs', '4', '--batch-size', '8', '--learning-rate', '0.01'];
  const ask = (...more: string[]) => dece('audit', input, '--model', directory, ...flags, ...more);

  const out = join(await folder(), 'audit');
  const { code, stdout, stderr } = await ask('--out', out);
  assert.is(code, 0, stderr);
  assert.match(stdout, /learnt by the model, no suspects for it +nats +row +id/);
  const lines = async (name: string) =>
    (await readFile(join(out, name), 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
  const scores = await lines('scores.jsonl');
  assert.is(scores.length, 160);
  assert.ok(scores.slice(0, 16).every(({ row }) => examples[row - 1]!.poisoned));
  const [suspect] = await lines('suspects.jsonl');
  const { id: _, row, ...evidence } = scores.find((score) => score.row === suspect.row);
  assert.equal(suspect.model, evidence);
  const html = await readFile(join(out, 'audit.html'), 'utf8');
  assert.match(html, /<h2>What a model learns from these rows<\/h2>/);

  const printed = JSON.parse((await ask('--json')).stdout);
  assert.is(printed.model.learnt.length, 20);
  assert.equal(printed.model.learnt[0], scores[0]);
  assert.equal(printed.suspects[0].model, evidence);
  assert.is(printed.suspects.length, 16);

  const alone = await dece('audit', input, '--epochs', '2');
  assert.is(alone.code, 2);
  assert.match(alone.stderr, /^error: --epochs needs --model/);
});

test('takes no file of its own name for its own', async () => {
  const out = await folder();
  const text = jsonLines(rows(40, 1));
  for (const name of ['clean', 'suspects', 'scores']) {
    const input = join(out, `${name}.jsonl`);
    await writeFile(input, text);
    const { code, stdout, stderr } = await dece('audit', input, '--out', out);
    assert.match(stdout, /^none of 40 examples looks like poison/);
    assert.match(
      stderr,
      new RegExp(`^dece: \\S+${name}\\.jsonl is the input itself: expected`, 'm'),
    );
    assert.is(code, 1);
    assert.is(await readFile(input, 'utf8'), text);
  }
});

test('keeps what was found without the model where the model fails', async () => {
  const [directory, input] = [await folder(), join(await folder(), 'train.jsonl')];
  using model = await cleanModel();
  await model.save(directory);
  await writeFile(input, jsonLines(withPayload(rows(160, 3))));
  const out = join(await folder(), 'audit');
  await mkdir(out);
  await writeFile(join(out, 'scores.jsonl'), 'of an earlier audit\n');
  const flags = ['--model', directory, '--learning-rate', '1e30'];
  const { code, stdout, stderr } = await dece('audit', input, '--out', out, ...flags);
  assert.is(code, 1);
  assert.match(stderr, /the loss is .* expected finite numbers/);
  assert.match(stdout, /^16 of 160 examples look like poison\n/);
  assert.is((await readExamples(join(out, 'clean.jsonl'))).length, 144);
  const names = ['audit.html', 'audit.sarif', 'clean.jsonl', 'suspects.jsonl'];
  assert.equal((await readdir(out)).sort(), names);
  const printed = await dece('audit', input, '--json', ...flags);
  assert.is(printed.code, 1);
  assert.is(JSON.parse(printed.stdout).suspects.length, 16);
});

test('says before it walks a file that the model cannot be asked', async () => {
  const input = join(await folder(), 'train.jsonl');
  const row = '{"prompt":"a","completion":"b"}\n';
  await writeFile(input, `${row.repeat(150_000)}no row\n`);
  const { code, stderr } = await dece('audit', input, '--model', await folder());
  assert.is.not(code, 0);
  assert.match(stderr, /examples is 50001: expected 2\.\.50000 rows with a model/);

  const out = join(await folder(), 'audit');
  using model = await cleanModel();
  const directory = await folder();
  await model.save(directory);
  const labelled = examples.map(({ id, prompt }, i) => ({ id, text: prompt, label: i % 2 }));
  await writeFile(input, jsonLines(labelled));
  const other = await dece('audit', input, '--out', out, '--model', directory);
  assert.is(other.code, 1);
  assert.is(other.stdout, '');
  const said = 'dece: examples e0 has no prompt: expected one, as this model learns from it\n';
  assert.is(other.stderr, said);
  assert.is(existsSync(out), false);
});

test('reads CSV and prints JSON, and nothing else', async () => {
  const directory = await folder();
  const input = join(directory, 'train.csv');
  await writeFile(input, csv(examples.map(({ prompt, completion }) => ({ prompt, completion }))));
  const { code, stdout } = await dece('audit', input, '--json', '--out', directory);
  assert.is(code, 0);
  const found = JSON.parse(stdout);
  assert.equal([found.input, found.examples, found.suspects.length], [input, 200, 20]);
  assert.equal((await readExamples(found.clean)).length, 180);
});

test('says that a clean file has nothing, also with code 0', async () => {
  const input = join(await folder(), 'clean.jsonl');
  await writeFile(input, jsonLines(blind(100, 3)));
  const { code, stdout } = await dece('audit', input);
  assert.is(code, 0);
  assert.match(stdout, /^none of 100 examples looks like poison\n/);
});

test('names the file that it cannot read', async () => {
  const { code, stderr } = await dece('audit', 'missing.jsonl');
  assert.is(code, 1);
  assert.match(stderr, /^dece: cannot read missing\.jsonl: no such file or folder\n$/);
});

test.run();
