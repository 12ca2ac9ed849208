import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { python } from '../libtorch/find.ts';
import { packageRoot } from '../native.ts';
import type { Problem, Provider } from './providers.ts';

/** A Python with torch that runs losses when told to, in rounds with ours. */
export interface Torch {
  version: string;
  /** Its providers of a problem, and why others could not be had. */
  load(problem: Problem): Promise<{ providers: Provider[]; failed: Record<string, string> }>;
  close(): Promise<void>;
}

/**
 * glibc gives blocks as large as logits back to the system each time, and every use of new ones is a
 * page fault. Told to keep them, PyTorch takes half the time.
 */
const keepsBlocks = {
  MALLOC_MMAP_THRESHOLD_: '8589934592',
  MALLOC_TRIM_THRESHOLD_: '68719476736',
  MALLOC_TOP_PAD_: '268435456',
};

/** Options of the loss behind each provider, for the formulas in float64. */
const formulas: Record<string, Provider['formula']> = {
  'torch dece eager': {
    name: 'dece',
    mode: 'reference',
    epoch: 1,
    alphaBase: 0.8,
    labelSmoothing: 0.05,
  },
  'torch dece compiled': {
    name: 'dece',
    mode: 'reference',
    epoch: 1,
    alphaBase: 0.8,
    labelSmoothing: 0.05,
  },
  'torch ce': { name: 'ce' },
  'torch ce smoothed': { name: 'ce', labelSmoothing: 0.1 },
  'torch ce smoothed compiled': { name: 'ce', labelSmoothing: 0.1 },
  'liger ce': { name: 'ce' },
  'liger ce smoothed': { name: 'ce', labelSmoothing: 0.1 },
};

/**
 * Starts Python.
 *
 * @param malloc `tuned`: with glibc told to keep large blocks; `default`: as it comes
 * @param device where it computes: cpu, cuda or cuda:N
 * @param signal ends Python when it is aborted, also while it computes
 * @returns undefined where there is no Python with torch
 */
export async function startTorch(
  malloc: 'tuned' | 'default',
  device: string,
  signal?: AbortSignal,
): Promise<Torch | undefined> {
  const script = join(packageRoot, 'bench', 'torch_losses.py');
  const env = { ...process.env, ...(malloc === 'tuned' && keepsBlocks) };
  const folder = await mkdtemp(join(tmpdir(), 'dece-bench-'));
  const child = spawn(python, [script], { env, stdio: ['pipe', 'pipe', 'ignore'], signal });
  const ask = asker(child); // at once: a child that cannot be started says so in the next turn
  const close = async () => {
    child.kill();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    // A small problem first: whether torch is there at all.
    const { version } = await ask({ do: 'version' });
    return {
      version: String(version),
      load: (problem) => load(problem, ask, folder, malloc, device),
      close,
    };
  } catch {
    await close();
    return undefined;
  }
}

type Ask = (message: object) => Promise<Record<string, unknown>>;

/** One message at a time; rejects once the process has ended. */
function asker(child: ChildProcess): Ask {
  let settle: { resolve: (text: string) => void; reject: (error: Error) => void } | undefined;
  let ended: Error | undefined;
  const fail = (error: Error) => {
    ended = error;
    settle?.reject(error);
  };
  child.on('error', fail);
  child.on('close', (code, signal) => {
    const how = signal === null ? `with code ${code}` : `by ${signal}`;
    fail(new Error(`${python} with torch ended ${how}`));
  });
  child.stdin!.on('error', () => {}); // told by close
  createInterface({ input: child.stdout! }).on('line', (line) => settle?.resolve(line));
  return async (message) => {
    if (ended !== undefined) throw ended;
    const answer = new Promise<string>((resolve, reject) => {
      settle = { resolve, reject };
    });
    child.stdin!.write(`${JSON.stringify(message)}\n`);
    return JSON.parse(await answer) as Record<string, unknown>;
  };
}

async function load(problem: Problem, ask: Ask, folder: string, malloc: string, device: string) {
  const { rows, classes, threads, labels, coarse } = problem;
  const paths = {
    logits: join(folder, 'logits'),
    labels: join(folder, 'labels'),
    // On a GPU bfloat16 is what models are trained in.
    ...(device !== 'cpu' && { coarse: join(folder, 'coarse') }),
  };
  await writeFile(paths.logits, problem.logits.float32 as Float32Array);
  await writeFile(paths.labels, labels);
  if (paths.coarse) await writeFile(paths.coarse, coarse);
  const found = await ask({ do: 'load', rows, classes, threads, device, ...paths });
  for (const path of Object.values(paths)) await rm(path);

  const providers = (found.providers as string[]).map((name): Provider => {
    const [plain, inBfloat16] = name.split(', ');
    const formula = formulas[plain!];
    return {
      name: plain!,
      options: malloc === 'tuned' ? 'malloc tuned' : '',
      dtype: inBfloat16 ? 'bfloat16' : 'float32',
      place: 'new array',
      formula,
      prepare() {},
      run: async () => (await ask({ do: 'run', name })).ms as number,
      async gradient(sampled) {
        if (formula === undefined) return undefined;
        const path = join(folder, 'gradient');
        await ask({ do: 'gradient', name, rows: sampled, path });
        const bytes = await readFile(path);
        return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
      },
      memory: async () => ((await ask({ do: 'memory', name })).bytes as number) ?? undefined,
    };
  });
  return { providers, failed: found.failed as Record<string, string> };
}
