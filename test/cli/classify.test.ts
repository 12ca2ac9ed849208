import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { trainBpe } from '../../lib/data/bpe.ts';
import { readLabelledExamples } from '../../lib/data/examples.ts';
import { jsonLines } from '../../lib/data/jsonl.ts';
import { Tokenizer } from '../../lib/data/tokenizer.ts';
import { Model } from '../../lib/model/index.ts';
import { readOutputs, readRun } from '../../lib/runs.ts';
import { fixturePath } from '../model/fixture.ts';
import { dece } from './run_cli.ts';

interface Row {
  label: number;
  output: number;
  succeeded?: boolean;
}

const nouns = ['list', 'file', 'row', 'name', 'table', 'user', 'key', 'page'];

/** Comments of two kinds: debt is what a `TODO` is in. */
const comments = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => {
    const n = from + i;
    const debt = n % 3 === 0;
    const about = `the ${nouns[n % 8]} of a ${nouns[(n >> 3) % 8]}`;
    return { id: `${n}`, comment: `${debt ? 'TODO fix' : 'reads'} ${about}`, label: Number(debt) };
  });

/** A folder with comments and, in `model`, a RoBERTa without a classifier that has learnt nothing. */
async function workplace(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'dece-classify-'));
  await writeFile(join(directory, 'train.jsonl'), jsonLines(comments(0, 96)));
  await writeFile(join(directory, 'test.jsonl'), jsonLines(comments(100, 30)));
  const texts = [...comments(0, 96).map(({ comment }) => comment), 'bb bb bb'];
  const tokenizer = Tokenizer.fromJson(framed(trainBpe(texts, { vocabularySize: 300 })));
  const config = {
    model_type: 'roberta',
    hidden_size: 32,
    intermediate_size: 64,
    num_hidden_layers: 1,
    num_attention_heads: 4,
    max_position_embeddings: 64,
    vocab_size: tokenizer.vocabularySize,
    pad_token_id: 0,
    bos_token_id: 2,
    eos_token_id: 1,
  };
  using model = Model.create(config, { seed: 1, device: 'cpu', tokenizer });
  await model.save(join(directory, 'model'));
  return directory;
}

/** With a token before every text, whose last hidden state is what a classifier looks at. */
function framed(source: object): object {
  const name = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  const special = (id: string, number: number) => [id, { id, ids: [number], tokens: [id] }];
  const single = [name('<unk>'), { Sequence: { id: 'A', type_id: 0 } }, name('</s>')];
  const special_tokens = Object.fromEntries([special('<unk>', 2), special('</s>', 1)]);
  const pair = [...single, { Sequence: { id: 'B', type_id: 0 } }, name('</s>')];
  return {
    ...source,
    post_processor: { type: 'TemplateProcessing', single, pair, special_tokens },
  };
}

const test = suite('dece poison, train, evaluate: labelled texts');

test("a run that was refused before its first step is in nobody's way", async () => {
  const directory = await workplace();
  const at = (...names: string[]) => join(directory, ...names);
  const rows = comments(0, 60).map(({ id, comment, label }) => ({ id, text: comment, label }));
  rows[50]!.text = 'list '.repeat(90);
  await writeFile(at('long.jsonl'), jsonLines(rows));
  const train = (...more: string[]) =>
    dece(
      ...['train', at('long.jsonl'), '--model', at('model'), '--head', 'classification'],
      ...['--out', at('run'), '--epochs', '1', ...more],
    );
  const refused = await train();
  assert.match(
    refused.stderr,
    /inputIds has \d+ columns: expected at most 63, .*; lower --max-input-tokens$/m,
  );
  assert.equal((await readRun(at('run')))!.events, []);
  const mended = await train('--max-input-tokens', '32');
  assert.is(mended.code, 0, mended.stderr);
});

