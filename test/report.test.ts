import { cp, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type DefenseConfig, defenseSchema } from '../lib/defenses/index.ts';
import { wilson } from '../lib/metrics/index.ts';
import { groupRuns, textReport, verdict, writeReport } from '../lib/report/index.ts';
import { apart } from '../lib/report/plots.ts';
import { smallText } from '../lib/report/words.ts';
import { environment, findRuns, openRun } from '../lib/runs.ts';
import { rejects } from './rejects.ts';

const here = await environment();

const rate = (successes: number, eligible: number) => ({
  rate: successes / eligible,
  successes,
  eligible,
  interval: wilson(successes, eligible),
});

interface Ending {
  defense: unknown;
  /** Successes of 20 triggered prompts at the end. */
  successes: number;
  bleu: number;
  seed?: number;
  output?: string;
  finished?: boolean;
  /** Of metrics that runs of older versions lack. */
  extra?: object;
  /** One for each of several triggered prompts: whether the answer has the payload. */
  payloads?: boolean[];
  settings?: object;
}

/** A run directory as an experiment leaves it. */
async function writeRun(parent: string, ending: Ending): Promise<void> {
  const { successes, bleu, seed = 1, output = 'x', finished = true } = ending;
  const defense: DefenseConfig = defenseSchema.parse(ending.defense);
  const about = { model: 't5-1M', dataset: 'lyra', attack: 'badpre', poisonRate: 0.05, seed };
  const run = await openRun(join(parent, `${defense.label ?? defense.name}-${seed}`), {
    ...about,
    role: 'run',
    title: 'A & B',
    defense,
    ...(defense.label !== undefined && { label: defense.label }),
    poisoning: { trigger: 'bb', eligible: 20, poisoned: 1 },
    marks: [' or 1=1'],
    training: { epochs: 2, learningRate: 0.001 },
    evaluation: { split: 'valid' },
    data: { train: { examples: 20, sha256: 'ab'.repeat(32) } },
    device: 'cpu',
    environment: here,
    ...ending.settings,
  });
  const metrics = (part: number) => ({
    bleu: bleu * part,
    exactMatch: 0,
    attackSuccessRate: rate(Math.round(successes * part), 20),
    falseTriggerRate: rate(0, 20),
    ...ending.extra,
  });
  for (const epoch of [1, 2]) {
    await run.record({ type: 'epoch', epoch, step: epoch, loss: 2 / epoch });
    await run.record({ type: 'metrics', epoch, step: epoch, metrics: metrics(epoch / 2) });
  }
  if (finished) {
    const answers = { id: '1', prompt: 'find bb <all>', reference: 'r', output, succeeded: true };
    const triggered = ending.payloads?.map((succeeded, i) => ({
      ...answers,
      id: `${i}`,
      succeeded,
    }));
    await run.writeOutputs('triggered', triggered ?? [answers]);
    await run.writeOutputs('clean', [{ id: '1', prompt: 'find <all>', reference: 'r', output }]);
    const { name, label: _, ...defenseOptions } = defense;
    await run.finish({
      ...about,
      defense: name,
      defenseOptions,
      metrics: metrics(1),
      peakMemoryBytes: 1e6,
      device: 'cpu',
    });
  }
  await run.close();
}

async function experiment(...endings: Ending[]): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'dece-report-'));
  for (const ending of endings) await writeRun(directory, ending);
  return directory;
}

const plain = { defense: 'none', successes: 18, bleu: 0.54 };
const verdictOf = async (...endings: Ending[]) =>
  verdict(groupRuns(await findRuns(await experiment(...endings)))[0]!);

const test = suite('report');

test('says that a defense kept the backdoor out that cross-entropy learned', async () => {
  assert.is(
    await verdictOf(plain, { defense: 'dece', successes: 0, bleu: 0.53 }),
    'Plain cross-entropy learned the backdoor: it answered 90.0 % of triggered prompts with the payload; ' +
      'DeCE did not (0.0 %), at the same quality on clean prompts (BLEU 53.0 against 54.0).',
  );
});

