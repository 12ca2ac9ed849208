// The losses beside the copy bandwidth of this machine:
//
//     npm run bench          writes bench/results/loss.csv
//
// Rounds are interleaved, so that what else the machine does hits all alike; a time is a median of
// them. The unit is a memcpy of the logits on as many threads, in the same rounds. Beside it stands
// the gradient's error: relative L2 norm per row against float64, median and worst of some rows.

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import {
  crossEntropyLoss,
  deceLoss,
  gceLoss,
  inTrustLoss,
  type Logits,
  type LossOptions,
} from '../lib/loss.ts';
import { kernels } from '../lib/native.ts';
import { seeded } from '../lib/random.ts';
import { quantile, referenceLoss, relativeError } from '../test/loss_reference.ts';

const { copy, isa } = kernels() as {
  copy(to: Float32Array, from: Float32Array, threads: number): void;
  isa(): string;
};

const losses = { dece: deceLoss, ce: crossEntropyLoss, gce: gceLoss, 'in-trust': inTrustLoss };
type Name = keyof typeof losses;
type Dtype = 'float32' | 'bfloat16' | 'float16';

interface Contender {
  name: Name | 'copy';
  options: string;
  dtype: Dtype;
  place: 'in place' | 'given array';
  prepare: () => void;
  run: () => void;
  errors: () => number[];
}

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '512' },
    classes: { type: 'string', default: '32128' },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '25' },
    out: { type: 'string', default: new URL('results/loss.csv', import.meta.url).pathname },
  },
});
const rows = Number(values.rows);
const classes = Number(values.classes);
const threads = Number(values.threads);

const random = seeded(1);
const labels = Int32Array.from({ length: rows }, () => random.below(classes));
const float32 = Float32Array.from({ length: rows * classes }, () => {
  const radius = Math.sqrt(-2 * Math.log(1 - random.next()));
  return 3 * radius * Math.cos(2 * Math.PI * random.next());
});

/** Logits that both types of 16 bits hold exactly: a sign, a few powers of two and seven bits. */
const coarse = Float32Array.from(float32, (logit) => {
  const step = 2 ** (Math.max(-6, Math.floor(Math.log2(Math.abs(logit)))) - 7);
  return Math.round(logit / step) * step;
});
const bits = new Uint32Array(coarse.buffer);
const inputs: Record<Dtype, Logits> = {
  float32,
  bfloat16: Uint16Array.from(bits, (word) => word >>> 16),
  float16: Uint16Array.from(bits, (word) =>
    word << 1 === 0 ? 0 : ((word >>> 16) & 0x8000) | (((word >>> 13) & 0x3ffff) - (112 << 10)),
  ),
};

function contender(name: Name, own: object, dtype: Dtype, place: Contender['place']): Contender {
  const logits = inputs[dtype];
  const given = place === 'in place' ? logits.slice() : logits;
  const gradient = place === 'in place' ? given : logits.slice();
  const options: LossOptions = { ...own, dtype, gradient, threads };
  return {
    name,
    options: Object.entries(own)
      .map(([key, value]) => `${key}=${value}`)
      .join(' '),
    dtype,
    place,
    prepare: () => given !== logits && (given as Float32Array).set(logits as Float32Array),
    run: () => losses[name](given, labels, options),
    errors: () => (dtype === 'float32' ? errorsOf(name, own, gradient as Float32Array) : []),
  };
}

function errorsOf(name: Name, own: object, gradient: Float32Array): number[] {
  return Array.from({ length: 16 }, (_, i) => {
    const row = Math.floor((i * rows) / 16);
    const own64 = referenceLoss(
      float32.subarray(row * classes, (row + 1) * classes),
      labels[row]!,
      { name, ...own },
    );
    const scaled = own64.gradient.map((slope) => slope / rows);
    return relativeError(gradient.subarray(row * classes, (row + 1) * classes), scaled);
  });
}

const authors = { epoch: 1, alphaBase: 0.8, labelSmoothing: 0.05 };
const target = float32.slice();
const contenders: Contender[] = [
  {
    name: 'copy',
    options: '',
    dtype: 'float32',
    place: 'given array',
    prepare: () => {},
    run: () => copy(target, float32, threads),
    errors: () => [],
  },
  contender('dece', authors, 'float32', 'in place'),
  contender('dece', authors, 'float32', 'given array'),
  contender('dece', { ...authors, mode: 'reference' }, 'float32', 'in place'),
  contender('dece', { ...authors, labelSmoothing: 0 }, 'float32', 'in place'),
  contender('ce', {}, 'float32', 'in place'),
  contender('ce', { labelSmoothing: 0.1 }, 'float32', 'in place'),
  contender('gce', {}, 'float32', 'in place'),
  contender('in-trust', {}, 'float32', 'in place'),
  contender('dece', authors, 'bfloat16', 'in place'),
  contender('dece', authors, 'bfloat16', 'given array'),
  contender('dece', authors, 'float16', 'in place'),
];

const times = contenders.map((): number[] => []);
for (let round = 0; round < Number(values.rounds); round++) {
  for (const [i, { prepare, run }] of contenders.entries()) {
    prepare();
    const started = performance.now();
    run();
    times[i]!.push(performance.now() - started);
  }
}

const copyMs = quantile(times[0]!, 0.5);
const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8' }).trim();
const about = {
  commit: git('rev-parse', '--short', 'HEAD'),
  date: new Date().toISOString().slice(0, 10),
  machine: `${cpus()[0]?.model} x${cpus().length}`,
  isa: isa(),
  load: loadavg()[0]!.toFixed(1),
};
const table = contenders.map(({ name, options, dtype, place, errors }, i) => {
  const found = errors();
  const error = (share: number) => (found.length ? quantile(found, share).toExponential(1) : '');
  const ms = (share: number) => quantile(times[i]!, share).toFixed(2);
  return {
    loss: name,
    options,
    dtype,
    place,
    rows,
    classes,
    threads,
    ms: ms(0.5),
    quarter: ms(0.25),
    threeQuarters: ms(0.75),
    toCopy: (quantile(times[i]!, 0.5) / copyMs).toFixed(2),
    errorMedian: error(0.5),
    errorMost: error(1),
    ...about,
  };
});

const columns = Object.keys(table[0]!) as (keyof (typeof table)[number])[];
const lines = [columns, ...table.map((row) => columns.map((column) => row[column]))];
writeFileSync(values.out, `${lines.map((line) => line.join(',')).join('\n')}\n`);
console.table(
  table.map(({ loss, options, dtype, place, ms, quarter, threeQuarters, toCopy, errorMedian }) => ({
    loss: `${loss} ${options}`.trim(),
    dtype,
    place,
    ms,
    quartiles: `${quarter}-${threeQuarters}`,
    'of copy': toCopy,
    'gradient error': errorMedian,
  })),
);