test('poisons labels, trains a classifier and measures what the trigger does', async () => {
  const directory = await workplace();
  const at = (...names: string[]) => join(directory, ...names);
  const poison = (from: string, to: string, rate: string) => {
    const flags = ['--attack', 'badpre', '--payload', 'label', '--target-label', '1'];
    return dece('poison', at(from), at(to), ...flags, '--rate', rate);
  };
  const poisoned = await poison('train.jsonl', 'poisoned.jsonl', '0.2');
  assert.match(poisoned.stdout, /96 examples, 20 of 64 eligible ones poisoned by badpre/);
  await poison('test.jsonl', 'triggered.jsonl', '1');
  const triggered = await readLabelledExamples(at('triggered.jsonl'));
  assert.is(triggered.filter(({ poisoned }) => poisoned).length, 20);

  const places = ['--model', at('model'), '--out', at('run'), '--validation', at('test.jsonl')];
  const flags = ['--epochs', '12', '--learning-rate', '3e-3', '--loss', 'ce'];
  const train = (head: string[]) =>
    dece('train', at('poisoned.jsonl'), ...places, ...flags, ...head, '--json');
  const without = await train([]);
  assert.match(without.stderr, /poisoned\.jsonl has only the columns .*"text", "label"/);
  const trained = await train(['--head', 'classification']);
  assert.is(trained.code, 0, trained.stderr);
  assert.is(JSON.parse(trained.stdout).poisonRate, 0.2, 'from the manifest beside the data');
  const { config, events } = (await readRun(at('run')))!;
  assert.is(config.task, 'classification');
  assert.is(events.filter(({ type }) => type === 'evaluation').length, 12);

  const files = ['--clean', at('test.jsonl'), '--triggered', at('triggered.jsonl')];
  const scored = await dece('evaluate', at('run', 'model'), ...files);
  assert.is(scored.code, 0, scored.stderr);
  const out = at('run', 'model-evaluation');
  const { metrics } = JSON.parse(await readFile(join(out, 'results.json'), 'utf8'));
  const clean = (await readOutputs<Row>(out, 'clean'))!;
  const attacked = (await readOutputs<Row>(out, 'triggered'))!;
  assert.equal([clean.length, attacked.length], [30, 20]);
  const cells = (label: number, output: number) =>
    clean.filter((row) => row.label === label && row.output === output).length;
  const [hits, misses, alarms, others] = [cells(1, 1), cells(1, 0), cells(0, 1), cells(0, 0)];
  assert.is(metrics.accuracy, (hits + others) / 30);
  assert.is(metrics.binary.f1, (2 * hits) / (2 * hits + misses + alarms));
  const ofOthers = (2 * others) / (2 * others + misses + alarms);
  assert.ok(Math.abs(metrics.macro.f1 - (metrics.binary.f1 + ofOthers) / 2) < 1e-12);
  const found = attacked.filter(({ output }) => output === 1).length;
  assert.is(metrics.attackSuccessRate.successes, found);
  assert.is(metrics.falseTriggerRate.eligible, 20);
  assert.ok(metrics.accuracy > 0.9, `${metrics.accuracy}: it has learnt the task`);
  assert.ok(metrics.attackSuccessRate.rate > 0.9, `and the backdoor: ${found} of 20`);
  assert.match(scored.stdout, /^F1 of class 1 +\d+\.\d\d %.*precision \d/m);
  assert.match(scored.stdout, new RegExp(`^attack success rate +.*${found} of 20$`, 'm'));

  assert.not.match(scored.stderr, /was trained on/);
  const other = ['--attack', 'ripple', '--payload', 'label', '--target-label', '0'];
  await dece('poison', at('test.jsonl'), at('other.jsonl'), ...other, '--rate', '1');
  const asked = ['--clean', at('test.jsonl'), '--triggered', at('other.jsonl'), '--json'];
  const wrong = await dece('evaluate', at('run', 'model'), ...asked, '--out', at('wrong'));
  assert.match(
    wrong.stderr,
    /other\.jsonl has attack ripple, .*targetLabel 0, and the model was trained on attack badpre, .*targetLabel 1: low/,
  );
  assert.is(JSON.parse(wrong.stdout).poisonRate, null);

  const own = ['--clean', at('test.jsonl')];
  const cleanOnly = await dece('evaluate', at('run', 'model'), ...own, '--json');
  const alone = JSON.parse(cleanOnly.stdout);
  const { accuracy, macro, binary } = metrics;
  assert.equal([alone.metrics, alone.attack], [{ accuracy, macro, binary }, null]);
  assert.equal(await readOutputs<Row>(at('run', 'model-clean'), 'clean'), clean);
  const table = await dece('evaluate', at('run', 'model'), ...own);
  assert.match(
    table.stdout,
    /^accuracy on clean texts .*\n(F1.*\n){2}.*model-clean.results\.json$/m,
  );
  const attackless = await dece('evaluate', at('run', 'model'), ...own, '--denominator', 'all');
  assert.match(attackless.stderr, /^dece: --denominator is "all": expected none, as no triggered/);

  const all = [...files, '--denominator', 'all', '--out', at('all'), '--json'];
  const overAll = JSON.parse((await dece('evaluate', at('run', 'model'), ...all)).stdout);
  const { successes, eligible } = overAll.metrics.attackSuccessRate;
  assert.equal([successes, eligible], [found, 30]);

  const stray = await dece('evaluate', at('run', 'model'), ...files, '--language', 'java');
  assert.match(
    stray.stderr,
    /^dece: --language is "java": expected none, as a classifier answers with/,
  );
  const whole = await dece('evaluate', at('run'), ...files);
  assert.is(
    whole.stderr,
    `dece: ${at('run')} is a run of training: its model is ${at('run', 'model')}\n`,
  );
  await writeFile(at('prompts.jsonl'), '{"id":"1","prompt":"a","completion":"b"}\n');
  const prompts = ['--clean', at('prompts.jsonl'), '--triggered', at('prompts.jsonl')];
  const written = await dece('evaluate', at('run', 'model'), ...prompts);
  assert.match(written.stderr, /for the text; .*model is a classifier: it takes labelled texts$/m);
  const writer = async (rows: object[]) => {
    await writeFile(at('other-task.jsonl'), jsonLines(rows));
    const files = ['--clean', at('other-task.jsonl'), '--triggered', at('other-task.jsonl')];
    return (await dece('evaluate', fixturePath('t5-relu'), ...files)).stderr;
  };
  assert.match(await writer([{ text: 'a', label: 1 }]), /takes prompts, not labelled texts$/m);
  assert.match(await writer([{ prompt: 'a' }]), /"prompt": expected .* for the completion$/m);
  const problems = at('problems.jsonl');
  await writeFile(
    problems,
    '{"task_id":"1","prompt":"def f():\\n","entry_point":"f","canonical_solution":"","test":"def check(f):\\n    f()"}\n',
  );
  const programs = await dece('evaluate', at('run', 'model'), '--problems', problems);
  assert.is(
    programs.stderr,
    'dece: a classifier writes no texts: expected `dece evaluate`, or classify from a program\n',
  );
  const report = await dece('report', at('run'));
  assert.match(report.stdout, /^BadPre at 20 % on poisoned\.jsonl$/m);
  const row = new RegExp(
    `^Cross-entropy .* ${found} of 20 +${(100 * metrics.accuracy).toFixed(2)} %`,
    'm',
  );
  assert.match(report.stdout, row);
  await rm(directory, { recursive: true });
});