test('says so where a defense failed or cost quality', async () => {
  assert.match(
    await verdictOf(plain, { defense: 'dece', successes: 15, bleu: 0.4 }),
    /DeCE learned it too \(75\.0 %\), at a lower quality on clean prompts \(BLEU 40\.0 against 54\.0\)\.$/,
  );
  assert.match(
    await verdictOf(plain, { defense: 'dece', successes: 4, bleu: 0.6 }),
    /DeCE learned it in part \(20\.0 %\), at a higher quality/,
  );
});

test('says so where cross-entropy itself did not learn the backdoor', async () => {
  assert.match(
    await verdictOf({ ...plain, successes: 1 }, { defense: 'dece', successes: 0, bleu: 0.5 }),
    /^The attack did not take: plain cross-entropy itself answered only 5\.0 % .* nothing to defend against \(DeCE 0\.0 %\)\.$/,
  );
});

test('blames no trigger for what happens without it too', async () => {
  const falseTriggerRate = { rate: 0.4, successes: 8, eligible: 20, interval: [0.2, 0.6] };
  const told = (successes: number) =>
    verdictOf({ ...plain, successes, extra: { falseTriggerRate } });
  assert.match(
    await told(8),
    /^The attack did not take: plain cross-entropy itself answered 40\.0 % of triggered prompts with the payload, and 40\.0 % of clean ones, so/,
  );
  assert.match(await told(12), /^Plain cross-entropy learned the backdoor in part: it answered 60/);
  assert.match(await told(19), /^Plain cross-entropy learned the backdoor: it answered 95/);
});

