import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { spectralOf } from '../../lib/audit/spectral.ts';
import { tokenLosses } from '../../lib/audit/token_losses.ts';
import { auditWithModel, checkRows, mostLearnt } from '../../lib/audit/with_model.ts';
import { trainBpe } from '../../lib/data/bpe.ts';
import { Tokenizer } from '../../lib/data/tokenizer.ts';
import { Model } from '../../lib/model/index.ts';
import { rejects } from '../rejects.ts';
import { cleanModel, poisoned, rows } from './small_model.ts';

/** Made by scripts/audit_model_golden.py. */
const fixtures = new URL('../fixtures/', import.meta.url);
const golden = JSON.parse(readFileSync(new URL('audit_model.json', fixtures), 'utf8')) as {
  models: {
    directory: string;
    rows: { inputIds: number[]; labels: number[] }[];
    losses: number[][];
  }[];
  matrices: { rows: number[][]; spectral: number[]; explained: number }[];
  runs: { before: number[]; after: number[]; nats: number; at: number }[];
};

function areClose(found: readonly number[], wanted: readonly number[], within: number): void {
  assert.is(found.length, wanted.length);
  const far = Math.max(...found.map((value, i) => Math.abs(value - wanted[i]!)));
  assert.ok(far <= within, `${far} apart: expected at most ${within}`);
}

const settings = { epochs: 4, batchSize: 8, learningRate: 1e-2 };

const test = suite('auditWithModel');

test("has torch's loss for every token of every architecture, in rows of any length", async () => {
  assert.is(golden.models.length, 5);
  for (const { directory, rows, losses } of golden.models) {
    const path = fileURLToPath(new URL(directory, fixtures));
    const head = directory.endsWith('classification') ? ({ head: 'classification' } as const) : {};
    using model = await Model.load(path, { device: 'cpu', dtype: 'float32', ...head });
    const progress: number[] = [];
    const found = await tokenLosses(model, rows, { onProgress: (done) => progress.push(done) });
    for (const [i, own] of found.entries()) areClose([...own], losses[i]!, 2e-4);
    assert.equal(progress, [rows.length]);
  }
});

test("has numpy's spectral signatures, and shares of the variance", () => {
  for (const { rows, spectral, explained } of golden.matrices) {
    const found = spectralOf(rows);
    areClose(found.squares, spectral, 1e-8 * Math.max(...spectral));
    areClose([found.explained], [explained], 1e-10);
  }
  assert.equal(spectralOf([[1, 2], [1, 2]]), { squares: [0, 0], explained: 0 }); // biome-ignore format: a matrix
});

test('finds the neighbours that were surprising and are sure now', () => {
  for (const { before, after, nats, at } of golden.runs) {
    const found = mostLearnt(before, after);
    areClose([found.nats], [nats], 1e-12);
    assert.is(found.at, at);
  }
  // Not what still surprises, nor what never did.
  assert.equal(mostLearnt([9, 9, 9, 6, 6, 6, 0, 0], [9, 9, 9, 0, 0, 0, 0, 0]).at, 3);
});

test('ranks what poison teaches first, says which tokens, and gives the same bits again', async () => {
  const examples = poisoned(rows(160, 3));
  using model = await cleanModel();
  const told = await auditWithModel(model, examples, settings);
  const first = told.rows.filter(({ learntRank }) => learntRank <= 16);
  assert.ok(first.every(({ row }) => examples[row - 1]!.poisoned));
  assert.ok(first.every(({ learntText }) => ') ; leak ! now'.includes(learntText.trim())));
  assert.is(told.epochs, 4);
  assert.is(told.parameters, model.parameterCount);
  assert.ok(told.rows.every(({ losses }) => losses.length === 5));
  for (const rank of ['learntRank', 'spectralRank'] as const) {
    const ranks = told.rows.map((row) => row[rank]).sort((a, b) => a - b);
    assert.equal(
      ranks,
      [...examples.keys()].map((i) => i + 1),
    );
  }

  using again = await cleanModel();
  assert.equal(await auditWithModel(again, examples, settings), told);
});

test('asks a classifier about labels', async () => {
  const examples = rows(60, 5).map(({ id, prompt }, i) => ({ id, text: prompt, label: i % 3 }));
  const texts = examples.map(({ text }) => text);
  const tokenizer = Tokenizer.fromJson(trainBpe(texts, { vocabularySize: 300 }));
  const shape = { hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1 };
  const config = { num_attention_heads: 2, max_position_embeddings: 64, num_labels: 3, ...shape };
  const ids = { vocab_size: tokenizer.vocabularySize, pad_token_id: tokenizer.padTokenId };
  using model = Model.create(
    { model_type: 'roberta', ...config, ...ids },
    { seed: 1, tokenizer, device: 'cpu', head: 'classification' },
  );
  const told = await auditWithModel(model, examples, { epochs: 1, batchSize: 8 });
  assert.equal(
    told.rows.map(({ learntText }) => learntText),
    examples.map(({ label }) => `label ${label}`),
  );
  assert.ok(told.rows.every(({ learnt, losses }) => learnt > 0 && learnt < losses[0]!));
});

test('says what is wrong with what it is given, and stops when it is told', async () => {
  using model = await cleanModel();
  const examples = rows(20, 4);
  const ask = (options: object, given = examples) => auditWithModel(model, given, options);
  await rejects(ask({ rate: 1 }), /^auditWithModel has an unknown option "rate"/);
  await rejects(ask({ epochs: 0 }), /^epochs is 0: expected a whole number, at least 1/);
  await rejects(ask({}, rows(1, 1)), /^examples is 1: expected 2\.\.50000 rows with a model/);
  assert.throws(() => checkRows(50_001), /^examples is 50001: .*; take a part of them$/);
  const labelled = examples.map(({ id, prompt }) => ({ id, text: prompt, label: 1 }));
  await rejects(ask({}, labelled as never), /^examples e0 has no prompt: expected one/);
  const stopped = AbortSignal.abort(new Error('enough'));
  await rejects(ask({ signal: stopped }), /^enough$/);
});

test.run();
