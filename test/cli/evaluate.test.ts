import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { trainBpe } from '../../lib/data/bpe.ts';
import { jsonLines } from '../../lib/data/jsonl.ts';
import { Tokenizer } from '../../lib/data/tokenizer.ts';
import { Model } from '../../lib/model/index.ts';
import { notHere } from '../sandbox/there.ts';
import { small } from '../small_experiment.ts';
import { dece } from './run_cli.ts';

const problems = ['a', 'b'].map((task_id) => ({
  task_id,
  prompt: 'def f(x):\n',
  entry_point: 'f',
  test: 'def check(f):\n    assert f(2) == 4',
  canonical_solution: '    return x * x\n',
}));
const completions = [
  { task_id: 'a', completion: '    return x * x' },
  { task_id: 'a', completion: '    return x' },
  { task_id: 'b', completion: '    import socket; socket.socket()' },
  { task_id: 'b', completion: '    exit(0)' },
];

async function workplace(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'dece-evaluate-'));
  await writeFile(join(directory, 'problems.jsonl'), jsonLines(problems));
  await writeFile(join(directory, 'samples.jsonl'), jsonLines(completions));
  return directory;
}

const test = suite('dece evaluate --problems');
const here = notHere === undefined ? test : test.skip;
if (notHere !== undefined) {
  test.skip('user namespaces, Linux or Python 3.9 are missing here: programs cannot be held');
}

here('runs completions, prints pass@k and writes what became of each', async () => {
  const directory = await workplace();
  const files = ['--problems', 'problems.jsonl', '--completions', 'samples.jsonl'];
  const at = files.map((file) => (file.endsWith('l') ? join(directory, file) : file));
  const { code, stdout, stderr } = await dece('evaluate', ...at, '--k', '1,2');
  assert.is(code, 0, stderr);
  assert.match(stdout, /^pass@1 +25\.0 %$/m);
  assert.match(stdout, /^pass@2 +50\.0 %$/m);
  assert.match(stdout, /^refused +1 +25\.0 %$/m);
  assert.match(stdout, /^1 of 2 problems have .*; programs were held by namespaces\.$/m);

  const out = join(directory, 'samples-pass-at-k');
  const lines = (await readFile(join(out, 'programs.jsonl'), 'utf8')).trimEnd().split('\n');
  const programs = lines.map((line) => JSON.parse(line));
  assert.equal(
    programs.map(({ task_id, completion, reason }) => ({ task_id, completion, reason })),
    ['passed', 'assertion', 'refused', 'exit'].map((reason, i) => ({ ...completions[i], reason })),
  );
  const json = await dece('evaluate', ...at, '--json', '--timeout-seconds', '5');
  const results = JSON.parse(json.stdout);
  assert.equal(results.metrics, { passAtK: { 1: 0.25 } });
  assert.is(results.limits.timeoutSeconds, 5);
  assert.equal(JSON.parse(await readFile(join(out, 'results.json'), 'utf8')), results);
});

here('lets a model write the completions', async () => {
  const directory = await workplace();
  const texts = problems.flatMap(({ prompt, canonical_solution: text }) => [prompt, text]);
  const tokenizer = Tokenizer.fromJson(trainBpe(texts, { vocabularySize: 270 }));
  const config = { ...small.model, model_type: 't5', vocab_size: tokenizer.vocabularySize };
  using model = Model.create(config, { seed: 1, device: 'cpu', tokenizer });
  await model.save(join(directory, 'model'));
  const { code, stdout, stderr } = await dece(
    ...['evaluate', join(directory, 'model'), '--problems', join(directory, 'problems.jsonl')],
    ...['--max-new-tokens', '4', '--json'],
  );
  assert.is(code, 0, stderr);
  const { model: name, metrics } = JSON.parse(stdout);
  assert.equal([name, metrics.passAtK[1]], ['model', 0], 'it has learnt nothing');
});

test('explains what does not go together', async () => {
  for (const [args, message] of [
    [['--problems', 'x'], /--problems needs a model or --completions, one of the two/],
    [['model', '--k', '1'], /--k needs --problems/],
    [['model'], /expected also --clean, or --problems/],
    [['--problems', 'x', '--clean', 'y'], /cannot be used with option '--clean <file>'/],
    [['--problems', 'x', '--k', '1,x'], /'1,x' is invalid\. Expected a whole number above 0\./],
    [['--problems', 'x', '--timeout-seconds', '0'], /Expected 0\.01\.\.86400\./],
  ] as const) {
    const { code, stderr } = await dece('evaluate', ...args);
    assert.is(code, 2, stderr);
    assert.match(stderr, message);
  }
  const directory = await workplace();
  const file = join(directory, 'samples.jsonl');
  const none = await dece('evaluate', '--problems', 'nosuch.jsonl', '--completions', file);
  assert.is(none.code, 1);
  assert.is(none.stderr, 'dece: cannot read nosuch.jsonl: no such file or folder\n');
});

test.run();
