import { loadavg } from 'node:os';
import { kernels } from '../native.ts';
import { seeded, shuffle } from '../random.ts';
import { deviceNamed, deviceProviders, gpuName } from './device.ts';
import { quantile, referenceLoss, relativeError } from './float64.ts';
import { type Dtype, makeProblem, ownProviders, type Problem, type Provider } from './providers.ts';
import { startTorch, type Torch } from './torch.ts';

export interface BenchOptions {
  /** Logits are [rows, classes]. */
  shapes: readonly { rows: number; classes: number }[];
  threads: number;
  /** Where the losses run: `cpu`, the default, `cuda`, `cuda:N` or `auto`. */
  device?: string;
  /** How often each provider is timed; PyTorch in every third of them. */
  rounds: number;
  /** Whether PyTorch is looked for, and timed in the same rounds. */
  torch: boolean;
  signal?: AbortSignal;
  onProgress?: (what: string, done: number, total: number) => void;
}

/** How a provider did on one shape. Times are of forward and backward together. */
export interface Measurement {
  provider: string;
  options: string;
  dtype: Dtype;
  place: Provider['place'];
  rows: number;
  classes: number;
  threads: number;
  /** Median and others, in milliseconds. */
  ms: number;
  quarter: number;
  threeQuarters: number;
  least: number;
  p95: number;
  /** The median over that of a memcpy of as many bytes, on as many threads, in the same rounds. */
  toCopy: number;
  /** Each logit read once and each gradient written once, over the median: in 10⁹ bytes a second. */
  usefulGbPerSecond: number;
  /** Besides logits and the gradient's array, where that was given. */
  peakBytes: number | undefined;
  /** Relative L2 norm of the gradient's error against float64, by row. */
  errorMedian: number | undefined;
  errorMost: number | undefined;
}

export interface BenchResult {
  measurements: Measurement[];
  /** Of the losses on the CPU; the GPU's name where they ran there. */
  isa: string;
  /** PyTorch's version, where it took part. */
  torch: string | undefined;
  /** Of the machine, before the first round. */
  load: number;
  /** What could not be measured, and why. */
  missing: string[];
  /** Which of them are losses of our own whose gradient is not what it should be. */
  wrong: string[];
}

/**
 * Times the losses of this package beside a copy and, where Python has torch, beside PyTorch's: the
 * authors' formula eager and compiled, and cross-entropy.
 *
 * Rounds are interleaved, so that what else the machine does hits all alike. Before a provider is timed
 * its gradient is compared with float64 on rows of the same problem; one that is wrong is not timed.
 * PyTorch runs in processes of its own, on the same numbers: with glibc as it is, and told to keep
 * large blocks, which halves its times. On a GPU, which needs a libtorch with CUDA, all providers compute
 * there, PyTorch in one process, and times are those between two events on the device's stream.
 *
 * @throws Error where there is no such device; the signal's reason when it is aborted
 *
 * @example
 * const shapes = [{ rows: 512, classes: 32128 }];
 * const { measurements } = await bench({ shapes, threads: 2, rounds: 30, torch: true });
 */
export async function bench(options: BenchOptions): Promise<BenchResult> {
  const { shapes, threads, torch, signal } = options;
  const device = deviceNamed(options.device ?? 'cpu');
  const load = loadavg()[0]!;
  const processes: Torch[] = [];
  const missing: string[] = [];
  const wrong: string[] = [];
  try {
    if (torch) {
      for (const malloc of ['default', 'tuned'] as const) {
        if (device !== 'cpu' && malloc === 'tuned') continue;
        const found = await startTorch(malloc, device, signal);
        if (found !== undefined) processes.push(found);
      }
      if (processes.length === 0) missing.push('PyTorch: no python3 with torch was found');
    }
    const measurements: Measurement[] = [];
    for (const { rows, classes } of shapes) {
      signal?.throwIfAborted();
      const problem = makeProblem(rows, classes, threads);
      const own =
        device === 'cpu'
          ? { providers: ownProviders(problem), dispose() {} }
          : deviceProviders(problem, device);
      try {
        const providers = [...own.providers];
        for (const process of processes) {
          try {
            const { providers: peers, failed } = await process.load(problem);
            providers.push(...peers);
            for (const [name, why] of Object.entries(failed)) missing.push(`${name}: ${why}`);
          } catch (error) {
            // Such as a Python that ran out of memory: the others are measured all the same.
            missing.push(`PyTorch, ${rows} × ${classes}: ${(error as Error).message}`);
          }
        }
        measurements.push(...(await measure(problem, providers, options, { missing, wrong })));
      } finally {
        own.dispose();
      }
    }
    const isa = device === 'cpu' ? (kernels() as { isa(): string }).isa() : await gpuName(device);
    return { measurements, isa, torch: processes[0]?.version, load, missing, wrong };
  } catch (error) {
    // Ctrl-C ends Python too, which then is what fails first.
    signal?.throwIfAborted();
    throw error;
  } finally {
    for (const process of processes) await process.close();
  }
}

/** PyTorch, whose float32 is less exact than ours: its error is shown, and may be larger. */
const isPeer = ({ name }: Provider) => /^(torch|liger) /.test(name);

