import { join } from 'node:path';
import { check, checkKeys, checkObject } from '../check.ts';
import { makeDirectory } from '../data/files.ts';
import { trainer } from '../native.ts';
import { type Batch, labelledBatch, type NativeBatch } from './batch.ts';
import { type BlockOptions, blockKeys, blockPlan, namesOf, wholeModel } from './blocks.ts';
import type { Model } from './index.ts';
import { defaultLogitsBytes, type LossConfig, type NativeLoss, nativeLoss } from './loss.ts';
import { type ModelHandle, type Stop, withSignal } from './native.ts';

export type { BlockOptions, SwitchMode } from './blocks.ts';
export type { LossConfig } from './loss.ts';

export interface TrainerOptions extends BlockOptions {
  /** `badam` is AdamW on one block of layers at a time, as BlockOptions say. Default `adamw`. */
  optimizer?: Optimizer;
  /** Share of a weight that is taken away at learning rate 1, besides the gradient. 0.01. */
  weightDecay?: number;
  /** How much of the running means of the gradient and of its square is kept: [0.9, 0.999]. */
  betas?: readonly [number, number];
  /** Added to the root of the mean square. 1e-8. */
  eps?: number;
  /** Of dropout, and of the order of blocks. */
  seed: number;
  /**
   * Whether weight decay is for the parameter of this name. Default: for all, as PyTorch has it; with
   * BAdam for those whose name has no `bias` in it, as its authors' code means to have it (their releases
   * decay all: an option of theirs is overwritten).
   */
  decay?: (name: string) => boolean;
}

export type Optimizer = (typeof optimizers)[number];

export const optimizers = ['adamw', 'badam'] as const;

export interface StepOptions {
  loss: LossConfig;
  /** Counted from 1: alpha of DeCE is alphaBase ** epoch. */
  epoch: number;
  learningRate: number;
  /** Shortens a gradient whose norm is larger, as torch.nn.utils.clip_grad_norm_. Default: none. */
  clip?: number | undefined;
  /**
   * Most bytes that logits may take. A batch that would need more never has them all: the last product
   * and the loss are computed for some rows at a time, in float32. Default 2²⁸.
   */
  logitsBytes?: number | undefined;
  /**
   * Keep of each block what goes in alone, and run it again on the way back with the same dropout: less
   * memory, a third more time, the same bits. false.
   */
  checkpointActivations?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

export interface StepResult {
  /** In nats, the mean over the counted tokens of all batches, before the update. */
  loss: number;
  /** Over all parameters that change together, before clipping. */
  gradientNorm: number;
  /** Labels that count. */
  tokens: number;
}

/**
 * Changes the weights of a model step by step, by AdamW as torch.optim.AdamW has it, or by BAdam: that
 * is AdamW on one block of layers at a time, which is all that has gradients, moments and float32
 * copies. A block starts without moments whenever its turn comes. Of a model with an adapter (see
 * Model.addAdapter) only that changes.
 *
 * A bfloat16 model is computed with in bfloat16, but the optimizer keeps float32 weights beside it
 * of which those of the model are the rounding: small updates add up instead of being rounded away.
 *
 * @example
 * using trainer = new Trainer(model, { seed: 42 });
 * const batch = { inputIds: [[37, 5, 1]], labels: [[8, 9, 1]] };
 * const { loss } = await trainer.step(batch, { loss: { name: 'dece' }, epoch: 1, learningRate: 5e-5 });
 *
 * @see Luo et al., 2024, https://arxiv.org/abs/2404.02827 (BAdam)
 */
export class Trainer {
  readonly #model: Model;
  readonly #handle: TrainerHandle;

