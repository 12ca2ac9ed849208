import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { BenchResult } from '../bench/index.ts';
import { count, device } from './flags.ts';
import { interruptible } from './interrupt.ts';
import { progress } from './progress.ts';

interface Options {
  shapes: { rows: number; classes: number }[];
  threads: number;
  device: string;
  rounds: number;
  torch: boolean;
  curves?: true;
  out?: string;
  json?: true;
}

export function define(command: Command): void {
  command
    .addOption(
      new Option('--shapes <list>', 'rows x classes of the logits, such as 512x32128,1024x50257')
        .argParser(shapes)
        .default(shapes('512x32128'), '512x32128'),
    )
    .addOption(
      new Option('--threads <number>', 'of every provider')
        .argParser(count)
        .default(availableParallelism(), 'all cores'),
    )
    .option('--device <name>', 'cpu, cuda, cuda:N or auto: where all compute', device, 'cpu')
    .option(
      '--rounds <number>',
      'how often each is timed; PyTorch in every third of them',
      count,
      30,
    )
    .option('--no-torch', 'do not look for PyTorch')
    .option(
      '--curves',
      'in place of times: what each loss makes of a token by its probability, and its bounds',
    )
    .option('--out <directory>', 'where loss.csv and .html, or curves.*, go (default: nowhere)')
    .action(async ({ json, out, curves, ...options }: Options) => {
      // First of all: where nothing can be written, nobody waits to hear of it.
      if (out !== undefined) {
        const { makeDirectory } = await import('../data/files.ts');
        await makeDirectory(out);
      }
      if (curves) return showCurves(json, out);
      const { bench } = await import('../bench/index.ts');
      const { benchTable, writeBench } = await import('../report/bench.ts');
      const { environment } = await import('../environment.ts');
      const shown = progress();
      const result: BenchResult = await interruptible(undefined, (signal) =>
        bench({ ...options, signal, onProgress: shown.at }),
      ).finally(shown.end);
      const here = await environment();
      process.stdout.write(
        json
          ? `${JSON.stringify({ ...result, environment: here }, null, 2)}\n`
          : `${benchTable(result)}\n`,
      );
      for (const line of result.missing) process.stderr.write(`not measured: ${line}\n`);
      if (out !== undefined) await writeBench(join(out, 'loss'), result, here);
      if (result.wrong.length > 0) throw new Error('a gradient is not what it should be');
    });
}

/** A million rows, ten seconds. */
const certified = { rows: 1_000_000, seed: 1 };

async function showCurves(json: true | undefined, out: string | undefined): Promise<void> {
  const { certify, trustCurves } = await import('../bench/curves.ts');
  const { curvesTable, writeCurves } = await import('../report/curves.ts');
  const { environment } = await import('../environment.ts');
  const curves = trustCurves();
  const shown = progress();
  const certificates = await interruptible(undefined, (signal) =>
    certify({ ...certified, signal, onProgress: shown.at }),
  ).finally(shown.end);
  process.stdout.write(
    json
      ? `${JSON.stringify({ curves, certificates, seed: certified.seed }, null, 2)}\n`
      : `${curvesTable(curves, certificates)}\n`,
  );
  if (out !== undefined) {
    const here = await environment();
    await writeCurves(join(out, 'curves'), curves, certificates, certified.seed, here);
  }
  const exceeded = certificates.filter(({ exceeds }) => exceeds).map(({ title }) => title);
  if (exceeded.length > 0) throw new Error(`gradientBound does not hold: ${exceeded.join(', ')}`);
}

function shapes(text: string): Options['shapes'] {
  return text.split(',').map((one) => {
    const [, rows, classes] = /^\s*(\d+)\s*[x×]\s*(\d+)\s*$/.exec(one) ?? [];
    if (!(Number(rows) >= 1 && Number(classes) >= 2)) {
      throw new InvalidArgumentError('Expected rows x classes, such as 512x32128.');
    }
    return { rows: Number(rows), classes: Number(classes) };
  });
}
