import { trainer } from '../native.ts';
import type { NativeBatch, NativeIds } from './batch.ts';
import type { NativeLoss } from './loss.ts';
import type { WeightFile } from './weight_files.ts';

/** Numbers with their shape, row-major. */
export interface Tensor {
  data: Float32Array;
  shape: number[];
}

/** A loss in nats, the mean over so many counted tokens. */
export interface MeanLoss {
  loss: number;
  tokens: number;
}

/** native/trainer/async.h: asks a native job to stop. */
export interface Stop {
  set(): void;
}

export interface NativeGenerateOptions {
  maxNewTokens: number;
  beams: number;
  eosTokenIds: readonly number[];
}

/** AdapterOptions in native/trainer/model.h. */
export interface NativeAdapter {
  targets: readonly string[];
  rank: number;
  scale: number;
  dropout: number;
  seed: number;
}

/** native/trainer/model_binding.h: weights that native code holds. */
export interface ModelHandle {
  readonly device: string;
  readonly parameters: readonly { name: string; shape: number[] }[];
  /** The adapter's where there is one, else the parameters. */
  readonly trained: readonly { name: string; shape: number[] }[];
  logits(batch: NativeBatch): Promise<Tensor>;
  hiddenStates(batch: NativeBatch, layer: number): Promise<Tensor>;
  generate(
    batch: NativeBatch,
    options: NativeGenerateOptions,
    stop: Stop | undefined,
  ): Promise<Int32Array[]>;
  /** Removes files that are outdated once the new ones are written, before the first takes its place. */
  save(files: readonly WeightFile[], outdated: readonly string[]): Promise<void>;
  addAdapter(options: NativeAdapter): Promise<void>;
  loadAdapter(path: string, options: NativeAdapter): Promise<void>;
  saveAdapter(path: string): Promise<void>;
  mergeAdapter(): Promise<void>;
  dropAdapter(): Promise<void>;
  dispose(): void;
}

/** What lib/model/index.ts uses of trainer.node. */
export interface ModelAddon {
  info(): { torch: string; cudaDevices: number; threads: number; externalBytes: number };
  Stop: new () => Stop;
  ModelHandle: {
    create(config: object, device: string, dtype: string, seed: number): ModelHandle;
    load(
      files: readonly WeightFile[],
      config: object,
      device: string,
      dtype: string,
      mmap: boolean,
      stop: Stop | undefined,
    ): Promise<ModelHandle>;
  };
  /** native/trainer/trainer_binding.cc */
  meanLoss(
    model: ModelHandle,
    batch: NativeBatch,
    loss: NativeLoss,
    logitsBytes: number,
    stop: Stop | undefined,
  ): Promise<MeanLoss>;
  wordGradient(
    model: ModelHandle,
    batch: NativeBatch,
    loss: NativeLoss,
    ids: NativeIds,
    stop: Stop | undefined,
  ): Promise<Tensor>;
}

export const addon = () => trainer() as unknown as ModelAddon;

/** How many threads libtorch computes with: OMP_NUM_THREADS, or as many as there are cores. */
export const threads = () => addon().info().threads;

/**
 * Calls native code that takes a Stop, and stops it when `signal` aborts.
 *
 * @throws the signal's reason where it was aborted before the work was done
 */
export async function withSignal<Result>(
  signal: AbortSignal | undefined,
  call: (stop: Stop | undefined) => Promise<Result>,
): Promise<Result> {
  if (signal === undefined) return call(undefined);
  signal.throwIfAborted();
  const stop = new (addon().Stop)();
  const ask = () => stop.set();
  signal.addEventListener('abort', ask, { once: true });
  try {
    return await call(stop);
  } catch (error) {
    const stopped = (error as NodeJS.ErrnoException).code === 'STOPPED';
    throw stopped && signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener('abort', ask);
  }
}