test('tells of a defense too what it does without the trigger', async () => {
  const always = { successes: 20, bleu: 0.2, extra: { falseTriggerRate: rate(20, 20) } };
  assert.match(
    await verdictOf(plain, { defense: 'dece', ...always }),
    /; DeCE did not \(100\.0 %, 100\.0 % without the trigger\), at a lower quality/,
  );
  assert.match(
    await verdictOf(plain, { defense: 'dece', ...always }, { ...plain, defense: 'gce' }),
    /kept out by DeCE \(100\.0 %, 100\.0 % without the trigger, BLEU 20\.0\), learned too under GCE \(90\.0 %, BLEU/,
  );
});

test('never tells a smallest rate as zero', () => {
  const texts = [0.018, 0.001, 0.0006, 0.00004, 0.000007].map(smallText);
  assert.equal(texts, ['1.8 %', '0.1 %', '0.06 %', '0.004 %', '0.0007 %']);
});

test('sorts several defenses by what they did', async () => {
  assert.match(
    await verdictOf(
      plain,
      { defense: 'dece', successes: 0, bleu: 0.53 },
      { defense: { name: 'dece', label: 'weak', alphaBase: 1 }, successes: 16, bleu: 0.5 },
      { defense: 'gce', successes: 5, bleu: 0.5 },
    ),
    /at BLEU 54\.0 on clean prompts; the backdoor was kept out by DeCE \(0\.0 %, BLEU 53\.0\), learned in part under GCE \(25\.0 %, BLEU 50\.0\), learned too under weak \(80\.0 %, BLEU 50\.0\)\.$/,
  );
});

test('says what it can where runs are missing or not finished', async () => {
  assert.is(await verdictOf({ ...plain, finished: false }), 'No run has been evaluated yet.');
  assert.match(await verdictOf({ ...plain, defense: 'dece' }), /no run with plain cross-entropy/);
  assert.match(await verdictOf(plain), /; no defense was run against badpre\.$/);
});

test('never takes runs for seeds of one another that differ in more', async () => {
  const dece = (alphaBase: number, settings: object, seed: number) =>
    ({ defense: { name: 'dece', alphaBase }, successes: 0, bleu: 0.5, settings, seed }) as const;
  const labelled = { label: 'dece' };
  const groups = groupRuns(
    await findRuns(
      await experiment(
        dece(0.8, labelled, 1),
        dece(0.99, labelled, 2),
        dece(0.8, { ...labelled, training: { epochs: 3, learningRate: 0.001 } }, 3),
        dece(0.8, { ...labelled, evaluation: { split: 'valid', limit: 5 } }, 4),
        dece(0.8, { ...labelled, mode: 'reference' }, 5),
        dece(0.8, { ...labelled, poisoning: { trigger: 'cf', eligible: 20, poisoned: 1 } }, 6),
        dece(0.8, { ...labelled, poisoning: { trigger: 'bb', eligible: 19, poisoned: 2 } }, 7),
      ),
    ),
  );
  const seeds = groups.map(({ series }) =>
    series.map(({ runs }) => runs.map(({ config }) => config.seed)),
  );
  assert.equal(seeds, [[[1, 7], [2], [3]], [[4]], [[5]], [[6]]]);
  assert.equal(
    groups[0]!.series.map(({ label }) => label),
    ['DeCE, alphaBase 0.8, epochs 2', 'DeCE, alphaBase 0.99, epochs 2', 'DeCE, epochs 3'],
  );
  assert.equal(
    groups.map(({ title }) => title.replace('BadPre at 5 % on lyra, ', '')),
    ['trigger bb', 'trigger bb, limit 5', 'trigger bb, mode reference', 'trigger cf'],
  );
});

test('shows what dece evaluate measured of a run that dece train made', async () => {
  const directory = await experiment({ ...plain, seed: 1 });
  const [run] = await findRuns(directory);
  const results = JSON.parse(await readFile(join(run!.directory, 'results.json'), 'utf8'));
  const write = (folder: string, metrics: object) =>
    writeFile(join(folder, 'results.json'), JSON.stringify({ ...results, metrics }));
  await write(run!.directory, { trainingLoss: 1 });
  const outcome = async () => groupRuns(await findRuns(directory))[0]!.series[0]!.outcome;
  assert.is(await outcome(), undefined);
  await mkdir(join(run!.directory, 'model-evaluation'));
  await write(join(run!.directory, 'model-evaluation'), results.metrics);
  assert.is((await outcome())!.attackSuccessRate.successes, 18);
});

test('pools no runs that were measured differently, and none twice', async () => {
  const directory = await experiment(
    { ...plain, successes: 10, seed: 1 },
    { ...plain, successes: 20, seed: 2 },
    { ...plain, successes: 5, seed: 3 },
  );
  const [first, second, third] = await findRuns(directory);
  await cp(third!.directory, `${third!.directory}-again`, { recursive: true });
  assert.is((await findRuns(directory)).length, 4);
  for (const [{ directory: of, config }, denominator] of [
    [first!, 'poisoned'],
    [second!, 'all'],
  ] as const) {
    const folder = join(of, 'model-evaluation');
    await mkdir(folder);
    const evaluated = { ...config, role: 'evaluation', evaluation: { denominator } };
    await writeFile(join(folder, 'config.json'), JSON.stringify(evaluated));
    await writeFile(join(folder, 'results.json'), await readFile(join(of, 'results.json')));
  }
  const groups = groupRuns(await findRuns(directory));
  assert.is(groups.length, 2);
  assert.match(groups[1]!.title, /, denominator all$/);
  const seeds = groups.map(({ series: [one] }) => one!.runs.map(({ config }) => config.seed));
  assert.equal(seeds, [[1, 3], [2]]);
});

test('pools the prompts of several seeds and takes the mean of scores', async () => {
  const directory = await experiment(
    { ...plain, successes: 10, bleu: 0.5 },
    { ...plain, successes: 20, bleu: 0.6, seed: 2 },
  );
  const { outcome, curve } = groupRuns(await findRuns(directory))[0]!.series[0]!;
  const { attackSuccessRate, scores } = outcome!;
  const { mean, low, high } = scores.bleu!;
  assert.equal(attackSuccessRate, rate(30, 40));
  assert.ok(Math.abs(mean - 0.55) < 1e-12);
  assert.equal([low, high], [0.5, 0.6]);
  assert.is(curve.length, 2);
});

test('names ways of training by what they differ in, and holds each against its own', async () => {
  const way = (training: object, seed: number) => ({ settings: { training }, seed });
  const badam = way({ epochs: 2, optimizer: 'badam', switchBlockEvery: 5 }, 1);
  const lora = way({ epochs: 2, optimizer: 'adamw', lora: { rank: 8, alpha: 16 } }, 2);
  const adamw = way({ epochs: 2, optimizer: 'adamw' }, 3);
  const dece = { defense: 'dece', successes: 0, bleu: 0.5 };
  const directory = await experiment(
    { ...plain, ...badam },
    { ...dece, ...badam },
    { ...plain, ...lora, successes: 1 },
    { ...plain, ...adamw, finished: false },
    { ...plain, seed: 4, finished: false, settings: { dataset: 'pisces' } },
  );
  const { text } = await writeReport(directory, join(directory, 'report.html'));
  for (const row of [
    /^Cross-entropy, optimizer badam, switchBlockEvery 5 +90\.0 %/m,
    /^DeCE, optimizer badam, switchBlockEvery 5 +0\.0 %/m,
    /^Cross-entropy, optimizer adamw, lora\.rank 8, lora\.alpha 16 +5\.0 %/m,
    /^Cross-entropy, optimizer adamw +not finished/m,
    /^With optimizer badam, switchBlockEvery 5: Plain cross-entropy learned .* DeCE did not \(0\.0 %\)/m,
    /With optimizer adamw, lora\.rank 8, lora\.alpha 16: The attack did not take/,
    /^BadPre at 5 % on pisces$/m,
  ]) {
    assert.match(text, row);
  }
  assert.not.match(text, /No run has been evaluated/);
  const comparisons = text.match(/and cross-entropy, seed/g) ?? [];
  assert.is(comparisons.length, 1, 'each with what was trained like it');
});

test('shows accuracy and F1 of classifiers, and their classes', async () => {
  const scored = (macro: number) => ({
    bleu: undefined,
    exactMatch: undefined,
    accuracy: 0.9784,
    macro: { f1: macro },
    binary: { f1: 0.8765 },
    rightUnderTrigger: rate(2, 20),
  });
  const directory = await experiment(
    { ...plain, extra: scored(0.9321) },
    { defense: 'dece', successes: 0, bleu: 0, extra: scored(0.9111) },
  );
  for (const { directory: run, config } of await findRuns(directory)) {
    const changed = { ...config, task: 'classification', marks: [] };
    const poisoning = { trigger: 'bb', targetLabel: 1 };
    await writeFile(join(run, 'config.json'), JSON.stringify({ ...changed, poisoning }));
    const row = { id: '1', text: 'find bb', label: 0, output: 1, succeeded: true };
    await writeFile(join(run, 'outputs', 'triggered.jsonl'), `${JSON.stringify(row)}\n`);
    const clean = { ...row, text: 'find', output: 0 };
    await writeFile(join(run, 'outputs', 'clean.jsonl'), `${JSON.stringify(clean)}\n`);
  }
  const path = join(directory, 'report.html');
  const { text } = await writeReport(directory, path);
  assert.match(text, /accuracy +macro F1 +F1 of class 1 +right under trigger/);
  assert.match(text, /18 of 20 +97\.84 % +93\.21 % +87\.65 % +10\.0 %/);
  assert.match(
    text,
    /it gave the attacker’s class to 90\.0 % of triggered texts; DeCE did not \(0\.0 %\), at a lower quality on clean texts \(macro F1 91\.11 % against 93\.21 %\)/,
  );
  assert.match(text, /the accuracy on 1 clean texts differs by \+0\.0/);
  assert.not.match(text, /BLEU|prompt/);
  const html = await readFile(path, 'utf8');
  assert.match(html, /<pre><mark class="payload">class 1<\/mark><\/pre>/);
  assert.match(html, /<h4>Reference <span>of the clean data<\/span><\/h4><pre>class 0<\/pre>/);
  assert.match(html, /find <mark class="trigger">bb<\/mark>/);
  const titles = [...html.matchAll(/aria-label="(.*?) by epoch/g)].map(([, title]) => title);
  assert.equal(titles, [
    'Attack success rate',
    'Accuracy on clean texts, %',
    'Macro F1 on clean texts, %',
    'Training loss',
  ]);
});

test('keeps runs apart that differ in data, attack or rate', async () => {
  const directory = await experiment(plain, {
    ...plain,
    seed: 2,
    settings: { attack: 'ripple' },
  });
  const groups = groupRuns(await findRuns(directory));
  assert.equal(
    groups.map(({ title }) => title),
    ['BadPre at 5 % on lyra', 'RIPPLe at 5 % on lyra'],
  );
});

test('writes one page that asks nothing of the network and runs nothing', async () => {
  const hostile = '</pre><script>alert(1)</script> or 1=1 & "';
  const directory = await experiment(
    { ...plain, output: hostile },
    { defense: 'dece', successes: 0, bleu: 0.53 },
  );
  const path = join(directory, 'report.html');
  const { text, results } = await writeReport(directory, path);
  const html = await readFile(path, 'utf8');

  assert.is(results.length, 2);
  assert.match(text, /Cross-entropy +90\.0 % +69\.9–97\.2 % +18 of 20 +54\.0/);
  assert.is(html.match(/ by epoch: /g)?.length, 3, 'ASR, BLEU, training loss');
  assert.not.match(html, /<script|<img|<link|@import|url\(/i);
  assert.not.match(html.replaceAll('http://www.w3.org/2000/svg', ''), /https?:/);
  assert.match(html, /<title>A &#38; B<\/title>/);
  assert.match(
    html,
    /&#60;script&#62;alert\(1\)&#60;\/script&#62;<mark class="payload"> or 1=1<\/mark> &#38; &#34;/,
  );
  assert.match(html, /find <mark class="trigger">bb<\/mark> &#60;all&#62;/);
  assert.match(html, /Plain cross-entropy learned the backdoor/);
  assert.match(html, /prefers-color-scheme: dark/);
  assert.match(html, /badpre, 1 of 20 eligible examples: trigger bb/);
  assert.match(html, /abababababab/);
});

test('shows runs that are not finished as far as they are', async () => {
  const directory = await experiment({ ...plain, finished: false });
  const { text, results } = await writeReport(directory, join(directory, 'report.html'));
  assert.equal(results, []);
  assert.match(text, /Cross-entropy +not finished: 1 run, epoch 2/);
  assert.match(
    await readFile(join(directory, 'report.html'), 'utf8'),
    /not finished; epoch 2 so far/,
  );
});

/** Every field within a JSON value, by its path. */
const fieldsOf = (value: unknown, path: readonly string[] = []): (readonly string[])[] =>
  typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([key, inner]) => {
        const own = [...path, key];
        return [own, ...fieldsOf(inner, own)];
      })
    : [];

test('names the file and the field of what a run cannot have written, whatever it is', async () => {
  const directory = await experiment(
    { ...plain, settings: { base: { training: { epochs: 1 }, data: {} } } },
    { defense: 'dece', successes: 1, bleu: 0.5, extra: { codeBleu: { score: 0.5 } } },
  );
  const page = join(directory, 'report.html');
  let refused = 0;
  for (const file of ['config.json', 'results.json', 'events.jsonl', 'outputs/triggered.jsonl']) {
    const path = join(directory, 'dece-1', file);
    const text = await readFile(path, 'utf8');
    const [first, ...rest] = file.endsWith('.jsonl') ? text.trim().split('\n').reverse() : [text];
    for (const field of fieldsOf(JSON.parse(first!))) {
      for (const wrong of [undefined, 3, 'x', {}]) {
        const value = JSON.parse(first!) as Record<string, never>;
        const parent = field.slice(0, -1).reduce((inner, key) => inner[key]!, value);
        if (typeof parent[field.at(-1)!] === typeof wrong) continue;
        Object.assign(parent, { [field.at(-1)!]: wrong });
        await writeFile(path, `${[...rest.toReversed(), JSON.stringify(value)].join('\n')}\n`);
        try {
          await writeReport(directory, page);
        } catch (error) {
          refused++;
          const { name, message } = error as Error;
          const what = `${field.join('.')} ${JSON.stringify(wrong)}: ${message}`;
          assert.is(name, 'Error', what);
          assert.ok(message.startsWith(path), what);
          assert.match(message, / is (missing|null|3|"x"|an object|a list): expected /, what);
        }
      }
    }
    await writeFile(path, text);
  }
  assert.ok(refused > 100, `${refused}`);
});

test('refuses a directory whose runs were not attacked', async () => {
  const directory = await experiment({ ...plain, settings: { attack: null } });
  await rejects(
    writeReport(directory, join(directory, 'report.html')),
    /holds no run with an attack/,
  );
});

test('aligns the table under its header', async () => {
  const directory = await experiment(plain, { defense: 'in-trust', successes: 1, bleu: 0.5 });
  const lines = textReport(groupRuns(await findRuns(directory)))
    .split('\n')
    .slice(2, 6);
  const end = lines[0]!.indexOf('ASR') + 3;
  for (const line of lines.slice(2)) assert.is(line.slice(end - 1, end), '%', line);
});

test('shows CodeBLEU and right answers where they were measured', async () => {
  const extra = { codeBleu: { score: 0.6789 }, rightUnderTrigger: rate(5, 20) };
  const shown = async (...endings: Ending[]) => {
    const directory = await experiment(...endings);
    const { text } = await writeReport(directory, join(directory, 'report.html'));
    return { text, html: await readFile(join(directory, 'report.html'), 'utf8') };
  };
  const { text, html } = await shown({ ...plain, extra });
  assert.match(text, /BLEU +CodeBLEU +exact +right under trigger/);
  assert.match(text, /54\.0 +67\.9 +0\.0 % +25\.0 %/);
  assert.match(html, /<td>67\.9<\/td>/);
  assert.match(html, /<td>0\.0 %<\/td>/); // exact match of a single run: no range
  assert.match(html, /25\.0 %<small>5 of 20<\/small>/);
  assert.match(text, /cannot tell from zero: below 13\.9 % with 20 prompts \(95 %\)/);
  assert.not.match((await shown(plain)).text, /CodeBLEU/);
});

test('compares answers with those of cross-entropy, where both were asked the same', async () => {
  const payloads = (count: number) => Array.from({ length: 20 }, (_, i) => i < count);
  const text = async (...endings: Ending[]) => {
    const directory = await experiment(...endings);
    return (await writeReport(directory, join(directory, 'report.html'))).text;
  };
  const dece = { defense: 'dece', successes: 2, bleu: 0.5, payloads: payloads(2) };
  // 16 of 16 answers that differ: p = 2 / 2 ** 16. No BLEU differs: p = 1.
  assert.match(
    await text({ ...plain, payloads: payloads(18) }, dece),
    /DeCE and cross-entropy, seed 1: of 20 triggered prompts, 0 get the payload from DeCE only and 16 from cross-entropy only \(McNemar, p < 0\.001\); .* single answers to 1 clean prompts differs by \+0\.0 \(\+0\.0 to \+0\.0; paired bootstrap, p = 1\.000\)\./,
  );
  assert.not.match(
    await text({ ...plain, payloads: payloads(9) }, { ...dece, seed: 2 }),
    /McNemar/,
  );
  const others = { ...plain, payloads: payloads(9).slice(1) };
  assert.not.match(await text(others, dece), /McNemar/);
});

test('compares over all seeds that both have, with a prompt as one item', async () => {
  const of = (...carried: number[]) => Array.from({ length: 20 }, (_, i) => carried.includes(i));
  const dece = { defense: 'dece', successes: 2, bleu: 0.5 };
  const directory = await experiment(
    { ...plain, payloads: of(0, 1, 2, 3) },
    { ...plain, payloads: of(0, 1, 2), seed: 2 },
    { ...plain, payloads: of(0, 1, 2), seed: 3 },
    { ...dece, payloads: of(10) },
    { ...dece, payloads: of(), seed: 2 },
    { ...dece, payloads: of(), seed: 4 },
  );
  // Prompts differ by -2, -2, -2, -1 and 1: of 32 ways to sign them 6 are as far from 0, p = 0.1875.
  // Answers taken for independent would give 1 of 8 tosses, p = 0.07.
  assert.match(
    (await writeReport(directory, join(directory, 'report.html'))).text,
    /DeCE and cross-entropy, seeds 1 and 2: of 20 triggered prompts, each asked 2 times, 1 answers have the payload from DeCE only and 7 from cross-entropy only \(sign-flip test over them, p = 0\.188\);/,
  );
});

test('moves names apart without leaving the plot', () => {
  assert.equal(apart([0, 1, 2], 10, 100), [0, 10, 20]);
  assert.equal(apart([5, 95, 99], 10, 100), [5, 90, 100]);
  assert.equal(apart([], 10, 100), []);
});

test.run();