/** What an error may be at most: roundings of the dtype, of which half precision's smallest are coarse. */
const tolerance: Record<Dtype, number> = { float32: 1e-5, bfloat16: 4e-3, float16: 1e-2 };

/** Checks each provider, then times them in rounds. Exported for its test. */
export async function measure(
  problem: Problem,
  all: readonly Provider[],
  { rounds, signal, onProgress }: BenchOptions,
  { missing, wrong }: Pick<BenchResult, 'missing' | 'wrong'>,
): Promise<Measurement[]> {
  const { rows, classes, threads } = problem;
  const what = `${rows} × ${classes}`;
  const expected = referenceGradients(problem);
  const providers: { provider: Provider; errors: number[]; times: number[]; peak?: number }[] = [];
  const failed = new Set<Provider>();
  /** What PyTorch fails in, as where memory runs out, is told and left out. */
  const orLeftOut = async (provider: Provider, work: () => Promise<void>) => {
    if (failed.has(provider)) return;
    signal?.throwIfAborted();
    await work().catch((error: Error) => {
      if (signal?.aborted || !isPeer(provider)) throw error;
      failed.add(provider);
      missing.push(`${titleOf(provider)}, ${what}: ${error.message}`);
    });
  };
  for (const [i, provider] of all.entries()) {
    onProgress?.(`${what}, checking`, i, all.length);
    await orLeftOut(provider, async () => {
      provider.prepare();
      await provider.run();
      const errors = await errorsOf(provider, expected, classes);
      const worst = Math.max(0, ...errors);
      const most = tolerance[provider.dtype];
      if (worst <= (isPeer(provider) ? Math.max(1e-4, 3 * most) : most)) {
        const peak = await provider.memory();
        providers.push({ provider, errors, times: [], ...(peak !== undefined && { peak }) });
        return;
      }
      const why = `${titleOf(provider)}, ${what}: its gradient is off by ${worst.toExponential(1)}`;
      missing.push(why);
      if (!isPeer(provider)) wrong.push(why);
    });
  }
  for (let round = 0; round < rounds; round++) {
    // In another order each time: what ran before leaves its mark on caches and clock.
    for (const { provider, times } of shuffle(providers, seeded(round))) {
      // PyTorch's losses take a hundred times as long: ten of thirty rounds will do.
      if (round % 3 > 0 && isPeer(provider)) continue;
      await orLeftOut(provider, async () => {
        provider.prepare();
        times.push(await provider.run());
      });
    }
    onProgress?.(what, round + 1, rounds);
  }

  const copyMs = (dtype: Dtype) => {
    const size = bytesOf(dtype);
    const copy = providers.find(({ provider }) => {
      return provider.name === 'copy' && bytesOf(provider.dtype) === size;
    })!;
    return quantile(copy.times, 0.5);
  };
  const done = providers.filter(({ provider }) => !failed.has(provider));
  return done.map(({ provider, errors, times, peak }) => {
    const { name, options, dtype, place } = provider;
    const ms = quantile(times, 0.5);
    return {
      provider: name,
      options,
      dtype,
      place,
      rows,
      classes,
      threads,
      ms,
      quarter: quantile(times, 0.25),
      threeQuarters: quantile(times, 0.75),
      least: Math.min(...times),
      p95: quantile(times, 0.95),
      toCopy: ms / copyMs(dtype),
      usefulGbPerSecond: (2 * rows * classes * bytesOf(dtype)) / ms / 1e6,
      peakBytes: peak,
      errorMedian: errors.length === 0 ? undefined : quantile(errors, 0.5),
      errorMost: errors.length === 0 ? undefined : Math.max(...errors),
    };
  });
}

const titleOf = ({ name, options, dtype }: Provider) =>
  [name, options, dtype].filter((part) => part !== '').join(' ');

const bytesOf = (dtype: Dtype) => (dtype === 'float32' ? 4 : 2);

type Reference = (provider: Provider) => { rows: number[]; gradients: Float64Array[] };

/** Gradients in float64 of some rows, by formula and numbers; each is computed once. */
function referenceGradients({ rows, classes, logits, coarse, labels }: Problem): Reference {
  const sampled = Array.from({ length: Math.min(8, rows) }, (_, i) =>
    Math.floor((i * rows) / Math.min(8, rows)),
  );
  const known = new Map<string, Float64Array[]>();
  return ({ formula, dtype }) => {
    const numbers = dtype === 'float32' ? (logits.float32 as Float32Array) : coarse;
    const key = JSON.stringify([formula, dtype === 'float32']);
    const gradients =
      known.get(key) ??
      sampled.map((row) => {
        const own = numbers.subarray(row * classes, (row + 1) * classes);
        const { gradient } = referenceLoss(own, labels[row]!, formula!);
        return gradient.map((slope) => slope / rows);
      });
    known.set(key, gradients);
    return { rows: sampled, gradients };
  };
}

async function errorsOf(
  provider: Provider,
  expected: Reference,
  classes: number,
): Promise<number[]> {
  if (provider.formula === undefined) return [];
  const { rows, gradients } = expected(provider);
  const found = await provider.gradient(rows);
  return gradients.map((gradient, i) =>
    relativeError(found!.subarray(i * classes, (i + 1) * classes), gradient),
  );
}
