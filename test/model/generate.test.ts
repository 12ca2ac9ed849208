import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Model } from '../../lib/model/index.ts';
import { rejects } from '../rejects.ts';
import { expectedOf, fixturePath, fixtures, unpadded } from './fixture.ts';

const test = suite('generateIds');

for (const name of fixtures) {
  const { inputIds, attentionMask, ...expected } = expectedOf(name);

  test(`${name} finds what transformers finds, greedily and with 4 beams`, async () => {
    using model = await Model.load(fixturePath(name));
    const batch = { inputIds, attentionMask };
    assert.equal(await model.generateIds(batch, { maxNewTokens: 16 }), expected.greedy);
    assert.equal(await model.generateIds(batch, { maxNewTokens: 16, beams: 4 }), expected.beams);
  });

  test(`${name} finds the same for a row alone, padded anew, and in a larger batch`, async () => {
    using model = await Model.load(fixturePath(name));
    const rows = unpadded(inputIds, attentionMask);
    for (const [beams, ids] of [
      [1, expected.greedy],
      [4, expected.beams],
    ] as const) {
      const options = { maxNewTokens: 16, beams };
      for (const [i, row] of rows.entries()) {
        assert.equal(await model.generateIds({ inputIds: [row] }, options), [ids[i]]);
      }
      // Rows end at different steps, so that the batch shrinks in between.
      const many = Array.from({ length: 12 }, (_, i) => rows[i % 3]!);
      const outputs = await model.generateIds({ inputIds: many }, options);
      assert.equal(
        outputs,
        many.map((_, i) => ids[i % 3]),
      );
    }
  });

  test(`${name} goes on as its own logits say`, async () => {
    using model = await Model.load(fixturePath(name));
    const source = { inputIds: [unpadded(inputIds, attentionMask)[0]!] };
    // Longer than the first size of the cache, and without an end token.
    const found = await model.generateIds(source, { maxNewTokens: 70, eosTokenId: [] });
    assert.is(found[0]!.length, 70);
    const { data, shape } = await model.logits({ ...source, decoderInputIds: [[0, ...found[0]!]] });
    const classes = shape[2]!;
    for (const [i, id] of found[0]!.entries()) {
      const row = data.subarray(i * classes, (i + 1) * classes);
      assert.ok(row[id]! >= Math.max(...row) - 1e-4, `id ${i}`);
    }
  });
}

test('finds the most probable sequence when the beams are wide enough', async () => {
  const config = { model_type: 't5', vocab_size: 5, d_model: 8, d_kv: 4, d_ff: 8 };
  const sizes = { num_layers: 1, num_heads: 2, initializer_factor: 1.5 };
  using model = Model.create({ ...config, ...sizes }, { seed: 4 });
  const inputIds = [[3, 4, 2]];
  // Without an end token and with as many beams as there are prefixes, the search is exhaustive.
  const options = { maxNewTokens: 3, beams: 25, eosTokenId: [] };
  const [found] = await model.generateIds({ inputIds }, options);

  const sequences = Array.from({ length: 125 }, (_, i) => [
    Math.floor(i / 25),
    Math.floor(i / 5) % 5,
    i % 5,
  ]);
  const { data } = await model.logits({
    inputIds: sequences.map(() => inputIds[0]!),
    decoderInputIds: sequences.map((ids) => [0, ...ids.slice(0, 2)]),
  });
  const scores = sequences.map((ids, row) =>
    ids.reduce((sum, id, i) => {
      const logits = [...data.subarray((row * 3 + i) * 5, (row * 3 + i + 1) * 5)];
      return sum + logits[id]! - Math.log(logits.reduce((total, x) => total + Math.exp(x), 0));
    }, 0),
  );
  assert.equal(found, sequences[scores.indexOf(Math.max(...scores))]);
});

test('takes a list of end tokens', async () => {
  using model = await Model.load(fixturePath('t5-relu'));
  const { inputIds, attentionMask, greedy } = expectedOf('t5-relu');
  const last = greedy[0]!.at(-1)!;
  const found = await model.generateIds({ inputIds, attentionMask }, { eosTokenId: [1, last] });
  assert.equal(found[0], greedy[0]!.slice(0, greedy[0]!.indexOf(last)));
});

test('warns once of settings beside the model that it does not follow', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'dece-generation-'));
  await cp(fixturePath(fixtures[0]!), directory, { recursive: true });
  const settings = {
    ...{ repetition_penalty: 1.2, suppress_tokens: [3], decoder_start_token_id: 2 },
    ...{ stop_strings: ['end'], exponential_decay_length_penalty: [2, 1.5] },
    ...{ do_sample: true, temperature: 0.2, num_beams: 4, min_length: 0, bad_words_ids: null },
  };
  await writeFile(join(directory, 'generation_config.json'), JSON.stringify(settings));
  const warnings: string[] = [];
  const hear = ({ name, message }: Error) => warnings.push(`${name}: ${message}`);
  process.on('warning', hear);
  const { inputIds, attentionMask, greedy } = expectedOf(fixtures[0]!);
  using model = await Model.load(directory);
  for (const _ of [1, 2]) {
    const options = { maxNewTokens: 16 };
    assert.equal(await model.generateIds({ inputIds, attentionMask }, options), greedy);
  }
  process.off('warning', hear);
  assert.equal(warnings, [
    'DeceGeneration: generation_config.json has repetition_penalty 1.2, suppress_tokens [3], exponential_decay_length_penalty [2,1.5], stop_strings ["end"], decoder_start_token_id 2: generate does not follow that',
  ]);
  await rm(directory, { recursive: true });
});

test('stops within a token when its signal aborts, with the reason of the signal', async () => {
  const config = { model_type: 't5', vocab_size: 500, d_model: 64, d_kv: 16, d_ff: 64 };
  using model = Model.create({ ...config, num_layers: 1, num_heads: 4 }, { seed: 1 });
  const inputIds = [[3, 4, 5]];
  const controller = new AbortController();
  const options = { maxNewTokens: 1_000_000, eosTokenId: [], signal: controller.signal };
  const outcome = model.generateIds({ inputIds }, options).catch((error: unknown) => error);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const reason = new Error('enough');
  const start = performance.now();
  controller.abort(reason);
  assert.is(await outcome, reason);
  assert.ok(performance.now() - start < 2000);

  const before = model.generateIds({ inputIds }, options).catch((error: unknown) => error);
  assert.is(await before, reason, 'aborted before it began');
  assert.is(
    (await model.generateIds({ inputIds }, { maxNewTokens: 2, eosTokenId: [] }))[0]!.length,
    2,
  );
});

test('says that the positions of a RoBERTa that writes are at their end', async () => {
  using model = await Model.load(fixturePath('models/roberta-seq2seq'));
  const write = async (maxNewTokens: number, beams: number) =>
    model.generateIds({ inputIds: [[5, 6, 7]] }, { maxNewTokens, beams, eosTokenId: [] });
  for (const beams of [1, 2]) {
    assert.is((await write(39, beams))[0]!.length, 39);
    await rejects(
      write(40, beams),
      /^the decoder knows 39 positions, and none for another id: lower maxNewTokens$/,
    );
  }
});

test.run();
