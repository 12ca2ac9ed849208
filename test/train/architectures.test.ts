import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Model, Tokenizer, type TrainOptions, train, trainBpe } from '../../lib/index.ts';
import type { ModelConfig } from '../../lib/model/index.ts';
import { Texts } from '../../lib/model/texts.ts';
import { rejects } from '../rejects.ts';

const test = suite('train, by architecture');

const verbs = ['sort', 'count', 'print', 'close', 'open', 'hash'];
const nouns = ['list', 'file', 'row'];
const examples = verbs.flatMap((verb, i) =>
  nouns.map((noun, j) => ({
    id: `${i}-${j}`,
    prompt: `${verb} the ${noun}`,
    completion: `${noun}.${verb}(${j})`,
  })),
);
const json = trainBpe(
  examples.flatMap(({ prompt, completion }) => [prompt, completion]),
  { vocabularySize: 320 },
);
const plain = Tokenizer.fromJson(withFrame(json, false));
const framed = Tokenizer.fromJson(withFrame(json, true));
const ids = { pad_token_id: 0, eos_token_id: 1, bos_token_id: 2 };
const size = plain.vocabularySize;

/** A tokenizer that adds nothing, or a class token (here `<unk>`) and `</s>` as RoBERTa's. */
function withFrame(source: object, isFramed: boolean): object {
  const special = (id: string, number: number) => [id, { id, ids: [number], tokens: [id] }];
  const name = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  const text = (id: string) => ({ Sequence: { id, type_id: 0 } });
  const template = {
    type: 'TemplateProcessing',
    single: [name('<unk>'), text('A'), name('</s>')],
    pair: [name('<unk>'), text('A'), name('</s>'), text('B'), name('</s>')],
    special_tokens: Object.fromEntries([special('<unk>', 2), special('</s>', 1)]),
  };
  return { ...source, post_processor: isFramed ? template : null };
}

const still = {
  resid_pdrop: 0,
  attn_pdrop: 0,
  embd_pdrop: 0,
  hidden_dropout_prob: 0,
  attention_probs_dropout_prob: 0,
  decoder_dropout: 0,
};
const shapes: Record<string, ModelConfig> = {
  gpt2: { model_type: 'gpt2', n_embd: 48, n_layer: 2, n_head: 4, n_positions: 64, ...still },
  codegen: { model_type: 'codegen', n_embd: 48, n_layer: 2, n_head: 4, rotary_dim: 8 },
  llama: {
    model_type: 'llama',
    hidden_size: 48,
    intermediate_size: 96,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
  },
  roberta: {
    model_type: 'roberta',
    hidden_size: 48,
    intermediate_size: 96,
    num_hidden_layers: 1,
    num_attention_heads: 4,
    decoder_layers: 1,
    decoder_ffn_dim: 96,
    initializer_range: 0.2,
    ...still,
    num_labels: 3,
  },
};

const make = (name: string, tokenizer: Tokenizer, head?: 'seq2seq' | 'classification') =>
  Model.create(
    { ...shapes[name]!, vocab_size: size, ...ids },
    { seed: 1, tokenizer, ...(head && { head }) },
  );

const options: TrainOptions = {
  epochs: 80,
  batchSize: 6,
  learningRate: 3e-3,
  seed: 5,
  loss: { name: 'ce' },
};

for (const name of ['gpt2', 'codegen', 'llama'] as const) {
  test(`a ${name} learns to go on with the completion`, async () => {
    using model = make(name, plain);
    for await (const _ of train(model, examples, options));
    const outputs = await model.generate(
      examples.map(({ prompt }) => prompt),
      { maxNewTokens: 20 },
    );
    assert.equal(
      outputs,
      examples.map(({ completion }) => completion),
    );
  });
}

