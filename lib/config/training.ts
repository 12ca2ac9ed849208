import { z } from 'zod';
import { lossSchema } from '../defenses/index.ts';
import { flag, number, object, oneOf, seed, text, texts, whole } from '../fields.ts';
import { defaultLora } from '../model/adapter.ts';
import { switchModes } from '../model/blocks.ts';
import { defaultLogitsBytes } from '../model/loss.ts';
import { packings } from '../model/texts.ts';
import { optimizers } from '../model/trainer.ts';

const above0 = () => number('a number above 0', (value) => value > 0 && value < Infinity);
const atLeast0 = () => number('a number, at least 0', (value) => value >= 0 && value < Infinity);

const warmupText = 'a number of steps, a share below 1, or reference';
const warmup = z.union(
  [
    z.literal('reference'),
    number(warmupText, (value) =>
      Number.isSafeInteger(value) ? value >= 0 : value > 0 && value < 1,
    ),
  ],
  { error: warmupText },
);

/** On a command line it is JSON. */
const lora = z.preprocess(
  (value, context) => {
    if (typeof value !== 'string') return value;
    try {
      return JSON.parse(value);
    } catch {
      context.addIssue({ code: 'custom', message: 'JSON such as {"rank": 8, "alpha": 16}' });
      return z.NEVER;
    }
  },
  object({
    rank: whole(1).default(defaultLora.rank),
    alpha: above0().default(defaultLora.alpha),
    targets: texts.exactOptional(),
    dropout: number('in [0, 1)', (value) => value >= 0 && value < 1).exactOptional(),
  }),
);

/**
 * What `train()` is told besides the model, the data, the loss and the seed. Defaults are those of
 * the study where it states them.
 */
export const trainingSchema = object({
  epochs: whole(1).default(20).describe('passes over the data'),
  batchSize: whole(1).default(12).describe('examples in a batch'),
  learningRate: above0().default(5e-5).describe('highest learning rate'),
  schedule: oneOf('linear', 'constant').default('linear').describe('of the learning rate'),
  warmup: warmup.default(0.1).describe('steps, or share of steps, with a rising learning rate'),
  weightDecay: atLeast0().default(0.01).describe('of AdamW, on every parameter'),
  clip: above0().exactOptional().describe('highest norm of the gradient; no clipping without it'),
  accumulate: whole(1).default(1).describe('batches in a step'),
  bucketByLength: flag
    .default(false)
    .describe('true: batches of examples of like length, for less padding'),
  optimizer: oneOf(...optimizers)
    .default('adamw')
    .describe('what moves the weights'),
  switchBlockEvery: whole(1)
    .exactOptional()
    .describe('of badam: steps on one block; else steps of an epoch / blocks, but 50 to 100'),
  switchMode: oneOf(...switchModes)
    .exactOptional()
    .describe(`of badam: order of the blocks, one of ${switchModes.join(', ')}; else random`),
  startBlock: whole(0).exactOptional().describe('of badam: the first block, counted from 0'),
  blockPrefixes: texts
    .exactOptional()
    .describe('of badam: how names begin, one for each block; else one for each layer'),
  includeEmbedding: flag.exactOptional().describe('of badam: true for the embedding as a block'),
  includeHead: flag.exactOptional().describe('of badam: true for head and the rest as a block'),
  activeModules: texts
    .exactOptional()
    .describe('of badam: how names begin that change in every step'),
  lora: lora
    .exactOptional()
    .describe(
      'adapters of low rank instead: {"rank": 8, "alpha": 16, "targets": ["q_proj"]}; rank and alpha are 8 unless given',
    ),
  checkpointActivations: flag
    .default(false)
    .describe('true: blocks are run again on the way back, for less memory'),
  precision: oneOf('float32', 'bfloat16').default('float32').describe('of weights and activations'),
  logitsBytes: whole(1)
    .default(defaultLogitsBytes)
    .describe('most memory of logits; beyond it some rows at a time'),
  maxInputTokens: whole(2).default(256).describe('longer prompts are cut'),
  maxOutputTokens: whole(2).default(256).describe('longer completions are cut'),
  packing: oneOf(...packings)
    .default('paper')
    .describe("reference: prompt and completion as one text, padding, as the authors' code"),
  evaluateEvery: whole(1)
    .exactOptional()
    .describe('steps between measurements of the validation loss; else one an epoch'),
  checkpointEvery: whole(1).exactOptional().describe('steps between checkpoints within an epoch'),
});

/** The options of training, complete. */
export type TrainingConfig = z.infer<typeof trainingSchema>;

/** What `dece train --config` reads: the options of training, and what an experiment sets by itself. */
export const trainFileSchema = object({
  ...trainingSchema.shape,
  loss: lossSchema.default({ name: 'dece', alphaBase: 0.99, labelSmoothing: 0.1, mode: 'paper' }),
  seed: seed.default(42).describe('of the order of examples and of dropout'),
  device: text.default('auto').describe('cpu, cuda, cuda:N or auto'),
  head: oneOf('seq2seq', 'classification')
    .exactOptional()
    .describe(
      "of a RoBERTa: seq2seq, the study's decoder, or classification; new where the model has none",
    ),
});
