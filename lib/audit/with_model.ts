import { check, checkKeys, checkList, checkObject } from '../check.ts';
import { meanHiddenStates } from '../metrics/hidden_states.ts';
import { type Model, tokenizerOf } from '../model/index.ts';
import { type Encoded, ignoredLabel } from '../model/texts.ts';
import { tokenLosses } from '../model/token_losses.ts';
import { encodeExamples } from '../train/encode.ts';
import { type TrainingExample, train } from '../train.ts';
import type { ModelAudit } from './evidence.ts';
import { spectralOf } from './spectral.ts';

export type { ModelAudit, RowEvidence } from './evidence.ts';

/** More rows are not held beside a model: at 768 numbers for a prompt they take 0.6 GB. */
export const mostRows = 50_000;

export interface ModelAuditOptions {
  /** Passes of training. Default 3: what poison teaches is learnt early. */
  epochs?: number;
  /** Default 12. */
  batchSize?: number;
  /** Highest learning rate. Default 5e-5. */
  learningRate?: number;
  /** Of the order of rows and of dropout. Default 42. */
  seed?: number;
  /** Longer texts are cut. Default 256 tokens. */
  maxInputTokens?: number;
  maxOutputTokens?: number;
  signal?: AbortSignal;
  /** Told how far a piece of work is. */
  onProgress?: (what: string, done: number, total: number) => void;
}

/** So many tokens in a row have to be surprising: a shorter run is often one rare name. */
const run = 3;

/**
 * What a model tells of each row while it learns them by plain cross-entropy: ranks for people to look at,
 * most suspect first, that make no row a suspect, as no clean data bounds them.
 *
 * - `learnt`: poisoned rows repeat what the model did not expect, and it learns that early, as of backdoors
 *   Li et al. found. Of any three neighbouring tokens of a completion, the largest mean of before · exp(−after),
 *   where before and after are a token's losses before training and after the last epoch: surprising then,
 *   certain now. Rare names surprise and are not learnt; idioms are certain from the beginning.
 * - `losses`: of whole rows. Their low end, which Li et al. isolate, tells little of code, whose payload is a
 *   few tokens among many (README).
 * - `spectral`: the spectral signature of Tran et al., of the mean over a prompt's ids of the last hidden
 *   states, of the encoder where there is one, after training.
 *
 * What a clean model has learnt already it cannot show: start from one that knows the language, and not these
 * data. The model is changed. All rows are held, at most 50,000. The same seed gives the same bits on the same
 * device with as many threads.
 *
 * @param examples for a classifier labelled texts, whose one token is the label
 * @throws RangeError on fewer than two rows, on more than 50,000 and on an option; errors are those of `train`
 * @see Li et al., 2021, https://arxiv.org/abs/2110.11571 (Anti-Backdoor Learning)
 * @see Tran, Li and Madry, 2018, https://arxiv.org/abs/1811.00636 (spectral signatures)
 *
 * @example
 * const { rows } = await auditWithModel(model, examples, { epochs: 3 });
 * const first = rows.toSorted((a, b) => a.learntRank - b.learntRank).slice(0, 20);
 */
export async function auditWithModel(
  model: Model,
  examples: readonly TrainingExample[],
  options: ModelAuditOptions = {},
): Promise<ModelAudit> {
  const { epochs, items, losses, before, after, states } = await gather(model, examples, options);
  const found = before.map((own, i) => mostLearnt(own, after[i]!));
  const learnt = found.map(({ nats }) => nats);
  const { squares: spectral, explained } = await spectralOf(states, {
    signal: options.signal,
    onProgress: (step, most) => options.onProgress?.('spectral signatures', step, most),
  });
  const [learntRanks, spectralRanks] = [ranks(learnt), ranks(spectral)];
  return {
    epochs,
    parameters: model.parameterCount,
    explained,
    rows: examples.map(({ id }, i) => ({
      id,
      row: i + 1,
      losses: losses.map((of) => of[i]!),
      learnt: learnt[i]!,
      learntText: textOf(model, items[i]!, found[i]!.at),
      learntRank: learntRanks[i]!,
      spectral: spectral[i]!,
      spectralRank: spectralRanks[i]!,
    })),
  };
}

/** What a model is before and while it learns. */
export interface Gathered {
  epochs: number;
  /** The rows as the model reads them. */
  items: Encoded[];
  /** [1 + epochs][rows]: the mean over a row's tokens before training and after each epoch. */
  losses: number[][];
  /** [rows][tokens]: before training, and after the last epoch. */
  before: Float32Array[];
  after: Float32Array[];
  /** [rows][width]: where the trained model has each prompt. */
  states: Float64Array[];
}

