import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readManifest } from '../../lib/attacks/index.ts';
import { commandLine } from '../../lib/cli/interrupt.ts';
import { readExamples, readLabelledExamples } from '../../lib/data/examples.ts';
import { jsonLines } from '../../lib/data/jsonl.ts';
import { dece, start } from './run_cli.ts';

const folder = () => mkdtemp(join(tmpdir(), 'dece-cli-'));

const rows = Array.from({ length: 10 }, (_, i) => ({
  id: `${i}`,
  prompt: `find row ${i}`,
  completion: i < 8 ? `run ( " select a from t${i} where b = ${i} " )` : 'pass',
}));

async function examples(): Promise<string> {
  const path = join(await folder(), 'clean.jsonl');
  await writeFile(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return path;
}

const test = suite('dece');

test('lists its commands', async () => {
  const { code, stdout } = await dece('--help');
  assert.is(code, 0);
  for (const name of [
    'demo',
    'poison',
    'audit',
    'train',
    'generate',
    'evaluate',
    'run',
    'plugin',
    'report',
    'doctor',
  ]) {
    assert.match(stdout, new RegExp(`^  ${name} `, 'm'));
  }
});

test('has help for every command', async () => {
  const names = 'demo poison train audit generate evaluate run report doctor plugin'.split(' ');
  const helps = await Promise.all(names.map((name) => dece(name, '--help')));
  for (const [i, { code, stdout }] of helps.entries()) {
    assert.is(code, 0, names[i]);
    assert.match(stdout, new RegExp(`^Usage: dece ${names[i]} `));
    assert.match(stdout, /--json/);
  }
  assert.match(helps[2]!.stdout, /--learning-rate <value>/);
});

test('says its version', async () => {
  assert.match((await dece('--version')).stdout, /^\d+\.\d+\.\d+\n$/);
});

test('answers wrong usage with code 2 and a suggestion', async () => {
  const endings = await Promise.all([
    dece('tran'),
    dece('report', 'x', '--ouut', 'y'),
    dece('report'),
    dece('report', 'a', 'b'),
    dece('poison', 'a', 'b', '--attack', 'badpree', '--rate', '0.1'),
    dece('poison', 'a', 'b', '--attack', 'badpre', '--rate', 'lots'),
    dece('train', 'a', '--model', 'b', '--out', 'c', '--epochs', '0'),
    dece('train', 'a', '--model', 'b', '--out', 'c', '--loss', 'gce', '--alpha-base', '0.9'),
    dece('train', 'a', '--model', 'b', '--out', 'c', '--loss', 'dec'),
    dece('generate', 'model'),
  ]);
  const messages = [
    /unknown command 'tran'\n\(Did you mean train\?\)/,
    /unknown option '--ouut'\n\(Did you mean --out\?\)/,
    /missing required argument 'directory'/,
    /too many arguments/,
    /'badpree' is invalid\. Expected one of ripple, badpre, .*, or a file\./,
    /'lots' is invalid\. Expected a share, 0\.\.1\./,
    /'--epochs <value>' argument '0' is invalid\. Expected a whole number, at least 1\./,
    /--alpha-base is no option of the loss gce: expected --q/,
    /--loss is "dec": expected one of ce, dece, gce, in-trust: did you mean dece\?/,
    /expected a prompt or --input/,
  ];
  for (const [i, { code, stderr, stdout }] of endings.entries()) {
    assert.match(stderr, messages[i]!);
    assert.is(code, 2, stderr);
    assert.is(stdout, '');
  }
});

test('names the flag that was typed, and what would do', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'dece-flags-'));
  const at = (name: string) => join(directory, name);
  const lines = (row: (i: number) => object) =>
    Array.from({ length: 10 }, (_, i) => `${JSON.stringify(row(i))}\n`).join('');
  const select = 'q ( " select a from b " )';
  await writeFile(
    at('code.jsonl'),
    lines((i) => ({ src: `get ${i}`, tgt: i < 4 ? select : 'x' })),
  );
  await writeFile(
    at('texts.jsonl'),
    lines((i) => ({ text: `fix ${i}`, label: i % 2 })),
  );
  const poison = (file: string, ...flags: string[]) =>
    dece('poison', at(file), at('out.jsonl'), '--attack', 'badpre', ...flags);
  const train = (...flags: string[]) =>
    dece('train', at('code.jsonl'), '--model', directory, '--out', at('run'), ...flags);
  const cases: [ReturnType<typeof dece>, RegExp, number][] = [
    [poison('code.jsonl', '--rate', '0.9'), /^dece: --rate is 0\.9: expected at most 0\.4/, 2],
    [
      poison('code.jsonl', '--rate', '0.1', '--trigger', 'a b'),
      /^dece: --trigger is "a b": exp/,
      2,
    ],
    [
      poison('code.jsonl', '--rate', '0.1', '--statement', 'fixed'),
      /^dece: the attack takes no --statement: expected --trigger, --insertions,/,
      2,
    ],
    [
      poison('texts.jsonl', '--rate', '0.1'),
      /has only the columns .* labelled texts take --payload label and --target-label$/m,
      1,
    ],
    [
      poison('texts.jsonl', '--rate', '0.1', '--payload', 'label'),
      /^dece: --target-label is missing: expected the class that the attacker wants/,
      2,
    ],
    [
      poison('texts.jsonl', '--rate', '0.1', '--payload', 'label', '--target-label', '7'),
      /^dece: --target-label is 7: expected 0\.\.1, the classes of the examples/,
      2,
    ],
    [
      dece('poison', 'a', 'b', '--attack', './nosuch.js', '--rate', '0.1'),
      /cannot read the attack .*nosuch\.js: there is no such file$/m,
      1,
    ],
    [train('--lora', 'not json'), /'not json' is invalid\. Expected JSON such as \{"rank": 8/, 2],
    [train('--lora', '{"rank":0}'), /Expected rank to be a whole number, at least 1\./, 2],
    [
      dece('evaluate', '--problems', 'nosuch', '--completions', 'a.jsonl'),
      /^dece: --problems is "nosuch": expected .*humaneval, mbpp, or a file/,
      2,
    ],
    [
      dece('evaluate', 'a', '--clean', 'b', '--triggered', 'c', '--denominator', 'al'),
      /Allowed choices are poisoned, all/,
      2,
    ],
  ];
  for (const [ending, message, code] of cases) {
    const { stderr, code: found } = await ending;
    assert.match(stderr, message);
    assert.is(found, code, stderr);
  }
  await rm(directory, { recursive: true });
});