test("the study's encoder with a decoder learns to write the completion", async () => {
  using model = make('roberta', framed, 'seq2seq');
  for await (const _ of train(model, examples, { ...options, epochs: 120 }));
  const prompts = examples.map(({ prompt }) => prompt);
  const wanted = examples.map(({ completion }) => completion);
  assert.equal(await model.generate(prompts, { maxNewTokens: 20 }), wanted);
  assert.equal(await model.generate(prompts, { maxNewTokens: 20, beams: 3 }), wanted);
});

test('a classifier learns classes, of texts and of pairs', async () => {
  for (const pairs of [false, true]) {
    using model = make('roberta', framed, 'classification');
    const labelled = examples.map(({ id, prompt, completion }) => ({
      id,
      text: pairs ? 'the same?' : prompt,
      ...(pairs && { pair: completion }),
      label: Number(id.at(-1)),
    }));
    for await (const _ of train(model, labelled, { ...options, epochs: 20 }));
    assert.equal(
      await model.classify(labelled, { batchSize: 4 }),
      labelled.map(({ label }) => label),
    );
  }
});

test('a classifier that diverged answers with no class', async () => {
  using model = make('roberta', framed, 'classification');
  const labelled = examples.map(({ prompt }, i) => ({ id: `${i}`, text: prompt, label: i % 3 }));
  const far = {
    ...options,
    epochs: 1,
    batchSize: 99,
    learningRate: 1e38,
    schedule: 'constant' as const,
  };
  for await (const _ of train(model, labelled, far));
  await rejects(
    model.classify(labelled),
    /^the logits of text \d+ are [NaInfity,\d. -]+: the weights are damaged, or diverged in training$/,
  );
});

test('what a model reads and learns, id by id', () => {
  const [prompt, completion] = ['sort the list', 'list.sort(0)'];
  const encode = (text: string) => plain.encode(text);
  const packed = (config: ModelConfig, tokenizer: Tokenizer, most = 99) => {
    const head = config.model_type === 'roberta' ? ({ head: 'seq2seq' } as const) : {};
    using model = Model.create({ ...config, vocab_size: size, ...ids }, { seed: 1, ...head });
    const texts = new Texts(tokenizer, model.resolved);
    return texts.example(
      texts.prompt(prompt, most).value,
      texts.completion(completion, most).value,
    );
  };
  const ignored = encode(prompt).map(() => -100);

  for (const tokenizer of [plain, framed]) {
    const { inputIds, labels } = packed(shapes.gpt2!, tokenizer);
    const start = tokenizer === framed ? [2] : [];
    assert.equal(inputIds, [...start, ...encode(prompt), ...encode(completion), 1]);
    assert.equal(labels, [...start.map(() => -100), ...ignored, ...encode(completion), 1]);
  }
  assert.equal(packed(shapes.roberta!, framed), {
    inputIds: [2, ...encode(prompt), 1],
    labels: [...encode(completion), 1],
  });
  assert.equal(packed(shapes.gpt2!, plain, 2), {
    inputIds: [...encode(prompt).slice(0, 2), encode(completion)[0], 1],
    labels: [-100, -100, encode(completion)[0], 1],
  });
});

test('names what a model does not learn from', async () => {
  const first = async (model: Model, texts: readonly object[]) => {
    for await (const _ of train(model, texts as typeof examples, options)) return;
  };
  using classifier = make('roberta', framed, 'classification');
  await rejects(
    first(classifier, examples),
    /^examples 0-0 has no text: expected one, as a classifier learns from it$/,
  );
  await rejects(
    first(classifier, [{ id: 'a', text: 'x', label: 3 }]),
    /^the label of examples a is 3: expected 0\.\.2, the classes of the model$/,
  );
  using causal = make('gpt2', plain);
  await rejects(
    first(causal, [{ id: 'a', text: 'x', label: 0 }]),
    /^examples a has no prompt: expected one, as this model learns from it$/,
  );
  using masked = make('roberta', framed);
  await rejects(first(masked, examples), /^a masked language model learns from no prompts/);
  await rejects(causal.classify([{ text: 'x' }]), /^the model is no classifier/);
});

test.run();
