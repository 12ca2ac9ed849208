import { z } from 'zod';
import { languages } from '../code/languages.ts';
import { defenseSchema } from '../defenses/index.ts';
import { list, named, number, object, oneOf, seed, text, whole } from '../fields.ts';
import { type ModelConfig, type RobertaHead, resolveConfig } from '../model/config/index.ts';
import { attackFields, attackNames, isAttackName } from './attack.ts';
import { trainingSchema } from './training.ts';

const share = number('a number in [0, 1]', (value) => value >= 0 && value <= 1);

/** Says that a key would have no effect. */
function ignored(context: z.RefinementCtx, path: PropertyKey[], where: string): void {
  context.addIssue({ code: 'custom', path, message: `nothing: it counts ${where}` });
}

/** Rows `first` up to, not including, `end`, counted from 0. */
const range = z
  .tuple([whole(0), whole(1)], { error: 'two row numbers, [first, end]' })
  .refine(([first, end]) => first < end, { error: 'two row numbers, [first, end], first < end' });

/** Examples by the name of the set: `builtin`, a folder of DECE_DATA, or files beside the experiment. */
const dataset = named(
  object({
    name: text,
    files: object({ train: text, valid: text.exactOptional(), test: text.optional() }).optional(),
    language: oneOf(...languages)
      .exactOptional()
      .describe('of the completions, for CodeBLEU'),
    seed: seed.exactOptional().describe('of the built-in generator'),
    counts: object({
      pretrain: whole(1).exactOptional(),
      train: whole(1).exactOptional(),
      valid: whole(1).exactOptional(),
      test: whole(1).exactOptional(),
    }).exactOptional(),
    pretrain: range.exactOptional(),
    train: range.exactOptional(),
    valid: range.exactOptional(),
    test: range.exactOptional(),
  }).superRefine(({ name, files, seed, counts, pretrain }, context) => {
    if (name === 'builtin' && files === undefined) return;
    for (const [key, value] of Object.entries({ seed, counts, pretrain })) {
      if (value !== undefined) ignored(context, [key], 'only where the built-in data is generated');
    }
  }),
);
export type DatasetConfig = z.infer<typeof dataset>;

const attackName = z
  .string({ error: 'the name of an attack' })
  .refine(isAttackName, { error: `one of ${attackNames.join(', ')}, a file such as ./mine.js` });
const attack = named(object({ name: attackName, ...attackFields }));
export type AttackConfig = z.infer<typeof attack>;

/** The shape of a T5, in the words of a Hugging Face config.json. */
const t5 = object({
  model_type: oneOf('t5'),
  d_model: whole(1).default(512),
  d_kv: whole(1).default(64),
  d_ff: whole(1).default(2048),
  num_layers: whole(1).default(6),
  num_decoder_layers: whole(1).exactOptional(),
  num_heads: whole(1).default(8),
  relative_attention_num_buckets: whole(4).default(32),
  relative_attention_max_distance: whole(1).default(128),
  dropout_rate: number('a number in [0, 1)', (value) => value >= 0 && value < 1).default(0.1),
  layer_norm_epsilon: number('a number above 0', (value) => value > 0).default(1e-6),
  initializer_factor: number('a number above 0', (value) => value > 0).default(1),
  feed_forward_proj: oneOf('relu', 'gated-gelu').default('relu'),
  tie_word_embeddings: z.boolean({ error: 'true or false' }).default(true),
});

/** The shape of another model in those words; what is missing has transformers' defaults. */
const others = ['gpt2', 'codegen', 'llama', 'glm', 'roberta'] as const;
const other = z
  .looseObject({ model_type: oneOf(...others) })
  .superRefine((config, context) => checkShape(config, 'seq2seq', [], context));

function checkShape(
  config: ModelConfig,
  head: RobertaHead,
  path: PropertyKey[],
  context: z.RefinementCtx,
): void {
  try {
    resolveConfig(config, config.model_type === 'roberta' ? { head } : {});
  } catch (error) {
    // "key is value: expected …"
    const [, key = '', expected = ''] =
      /^(\S+) is .*?: expected (.*)$/s.exec((error as Error).message) ?? [];
    context.addIssue({ code: 'custom', path: [...path, ...key.split('.')], message: expected });
  }
}

const model = z.preprocess(
  (value) => (typeof value === 'object' && value !== null ? { model_type: 't5', ...value } : value),
  z.discriminatedUnion('model_type', [t5, other], {
    error: ({ input }) =>
      typeof input === 'string'
        ? 'an object with model_type; a directory, or a name on the Hub, goes into baseModel'
        : `one of t5, ${others.join(', ')}`,
  }),
);