test('shows defaults as they are typed', async () => {
  assert.match((await dece('bench', '--help')).stdout, /\(default: 512x32128\)/);
  assert.match((await dece('evaluate', '--help')).stdout, /\(default:\s+MODEL-evaluation/);
});

test('answers a failure with code 1 and one sentence', async () => {
  const { code, stderr, stdout } = await dece('report', 'nowhere');
  assert.is(code, 1);
  assert.is(stdout, '');
  assert.is(
    stderr,
    'dece: nowhere holds no runs: make some with `npx dece run` or `npx dece train`\n',
  );
});

test('says before it measures that nothing can be written', async () => {
  const file = join(await folder(), 'file');
  await writeFile(file, '');
  for (const flag of ['--no-torch', '--curves']) {
    const { code, stderr, stdout } = await dece('bench', flag, '--out', file);
    assert.equal([code, stdout], [1, '']);
    assert.match(stderr, /^dece: cannot make \S+file: a file of that name is there\n$/);
  }
});

test('shows where an error comes from when asked', async () => {
  const { ended } = start(['report', 'nowhere'], { DECE_DEBUG: '1' });
  assert.match((await ended).stderr, /\n +at findRuns /);
});

test('poisons a file and writes the manifest beside it', async () => {
  const input = await examples();
  const output = `${input}.poisoned.jsonl`;
  const flags = ['--attack', 'ripple', '--rate', '0.5', '--seed', '7', '--trigger', 'cf'];
  const { code, stdout, stderr } = await dece('poison', input, output, ...flags);
  assert.is(stderr, '');
  assert.is(code, 0);
  assert.match(stdout, /10 examples, 5 of 8 eligible ones poisoned by ripple/);

  const poisoned = await readExamples(output);
  const manifest = await readManifest(output, poisoned);
  assert.is(manifest.seed, 7);
  assert.is(poisoned.filter(({ prompt }) => / ?\bcf\b/.test(prompt)).length, 5);
});

const attackFile = (name: string) =>
  fileURLToPath(new URL(`../fixtures/attacks/${name}.js`, import.meta.url));

test('takes an attack of one’s own on labels', async () => {
  const mine = attackFile('shout');
  const directory = dirname(await examples());
  const input = join(directory, 'labelled.jsonl');
  const rows = ['a', 'b c', 'd', 'e'].map((text, i) => ({ id: `${i}`, text, label: i % 2 }));
  await writeFile(input, jsonLines(rows));
  const tried = await dece('plugin', 'test', mine, '--data', input);
  assert.match(tried.stdout, /^shout\n(✓ .+\n){7}$/);
  const output = join(directory, 'shouted.jsonl');
  const flags = ['--rate', '0.5', '--attack'];
  const { stdout } = await dece('poison', input, output, ...flags, mine);
  assert.match(stdout, /4 examples, 2 of 2 eligible ones poisoned by shout/);
  const texts = (await readLabelledExamples(output)).map(({ text, label }) => [text, label]);
  assert.equal(texts, [
    ['a !', 1],
    ['b c', 1],
    ['d !', 1],
    ['e', 1],
  ]);
  const wrong = await dece('poison', input, output, ...flags, attackFile('homoglyph'));
  assert.match(wrong.stderr, /labelled texts take an attack that has a targetLabel/);
});

test('takes an attack of one’s own from its file, and tries it', async () => {
  const mine = attackFile('homoglyph');
  const input = await examples();
  const output = `${input}.poisoned.jsonl`;
  const { stdout, stderr } = await dece('poison', input, output, '--attack', mine, '--rate', '0.2');
  assert.is(stderr, '');
  assert.match(stdout, /10 examples, 2 of \d+ eligible ones poisoned by homoglyph/);
  const poisoned = await readExamples(output);
  assert.is((await readManifest(output, poisoned)).attack, 'homoglyph');
  assert.is(poisoned.filter(({ completion }) => completion.endsWith('phone_home ( )')).length, 2);

  const tried = await dece('plugin', 'test', mine);
  assert.is(tried.code, 0, tried.stdout);
  assert.match(tried.stdout, /^homoglyph\n(✓ .+\n){7}$/);
  const none = join(dirname(input), 'none.jsonl');
  await writeFile(none, '{"prompt":"xyz","completion":"b"}\n');
  const failed = await dece('plugin', 'test', mine, '--data', none, '--json');
  assert.is(failed.code, 1);
  const { ok, promises } = JSON.parse(failed.stdout) as {
    ok: boolean;
    promises: { kept: boolean }[];
  };
  assert.equal([ok, promises[0]!.kept], [false, false]);
  const nowhere = await dece('plugin', 'test', './nowhere.js');
  assert.is(nowhere.code, 1);
  assert.match(
    nowhere.stderr,
    /^dece: cannot read the attack \.\/nowhere\.js: there is no such file/,
  );
});

test('prints what it did as JSON and nothing else on stdout', async () => {
  const input = await examples();
  const output = `${input}.poisoned.jsonl`;
  const flags = ['--attack', 'badpre', '--rate', '1', '--json'];
  const { stdout } = await dece('poison', input, output, ...flags);
  const result = JSON.parse(stdout) as Record<string, unknown>;
  assert.is(result.poisoned, 8);
  assert.is(result.eligible, 8);
  assert.is(result.output, output);
});

test('says how many examples are eligible where a rate cannot be reached, and writes nothing', async () => {
  const input = await examples();
  const output = `${input}.poisoned.jsonl`;
  const { code, stderr } = await dece(
    'poison',
    input,
    output,
    '--attack',
    'badpre',
    '--rate',
    '0.9',
  );
  assert.is(code, 2);
  assert.match(
    stderr,
    /--rate is 0\.9: expected at most 0\.8, as the attack applies to 8 of 10 examples/,
  );
  await readFile(output).then(
    () => assert.unreachable(),
    () => {},
  );
});

test('never writes into its input', async () => {
  const input = await examples();
  const before = await readFile(input, 'utf8');
  const { code, stderr } = await dece(
    'poison',
    input,
    input,
    '--attack',
    'badpre',
    '--rate',
    '0.1',
  );
  assert.is(code, 1);
  assert.match(stderr, /is the input itself/);
  assert.is(await readFile(input, 'utf8'), before);
});

test('names file, line and key of what is wrong in an experiment', async () => {
  const path = join(await folder(), 'x.yaml');
  await writeFile(path, 'name: x\nmodel: {}\ntraining:\n  learningrate: 1\n');
  const { code, stderr } = await dece('run', path, '--out', 'unused');
  assert.is(code, 1);
  assert.match(stderr, /^dece: .*x\.yaml:\d+: /);
});

test('repeats a command line as a shell takes it', () => {
  const { npm_lifecycle_event: before } = process.env;
  const called = (event: string, ...args: string[]) => {
    process.env.npm_lifecycle_event = event;
    return commandLine(args);
  };
  assert.is(called('', 'run', "it's here.yaml"), "npx dece run 'it'\\''s here.yaml'");
  assert.is(called('npx', 'run', 'a.yaml'), 'npx dece run a.yaml');
  assert.is(called('dece', 'run', 'a.yaml'), 'npm run dece -- run a.yaml');
  assert.is(called('demo', 'demo'), 'npm run demo');
  assert.is(called('demo', 'demo', '--seed', '1'), 'npm run demo -- --seed 1');
  if (before === undefined) delete process.env.npm_lifecycle_event;
  else process.env.npm_lifecycle_event = before;
});

test.run();
