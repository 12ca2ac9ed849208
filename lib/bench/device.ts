import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type LossConfig, type NativeLoss, nativeLoss } from '../model/loss.ts';
import { trainer } from '../native.ts';
import type { ReferenceOptions } from './float64.ts';
import { authors, type Dtype, optionsText, type Problem, type Provider } from './providers.ts';

/** native/trainer/loss_binding.cc */
interface LossBench {
  run(place: string, loss: NativeLoss): number;
  peak(place: string, loss: NativeLoss): number;
  gradientRows(rows: readonly number[]): Float32Array;
  dispose(): void;
}

interface Addon {
  info(): { cudaDevices: number };
  LossBench: new (
    device: string,
    logits: Float32Array | Uint16Array,
    isHalf: boolean,
    labels: Int32Array,
  ) => LossBench;
  linearLossBench(
    task: LinearTask & { seed: number },
    loss: NativeLoss,
  ): { milliseconds: number[]; peakBytes: number };
}

const addon = () => trainer() as unknown as Addon;

/**
 * The device that a name stands for: of `auto` a GPU where libtorch has one, else the CPU.
 *
 * @throws Error where libtorch has no such device
 */
export function deviceNamed(name: string): string {
  if (name === 'cpu') return name;
  const { cudaDevices } = addon().info();
  if (name === 'auto') return cudaDevices > 0 ? 'cuda' : 'cpu';
  const [, index = '0'] = name.split(':');
  if (Number(index) < cudaDevices) return name;
  const found = `${cudaDevices} GPU${cudaDevices === 1 ? '' : 's'}`;
  throw new Error(`there is no device ${name}: libtorch finds ${found}, see \`dece doctor\``);
}

/** What a GPU is called, where the driver's own program says so. */
export async function gpuName(device: string): Promise<string> {
  const [, index = '0'] = device.split(':');
  const wanted = ['--query-gpu=name', '--format=csv,noheader', '-i', index];
  return promisify(execFile)('nvidia-smi', wanted).then(
    ({ stdout }) => stdout.trim(),
    () => device,
  );
}

/** The losses that are timed: with their gradient, or the gradient alone, from what the loss left of each row. */
const cases: [formula: ReferenceOptions, dtype: Dtype, place: Provider['place']][] = [
  [authors, 'float32', 'in place'],
  [authors, 'float32', 'given array'],
  [authors, 'float32', 'from statistics'],
  [{ ...authors, mode: 'reference' }, 'float32', 'in place'],
  [{ ...authors, labelSmoothing: 0 }, 'float32', 'in place'],
  [{ name: 'ce' }, 'float32', 'in place'],
  [{ name: 'ce', labelSmoothing: 0.1 }, 'float32', 'in place'],
  [{ name: 'gce' }, 'float32', 'in place'],
  [{ name: 'in-trust' }, 'float32', 'in place'],
  [authors, 'bfloat16', 'in place'],
  [authors, 'bfloat16', 'given array'],
  [authors, 'bfloat16', 'from statistics'],
  [{ name: 'ce' }, 'bfloat16', 'in place'],
  [authors, 'float16', 'in place'],
];

/**
 * A copy as the unit, and our losses, on libtorch's tensors: the path that training takes. On a GPU times are
 * those between two events on its stream. `dispose` gives the memory back.
 *
 * @param device cpu, cuda or cuda:N
 */
export function deviceProviders(
  problem: Problem,
  device: string,
): { providers: Provider[]; dispose: () => void } {
  const benches = new Map<Dtype, LossBench>();
  const benchOf = (dtype: Dtype) => {
    const { logits, labels } = problem;
    const bench =
      benches.get(dtype) ??
      new (addon().LossBench)(device, logits[dtype], dtype === 'float16', labels);
    benches.set(dtype, bench);
    return bench;
  };
  const own = ([formula, dtype, place]: (typeof cases)[number]): Provider => ({
    name: formula.name,
    options: optionsText(formula),
    ...timed(benchOf(dtype), dtype, place, place, formula),
    formula,
    gradient: async (rows) =>
      benchOf(dtype)
        .gradientRows(rows)
        .map((slope) => slope / problem.rows),
  });
  const copy = (dtype: Dtype): Provider => ({
    name: 'copy',
    options: '',
    ...timed(benchOf(dtype), dtype, 'given array', 'copy', { name: 'ce' }),
    formula: undefined,
    gradient: async () => undefined,
  });
  const there = cases.filter(([, , place]) => place !== 'from statistics' || device !== 'cpu');
  return {
    providers: [copy('float32'), copy('bfloat16'), ...there.map(own)],
    dispose: () => {
      for (const bench of benches.values()) bench.dispose();
    },
  };
}

function timed(
  bench: LossBench,
  dtype: Dtype,
  place: Provider['place'],
  what: string,
  formula: ReferenceOptions,
) {
  const { epoch = 1, ...config } = formula as ReferenceOptions & { epoch?: number };
  const loss = nativeLoss(config as LossConfig, epoch);
  return {
    dtype,
    place,
    prepare() {}, // what is put back or spoilt before is not timed
    run: () => bench.run(what, loss),
    async memory() {
      const bytes = bench.peak(what, loss);
      return bytes < 0 ? undefined : bytes;
    },
  };
}

export interface LinearTask {
  device: string;
  dtype: 'float32' | 'bfloat16';
  /** hidden is [rows, width], weight [classes, width]. */
  rows: number;
  width: number;
  classes: number;
  /** What logits may take at a time. */
  logitsBytes: number;
  rounds: number;
}

/**
 * Times the fused last product and its loss (DeCE, the authors' values), with the gradients of both factors.
 *
 * @returns milliseconds, one a round, and what it takes at its peak besides the factors, on a GPU
 */
export function linearLossBench(task: LinearTask) {
  const { epoch, ...config } = authors;
  return addon().linearLossBench({ ...task, seed: 1 }, nativeLoss(config, epoch));
}