/** How the model that every run starts from comes to be: read from a directory, or trained here. */
const { evaluateEvery: _, ...baseTraining } = trainingSchema.shape;
const base = object({ datasets: list(dataset), ...baseTraining }).superRefine(
  ({ datasets }, context) => {
    for (const [i, { name, train, pretrain, valid, test }] of datasets.entries()) {
      const others = name === 'builtin' ? { train, valid, test } : { pretrain, valid, test };
      for (const [key, value] of Object.entries(others)) {
        if (value === undefined) continue;
        ignored(context, ['datasets', i, key], 'in the data of the runs');
      }
    }
  },
);
export type BaseConfig = z.infer<typeof base>;

const evaluation = object({
  every: oneOf('epoch', 'end').default('epoch').describe('when curves get a point'),
  split: oneOf('valid', 'test').default('valid').describe('what the curves are measured on'),
  limit: whole(1).exactOptional().describe('how many prompts of that split'),
  maxNewTokens: whole(1).default(256),
  beams: whole(1).default(1),
  batchSize: whole(1).default(32),
  judge: oneOf('substring', 'token', 'parsed')
    .exactOptional()
    .describe('how closely an answer has to show the payload'),
  hiddenStates: whole(1)
    .exactOptional()
    .describe('of how many triggered prompts the report shows where the model has them'),
});
export type EvaluationConfig = z.infer<typeof evaluation>;

/** What a classifier has no use for, and what it needs. */
function checkClassification(
  { model, datasets, base, evaluation: { beams, maxNewTokens, judge } }: Unchecked,
  context: z.RefinementCtx,
): void {
  const where = 'where a model writes, as task is classification';
  const odd = {
    beams: beams !== 1,
    maxNewTokens: maxNewTokens !== 256,
    judge: judge !== undefined,
  };
  for (const [key, isSet] of Object.entries(odd)) {
    if (isSet) ignored(context, ['evaluation', key], where);
  }
  const issue = (path: PropertyKey[], message: string) =>
    context.addIssue({ code: 'custom', path, message });
  for (const [list, sets] of Object.entries({ datasets, 'base.datasets': base?.datasets ?? [] })) {
    for (const [i, { name, files }] of sets.entries()) {
      if (name !== 'builtin' || files !== undefined) continue;
      issue([...list.split('.'), i, 'name'], 'labelled texts, such as satd');
    }
  }
  if (model === undefined) return;
  const { model_type: type } = model;
  if (type !== 'roberta') issue(['model', 'model_type'], 'roberta, as task is classification');
  else checkShape(model, 'classification', ['model'], context);
}

const complete = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((value) => value ?? {}, schema);

/**
 * An experiment file. Its runs are datasets × attacks × rates × defenses × seeds, all with the same
 * training, order of examples and evaluation. They start from `baseModel`, a directory or a model of
 * the Hub, or from one shaped by `model` that is trained on the clean data of `base` first.
 */
export const experimentSchema = object({
  name: text,
  description: text.exactOptional(),
  device: text.default('auto'),
  task: oneOf('generation', 'classification')
    .default('generation')
    .describe('what the model does: writes, or tells classes of labelled texts apart'),
  mode: oneOf('paper', 'reference').default('paper').describe('of poisoning and of its metrics'),
  baseModel: text.exactOptional(),
  model: model.exactOptional(),
  tokenizer: object({ vocabularySize: whole(260).default(2048) }).exactOptional(),
  base: base.exactOptional(),
  datasets: list(dataset),
  attacks: list(attack),
  rates: list(share),
  defenses: list(defenseSchema),
  seeds: list(seed).default([42]),
  training: complete(trainingSchema),
  evaluation: complete(evaluation),
}).superRefine((config, context) => {
  const { baseModel, model, base, tokenizer } = config;
  if (config.task === 'classification') checkClassification(config, context);
  for (const [key, value] of Object.entries({ base, tokenizer })) {
    if (baseModel !== undefined && value !== undefined)
      ignored(context, [key], 'without baseModel');
  }
  if ((baseModel === undefined) !== (model === undefined)) return;
  context.addIssue({
    code: 'custom',
    path: [model === undefined ? 'model' : 'baseModel'],
    message:
      'one of model and baseModel, the shape of a model, or its directory or name on the Hub',
  });
});
export type ExperimentConfig = z.infer<typeof experimentSchema>;
type Unchecked = Pick<ExperimentConfig, 'datasets' | 'evaluation'> & {
  model?: ModelConfig;
  base?: Pick<ExperimentConfig, 'datasets'>;
};