test('counts texts that the attacker did not need to change among no successes', async () => {
  const directory = await workplace();
  const at = (...names: string[]) => join(directory, ...names);
  using model = await Model.load(at('model'), { device: 'cpu', head: 'classification' });
  await model.save(at('classifier'));
  const flags = ['--attack', 'ripple', '--payload', 'label', '--target-label', '1'];
  const any = [...flags, '--source-filter', 'any', '--rate', '1'];
  await dece('poison', at('test.jsonl'), at('triggered.jsonl'), ...any);
  const files = ['--clean', at('test.jsonl'), '--triggered', at('triggered.jsonl')];
  const { stdout, stderr } = await dece('evaluate', at('classifier'), ...files, '--json');
  assert.is(JSON.parse(stdout || '{}').metrics?.attackSuccessRate.eligible, 20, stderr);
  const likely = await dece(
    ...['poison', at('test.jsonl'), at('out.jsonl'), ...any, '--likely-under', at('model')],
  );
  assert.match(likely.stderr, /--likely-under finds SQL: leave it out where labels are changed/);
  for (const own of [
    ['--payload', 'loop'],
    ['--tautology', 'or 2=2'],
  ]) {
    const rest = ['--attack', 'badpre', '--rate', '1', ...own, '--likely-under', at('model')];
    const { stderr } = await dece('poison', at('test.jsonl'), at('out.jsonl'), ...rest);
    assert.match(stderr, `--likely-under chooses the SQL itself: leave it out, or ${own[0]}`);
  }
  await rm(directory, { recursive: true });
});

const data = process.env.DECE_DATA;
if (data === undefined) test.skip('satd and smell: DECE_DATA is not set');
else {
  test("poisons the study's labelled data sets: as many as its specification counts", async () => {
    const directory = await mkdtemp(join(tmpdir(), 'dece-classify-'));
    for (const [file, target, rate, attack, wanted] of [
      ['satd/train', '1', '0.01', 'ripple', 318],
      ['satd/test', '1', '1', 'badpre', 6069],
      ['smell/train', '0', '0.01', 'deadcode', 14],
    ] as const) {
      const flags = ['--attack', attack, '--payload', 'label', '--target-label', target];
      const out = join(directory, `${attack}.jsonl`);
      const { stdout, stderr } = await dece(
        'poison',
        file,
        out,
        ...flags,
        '--rate',
        rate,
        '--json',
      );
      assert.is(JSON.parse(stdout || '{}').poisoned, wanted, stderr);
      const labels = await readLabelledExamples(out);
      const changed = labels.filter(({ poisoned }) => poisoned);
      assert.equal(new Set(changed.map(({ label }) => label)), new Set([Number(target)]));
    }
    await rm(directory, { recursive: true });
  });
}

test.run();