/** What `auditWithModel` judges by, with its arguments. */
export async function gather(
  model: Model,
  examples: readonly TrainingExample[],
  options: ModelAuditOptions = {},
): Promise<Gathered> {
  checkKeys('auditWithModel', options, [...Object.keys(defaults), 'signal', 'onProgress']);
  checkObject('model', model, 'one that Model.load or Model.create gives');
  checkList('examples', examples, 'examples');
  checkRows(examples.length);
  const { signal, onProgress, ...given } = options;
  const settings = {
    ...defaults,
    ...given,
    loss: { name: 'ce' as const },
    ...(signal && { signal }),
  };
  const encoded = await encodeExamples('examples', examples, model, { ...settings, signal });
  const measure = (what: string) =>
    tokenLosses(model, encoded.items, {
      signal,
      onProgress: (done) => onProgress?.(what, done, examples.length),
    });

  const before = await measure('losses before training');
  const losses = [before.map(mean)];
  let after = before;
  const steps = settings.epochs * Math.ceil(examples.length / settings.batchSize);
  for await (const event of train(model, examples, settings)) {
    const { type, epoch, step } = event;
    if (type === 'step') onProgress?.('steps of training', step, steps);
    if (type !== 'epoch') continue;
    after = await measure(`losses after epoch ${epoch}`);
    losses.push(after.map(mean));
  }
  const states = await meanHiddenStates(model, promptsOf(model, encoded.items), {
    signal,
    onProgress: (done) => onProgress?.('hidden states', done, examples.length),
  });
  return { epochs: settings.epochs, items: encoded.items, losses, before, after, states };
}

/** The ids of each row's prompt: what a decoder alone learns to go on with stands behind it. */
export function promptsOf({ resolved }: Model, rows: readonly Encoded[]): number[][] {
  if (resolved.labels !== 'next ids') return rows.map(({ inputIds }) => inputIds);
  const length = ({ labels }: Encoded) => labels.findIndex((label) => label !== ignoredLabel);
  return rows.map((row) => row.inputIds.slice(0, length(row)));
}

const defaults = {
  epochs: 3,
  batchSize: 12,
  learningRate: 5e-5,
  seed: 42,
  maxInputTokens: 256,
  maxOutputTokens: 256,
};

/** @throws RangeError on rows that are too few or too many for a model, as soon as there is one too many */
export async function readRows<Row>(source: AsyncIterable<Row>): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const row of source) {
    if (rows.push(row) > mostRows) break;
  }
  checkRows(rows.length);
  return rows;
}

/** @throws what the first row tells of them all: that the model learns from other data, or has no tokenizer */
export async function checkFirst(model: Model, rows: readonly TrainingExample[]): Promise<void> {
  await encodeExamples('examples', rows.slice(0, 1), model, defaults);
}

/** @throws RangeError where so many rows cannot be audited with a model */
export function checkRows(rows: number): void {
  const fits = rows >= 2 && rows <= mostRows;
  check('examples', rows, fits, `2..${mostRows} rows with a model; take a part of them`);
}

/**
 * The largest mean of before · exp(−after) over neighbouring tokens, three or all where there are fewer, and
 * where the first of them stands.
 */
export function mostLearnt(before: ArrayLike<number>, after: ArrayLike<number>) {
  const width = Math.min(run, before.length);
  const most = { nats: 0, at: 0 };
  for (let start = 0; start + width <= before.length; start++) {
    let sum = 0;
    for (let i = start; i < start + width; i++) sum += before[i]! * Math.exp(-after[i]!);
    if (sum / width > most.nats) Object.assign(most, { nats: sum / width, at: start });
  }
  return most;
}

function textOf(model: Model, { labels }: Encoded, at: number): string {
  if (model.classes !== undefined) return `label ${labels[0]}`;
  const counted = labels.filter((label) => label !== ignoredLabel);
  return tokenizerOf(model).decode(counted.slice(at, at + run));
}

const mean = (values: Float32Array) =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);

/** The place of each value among all, the highest first, from 1; of equal ones the earlier. */
function ranks(values: readonly number[]): number[] {
  const found = new Array<number>(values.length);
  const order = [...values.keys()].sort((a, b) => values[b]! - values[a]! || a - b);
  for (const [rank, i] of order.entries()) found[i] = rank + 1;
  return found;
}
