import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { spectralOf } from '../../lib/audit/spectral.ts';
import {
  auditWithModel,
  checkRows,
  gather,
  mostLearnt,
  promptsOf,
} from '../../lib/audit/with_model.ts';
import { trainBpe } from '../../lib/data/bpe.ts';
import { Tokenizer } from '../../lib/data/tokenizer.ts';
import { meanHiddenStates } from '../../lib/metrics/hidden_states.ts';
import { Model } from '../../lib/model/index.ts';
import { tokenLosses } from '../../lib/model/token_losses.ts';
import { rejects } from '../rejects.ts';
import { cleanModel, poisoned, rows } from './small_model.ts';

/** Made by scripts/audit_model_golden.py. */
const fixtures = new URL('../fixtures/', import.meta.url);
const golden = JSON.parse(readFileSync(new URL('audit_model.json', fixtures), 'utf8')) as {
  models: {
    directory: string;
    rows: { inputIds: number[]; labels: number[] }[];
    losses: number[][];
    states: number[][];
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

test("has transformers' mean hidden state of every prompt, and none of a completion", async () => {
  for (const { directory, rows, states } of golden.models) {
    const path = fileURLToPath(new URL(directory, fixtures));
    const head = directory.endsWith('classification') ? ({ head: 'classification' } as const) : {};
    using model = await Model.load(path, { device: 'cpu', dtype: 'float32', ...head });
    const progress: number[] = [];
    const onProgress = (done: number) => progress.push(done);
    const found = await meanHiddenStates(model, promptsOf(model, rows), { onProgress });
    for (const [i, own] of found.entries()) areClose([...own], states[i]!, 2e-4);
    assert.is(progress.at(-1), rows.length);
    // Prompts of one length are read together.
    const lengths = new Set(promptsOf(model, rows).map(({ length }) => length));
    assert.is(progress.length, lengths.size);
  }
});

test('a decoder alone sees in a prompt nothing of its completion', async () => {
  const examples = rows(24, 6).map((example, i) => ({
    ...example,
    prompt: i % 2 ? 'get' : 'sort',
  }));
  const texts = examples.flatMap(({ prompt, completion }) => [prompt, completion]);
  const tokenizer = Tokenizer.fromJson(trainBpe(texts, { vocabularySize: 300 }));
  const shape = { n_embd: 16, n_layer: 1, n_head: 2, n_positions: 64 };
  using model = Model.create(
    { model_type: 'gpt2', vocab_size: tokenizer.vocabularySize, ...shape },
    { seed: 1, tokenizer, device: 'cpu' },
  );
  const { states } = await gather(model, examples, { epochs: 1 });
  for (const [i, state] of states.entries()) areClose([...state], [...states[i % 2]!], 1e-6);
  assert.not.equal(states[0], states[1]);
});

test('keeps the losses of tokens before and after, and means of the rest', async () => {
  using model = await cleanModel();
  const { losses, before, after, ...rest } = await gather(model, rows(20, 4), { epochs: 3 });
  assert.equal([losses.length, before.length, after.length], [4, 20, 20]);
  const means = [before, after].map((tokens) =>
    tokens.map((own) => own.reduce((sum, value) => sum + value, 0) / own.length),
  );
  assert.equal([losses[0], losses[3]], means);
  assert.ok(losses.flat().every((value) => typeof value === 'number'));
  assert.equal(Object.keys(rest).sort(), ['epochs', 'items', 'states']);
});

test("has numpy's spectral signatures, and shares of the variance", async () => {
  for (const { rows, spectral, explained } of golden.matrices) {
    const found = await spectralOf(rows);
    areClose(found.squares, spectral, 1e-7 * Math.max(...spectral));
    areClose([found.explained], [explained], 1e-10);
  }
  assert.equal(await spectralOf([[1, 2], [1, 2]]), { squares: [0, 0], explained: 0 }); // biome-ignore format: a matrix
});

test('lets others have their turn between steps of a spectral signature, and stops', async () => {
  // Two directions of like variance take hundreds of steps.
  const rows = Array.from({ length: 400 }, (_, i) => [Math.cos(i), 0.999 * Math.sin(i)]);
  const stop = new AbortController();
  const steps: number[] = [];
  setImmediate(() => stop.abort(new Error('enough')));
  const onProgress = (step: number) => steps.push(step);
  await rejects(spectralOf(rows, { signal: stop.signal, onProgress }), /^enough$/);
  assert.ok(steps.length >= 1 && steps.length < 5, `${steps.length} steps`);
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