  /** @throws RangeError on an option out of range; TypeError on an unknown one */
  constructor(model: Model, options: TrainerOptions) {
    checkObject('model', model, 'one that Model.load or Model.create gives');
    checkKeys('Trainer', options, optionKeys);
    const { optimizer = 'adamw', weightDecay = 0.01, betas = [0.9, 0.999], eps = 1e-8 } = options;
    const { seed, decay = optimizer === 'badam' ? isNoBias : () => true } = options;
    check('optimizer', optimizer, optimizers.includes(optimizer), optimizers.join(' or '));
    check('weightDecay', weightDecay, isFinite0(weightDecay), 'a number, at least 0');
    const ok = betas.length === 2 && betas.every((beta) => beta >= 0 && beta < 1);
    check('betas', betas, ok, 'two numbers in [0, 1)');
    check('eps', eps, isFinite0(eps), 'a number, at least 0');
    check('seed', seed, Number.isSafeInteger(seed) && seed >= 0, 'a whole number, at least 0');
    check('decay', decay, typeof decay === 'function', 'a function of names');
    const names = namesOf(model);
    checkBlockOptions(options, optimizer);
    this.#model = model;
    this.#handle = new (addon().TrainerHandle)(model.handle, {
      weightDecay,
      betas,
      eps,
      seed,
      decays: names.map(decay),
      plan: optimizer === 'badam' ? blockPlan(names, options, seed) : wholeModel(names.length),
    });
  }

  /**
   * One update of the weights. Several batches make one step: the gradient is that of the mean over
   * the tokens of all of them, as if they were one batch, in the memory of the largest.
   *
   * @param batch with labels [batch, target length]; −100 is ignored. decoderInputIds are the labels
   *   shifted right behind the start token, unless given
   * @throws RangeError on an id or option out of range; Error where loss or gradient are not finite
   *   or no label counts; the signal's reason. The weights, the optimizer and the dropout to come
   *   are then as they were
   */
  async step(batch: Batch | readonly Batch[], options: StepOptions): Promise<StepResult> {
    checkKeys('step', options, stepKeys);
    const { epoch, learningRate, clip, logitsBytes = defaultLogitsBytes, signal } = options;
    const { checkpointActivations: recompute = false } = options;
    check('epoch', epoch, isFinite0(epoch), 'a number, at least 0');
    check('learningRate', learningRate, isFinite0(learningRate), 'a number, at least 0');
    check('clip', clip, clip === undefined || clip > 0, 'a number above 0');
    const isSize = Number.isSafeInteger(logitsBytes) && logitsBytes >= 1;
    check('logitsBytes', logitsBytes, isSize, 'a whole number, at least 1');
    check('checkpointActivations', recompute, typeof recompute === 'boolean', 'true or false');
    const loss = nativeLoss(options.loss, epoch);
    checkObject('batch', batch, 'one with inputIds and labels, or a list of such');
    const batches = 'inputIds' in batch ? [batch] : batch;
    check('batch', batches, batches.length > 0, 'at least one');
    const native = batches.map((one) => labelledBatch(one, this.#model.resolved));
    return withSignal(signal, (stop) =>
      this.#handle.step(native, { loss, learningRate, clip, logitsBytes, recompute }, stop),
    );
  }

  /**
   * Writes `trainer.safetensors` with all that the next step depends on: the weights, the moments of
   * AdamW and its options, the blocks and whose turn it is, the number of steps, and where the random
   * numbers of dropout are. Of a model with an adapter, the weights of that alone, its alpha and dropout,
   * and a hash of the model's. The file is replaced as a whole or not at all.
   *
   * @param note a text of the caller's, for `readNote`
   */
  async save(directory: string, note = ''): Promise<void> {
    await makeDirectory(directory);
    await this.#handle.save(join(directory, checkpointName), note);
  }

  /**
   * A trainer that goes on as the saved one would have, with the same bits on the same device and
   * with as many threads; the weights of `model` become the saved ones.
   *
   * @throws Error where the file is missing or damaged, or is of another model, or of an adapter on
   *   other weights; nothing has changed
   */
  static async restore(model: Model, directory: string): Promise<Trainer> {
    const restored = new Trainer(model, { seed: 0 });
    await restored.#handle.restore(join(directory, checkpointName));
    return restored;
  }

  /** The note of what `save` wrote into a directory; no model is needed to read it. */
  static async readNote(directory: string): Promise<string> {
    return addon().readNote(join(directory, checkpointName));
  }

  /** Frees the optimizer's memory, once work that was begun is done; the model stays. */
  dispose(): void {
    this.#handle.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** The file in a directory that a Trainer saves. */
export const checkpointName = 'trainer.safetensors';

const stepKeys = [
  ...['loss', 'epoch', 'learningRate', 'clip', 'logitsBytes', 'checkpointActivations', 'signal'],
];
const optionKeys = ['optimizer', 'weightDecay', 'betas', 'eps', 'seed', 'decay', ...blockKeys];

/** @throws RangeError on an option of BAdam where another optimizer is asked for */
export function checkBlockOptions(options: BlockOptions, optimizer: Optimizer): void {
  for (const key of optimizer === 'badam' ? [] : blockKeys) {
    const value = options[key];
    check(key, value, value === undefined, "none, as it is for the optimizer 'badam' alone");
  }
}

const isNoBias = (name: string) => !name.includes('bias');

const isFinite0 = (value: unknown) => Number.isFinite(value) && (value as number) >= 0;

/** native/trainer/trainer_binding.cc */
interface TrainerHandle {
  step(
    batches: NativeBatch[],
    options: {
      loss: NativeLoss;
      learningRate: number;
      clip: number | undefined;
      logitsBytes: number;
      recompute: boolean;
    },
    stop: Stop | undefined,
  ): Promise<StepResult>;
  save(path: string, note: string): Promise<void>;
  restore(path: string): Promise<void>;
  dispose(): void;
}

interface TrainerAddon {
  TrainerHandle: new (model: ModelHandle, options: object) => TrainerHandle;
  readNote(path: string): Promise<string>;
}

const addon = () => trainer() as TrainerAddon;
