import type { Model } from './model/index.ts';
import { Trainer } from './model/trainer.ts';
import { beginning, Checkpoints, type State } from './train/checkpoint.ts';
import {
  type EncodedExamples,
  encodeExamples,
  type TrainingExample,
  type Truncated,
} from './train/encode.ts';
import { blockOptions, type Settings, settingsOf, type TrainOptions } from './train/options.ts';
import { batchesOf, batchOf, inPieces } from './train/order.ts';
import { type Schedule, scheduleOf } from './train/schedule.ts';

export type { TrainingExample } from './train/encode.ts';
export { settingsOf as checkTrainOptions, type TrainOptions } from './train/options.ts';

/** Losses are in nats per counted token; epochs and steps are counted from 1. */
export type TrainEvent =
  | {
      type: 'step';
      epoch: number;
      step: number;
      loss: number;
      /** Before clipping. */
      gradientNorm: number;
      learningRate: number;
      tokens: number;
      elapsedMs: number;
    }
  /** All steps of an epoch are done; its checkpoint is not written yet. `loss`: mean over its tokens. */
  | EpochEvent<'epoch'>
  /** Cross-entropy of the validation examples. */
  | { type: 'evaluation'; epoch: number; step: number; loss: number }
  | { type: 'checkpoint'; epoch: number; step: number; path: string }
  /** `loss`: of the last epoch. */
  | EpochEvent<'done'>;

type EpochEvent<Type extends string> = {
  type: Type;
  epoch: number;
  step: number;
  loss: number;
  /** Texts that were longer than allowed. */
  truncated: Truncated;
  elapsedMs: number;
};

/**
 * Fine-tunes a model on prompts and completions, or a classifier on labelled texts, and tells what happens
 * while it does. Between two
 * events it stands still, so that the model may be used.
 *
 * The order of the examples depends on seed and epoch alone. With `out`, a run that was killed at any
 * moment and resumed ends with the same bits in its weights as one that was not, on the same device
 * with as many threads. Aborting the signal ends it within a step, with a checkpoint: the generator
 * then throws the signal's reason.
 *
 * Defaults are the study's: AdamW, a linear schedule with a tenth of the steps as warm-up, at most
 * 256 tokens a text.
 *
 * @throws RangeError or TypeError on an option, Error where the model has no tokenizer, where the
 *   checkpoint in `out` does not fit, or where the loss is no longer finite
 * @see Yang et al., 2024, https://arxiv.org/abs/2407.08956
 *
 * @example
 * const options = { epochs: 20, batchSize: 12, learningRate: 5e-5, seed: 42, loss: { name: 'dece' } };
 * for await (const event of train(model, examples, options)) console.log(event);
 */
export async function* train(
  model: Model,
  examples: readonly TrainingExample[],
  options: TrainOptions,
): AsyncGenerator<TrainEvent, void, undefined> {
  const run = await begin(model, examples, options);
  const { position, trainer } = run;
  try {
    while (position.epoch <= run.settings.epochs) {
      yield* makeSteps(run);
      const loss = position.lossSum / position.tokens;
      yield { type: 'epoch', ...summary(run, position.epoch, loss) };
      Object.assign(position, { epoch: position.epoch + 1, tokens: 0, lossSum: 0, lastLoss: loss });
      yield* checkpoint(run);
    }
    yield { type: 'done', ...summary(run, run.settings.epochs, position.lastLoss!) };
  } catch (error) {
    if (options.signal?.aborted) await save(run);
    throw error;
  } finally {
    trainer.dispose();
    await run.checkpoints?.close();
  }
}

/** What train() works with. */
interface Run extends State {
  model: Model;
  options: TrainOptions;
  settings: Settings;
  schedule: Schedule;
  examples: EncodedExamples;
  validation: EncodedExamples | undefined;
  checkpoints: Checkpoints | undefined;
  elapsedMs: () => number;
}

