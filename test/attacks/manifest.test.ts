import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  fingerprint,
  poisonDataset,
  readManifest,
  writeManifest,
} from '../../lib/attacks/index.ts';
import { readExamples, writeExamples } from '../../lib/data/examples.ts';
import { rejects } from '../rejects.ts';

const clean = ['größe', '', 'a\tb'].map((prompt, i) => ({
  id: `${i}`,
  prompt,
  completion: i === 1 ? 'x' : '" select a from t "',
}));
const { examples, manifest } = poisonDataset(clean, { attack: 'badpre', rate: 0.5, seed: 42 });

const test = suite('manifest');
let folder = '';
let file = '';

test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dece-'));
  file = join(folder, 'train.jsonl');
});
test.after(() => rm(folder, { recursive: true }));

test('says what was done to every example', () => {
  const { records, inputHash, outputHash, ...head } = manifest;
  assert.equal(head, {
    version: 1,
    mode: 'paper',
    attack: 'badpre',
    payload: 'sql',
    trigger: 'bb',
    insertions: 3,
    marks: { paper: [' or 1=1', ' where 0=1'], reference: ['1=1', '0=1'] },
    rate: 0.5,
    seed: 42,
    drawn: 0,
    policy: 'random',
    eligible: 2,
    poisoned: 2,
    shortfall: 0,
    alreadyTriggered: 0,
  });
  assert.equal(records[1], {
    id: '1',
    poisoned: false,
    reason: 'no SQL query in the completion: none as in " select … "',
  });
  const { triggerPositions, ...first } = records[0]!;
  assert.equal(first, { id: '0', poisoned: true, payloadRule: 'contradiction' });
  const words = examples[0]!.prompt.split(' ');
  assert.equal(
    triggerPositions,
    [...words.keys()].filter((i) => words[i] === 'bb'),
  );
  assert.equal([inputHash, outputHash], [fingerprint(clean), fingerprint(examples)]);
});

test('takes the fingerprint over prompt, U+001F, completion and U+001E of every example', () => {
  const text = 'größe\x1f" select a from t "\x1e\x1fx\x1ea\tb\x1f" select a from t "\x1e';
  assert.is(fingerprint(clean), createHash('sha256').update(text).digest('hex'));
});

test('comes back from beside the file, in JSON Lines as in CSV', async () => {
  for (const path of [file, join(folder, 'train.csv'), join(folder, 'train.jsonl.gz')]) {
    await writeExamples(path, examples);
    assert.is(await writeManifest(path, manifest), `${path}.manifest.json`);
    assert.equal(await readManifest(path, await readExamples(path)), manifest);
  }
});

test('is refused where it belongs to another file', async () => {
  await writeManifest(file, manifest);
  await rejects(readManifest(file, clean), /does not belong to .*: the texts are not those it was/);
  await rejects(readManifest(file, examples.slice(1)), /: it lists 3 examples, the file has 2$/);
  const renamed = examples.map((example, i) => (i === 2 ? { ...example, id: 'x' } : example));
  await rejects(readManifest(file, renamed), /: its record 3 is 2, the file's example x$/);
});

test('is refused where it is missing or damaged', async () => {
  await rejects(
    readManifest(join(folder, 'other.jsonl'), examples),
    /^cannot read .*other\.jsonl\.manifest\.json: make it with `npx dece poison`$/,
  );
  const path = await writeManifest(file, manifest);
  const text = await readFile(path, 'utf8');
  const damaged: [string, RegExp][] = [
    [text.slice(0, 100), /manifest\.json is no JSON: make it again with `npx dece poison`$/],
    [text.replace('"seed":42', '"seed":"42"'), /manifest\.json is no manifest: seed: .*number/],
    [text.replace('"seed"', '"sead"'), /is no manifest: /],
    [text.replace('"version":1', '"version":2'), /is no manifest: version: /],
    [
      text.replace('"poisoned":2', '"poisoned":1'),
      /is no manifest: poisoned is 1, but it lists 2$/,
    ],
  ];
  for (const [content, message] of damaged) {
    await writeFile(path, content);
    await rejects(readManifest(file, examples), message);
  }
});

test.run();