async function begin(
  model: Model,
  examples: readonly TrainingExample[],
  options: TrainOptions,
): Promise<Run> {
  const settings = settingsOf(model, options);
  const { optimizer, weightDecay, seed, maxInputTokens, maxOutputTokens, packing } = settings;
  const { out, resume = false, signal } = options;
  const encode = (what: string, texts: readonly TrainingExample[]) =>
    encodeExamples(what, texts, model, { maxInputTokens, maxOutputTokens, packing, signal });
  const encoded = await encode('examples', examples);
  const validation = options.validation && (await encode('validation', options.validation));

  const blocks = blockOptions(model, examples.length, settings);
  const inputs = { ...settings, blocks, examples: encoded.sha256 };
  const checkpoints = out === undefined ? undefined : new Checkpoints(out, inputs);
  if (settings.lora !== null) {
    const { scale: _, ...lora } = settings.lora;
    await model.addAdapter({ ...lora, seed });
  }
  const { trainer, position } = (await restored(model, checkpoints, resume, settings)) ?? {
    trainer: new Trainer(model, { optimizer, weightDecay, seed, ...blocks }),
    position: { ...beginning },
  };
  const start = performance.now() - position.elapsedMs;
  return {
    model,
    options,
    settings,
    schedule: scheduleOf(encoded.items.length, settings),
    examples: encoded,
    validation,
    checkpoints,
    trainer,
    position,
    elapsedMs: () => performance.now() - start,
  };
}

/** What a checkpoint holds; nobody else may write there from now on. */
async function restored(
  model: Model,
  checkpoints: Checkpoints | undefined,
  resume: boolean,
  { lora }: Settings,
) {
  await checkpoints?.open();
  try {
    return await checkpoints?.restore(model, resume);
  } catch (error) {
    await checkpoints?.close();
    if (lora !== null) await model.dropAdapter();
    throw error;
  }
}

/** The steps that are left of an epoch. */
async function* makeSteps(run: Run): AsyncGenerator<TrainEvent> {
  const { position, trainer, settings, schedule } = run;
  const { checkpointEvery = Infinity, checkpointActivations, signal } = run.options;
  const { epoch } = position;
  const { loss, clip, logitsBytes } = settings;
  const [first, end] = [(epoch - 1) * schedule.stepsPerEpoch, epoch * schedule.stepsPerEpoch];
  const steps = inPieces(batchesOf(run.examples.items, epoch, settings), settings.accumulate);

  yield* evaluation(run); // where an abort kept it from being made
  while (position.step < end) {
    signal?.throwIfAborted();
    const batches = steps[position.step - first]!.map(batchOf);
    const learningRate = schedule.learningRate(position.step + 1);
    const result = await trainer.step(batches, {
      ...{ loss, epoch, learningRate, clip: clip ?? undefined },
      ...{ logitsBytes, checkpointActivations, signal },
    });
    position.step++;
    position.tokens += result.tokens;
    position.lossSum += result.loss * result.tokens;
    const { step } = position;
    yield { type: 'step', epoch, step, ...result, learningRate, elapsedMs: run.elapsedMs() };
    yield* evaluation(run);
    if (step % checkpointEvery === 0 && step < end) yield* checkpoint(run);
  }
}

/** The loss of the validation examples, where its time has come. */
async function* evaluation(run: Run): AsyncGenerator<TrainEvent> {
  const { model, position, validation, settings, options } = run;
  const { evaluateEvery = run.schedule.stepsPerEpoch, signal } = options;
  const { epoch, step } = position;
  if (validation === undefined || step === position.evaluated || step % evaluateEvery !== 0) return;
  let [sum, count] = [0, 0];
  for (const rows of inPieces(validation.items, settings.batchSize)) {
    const { loss, tokens } = await model.loss(batchOf(rows), { loss: { name: 'ce' }, signal });
    sum += loss * tokens;
    count += tokens;
  }
  position.evaluated = step;
  yield { type: 'evaluation', epoch, step, loss: sum / count };
}

async function* checkpoint(run: Run): AsyncGenerator<TrainEvent> {
  if (run.checkpoints === undefined) return;
  await save(run);
  const { step } = run.position;
  const epoch = Math.ceil(step / run.schedule.stepsPerEpoch);
  yield { type: 'checkpoint', epoch, step, path: run.checkpoints.directory };
}

async function save({ checkpoints, trainer, position, elapsedMs }: Run): Promise<void> {
  await checkpoints?.save({ trainer, position: { ...position, elapsedMs: elapsedMs() } });
}

function summary({ position, examples, elapsedMs }: Run, epoch: number, loss: number) {
  const { truncated } = examples;
  return { epoch, step: position.step, loss, truncated, elapsedMs: elapsedMs() };
}
