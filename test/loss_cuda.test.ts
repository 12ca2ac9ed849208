import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ReferenceOptions, referenceLoss, relativeError } from '../lib/bench/float64.ts';
import { tabulate } from '../lib/loss/table.ts';
import { alphaAt } from '../lib/loss.ts';
import { seeded } from '../lib/random.ts';

/*
 * The CUDA kernels computed on the CPU: native/kernels/dece_loss.cu is compiled as C++ against the
 * emulation in test/cuda, after what is no C++ has been put into other words.
 */
const folder = mkdtempSync(join(tmpdir(), 'dece-cuda-'));
const here = (name: string) => fileURLToPath(new URL(`cuda/${name}`, import.meta.url));
const kernels = fileURLToPath(new URL('../native/kernels', import.meta.url));
const compiler = process.env.CXX ?? 'c++';

function asCpp(source: string): string {
  let place = 0;
  return source
    .replace(/asm volatile\("fence[^;]*;[^;]*\);/g, '')
    .replace(
      /(\w+(?:<[^<>;]*>)?)\s*<<<([^,;]*),([^,;]*),[^;]*?>>>\(([^;]*)\);/g,
      'emulation::launch($2, $3, 1, [=] { $1($4); });',
    )
    .replace(/__shared__ (?:alignas\(\w+\) )?((?:unsigned )?\w+) ([^;]*);/g, (_, type, names) =>
      (names as string)
        .split(',')
        .map((name) => {
          const [, own, length] = /(\w+)(\[.*\])?/.exec(name) as string[];
          const whole = `${type}${length ?? ''}`;
          const declared = length === undefined ? `&${own}` : `(&${own})${length}`;
          return `${type} ${declared} = emulation::shared<${whole}>(${place++ % 16});`;
        })
        .join(' '),
    );
}

function compile(main: string): string | undefined {
  const source = join(folder, 'dece_loss.cc');
  writeFileSync(source, asCpp(readFileSync(join(kernels, 'dece_loss.cu'), 'utf8')));
  const program = join(folder, basename(main, '.cc'));
  const flags = [
    '-std=c++20',
    '-O1',
    '-w',
    '-D__CUDA_ARCH__=900',
    `-I${here('.')}`,
    `-I${kernels}`,
  ];
  const files = [source, main, join(kernels, 'plan.cc')];
  const { status, error, stderr } = spawnSync(compiler, [...flags, ...files, '-o', program]);
  if (error !== undefined) return undefined; // no compiler
  assert.is(status, 0, String(stderr));
  return program;
}

type Dtype = 'float32' | 'bfloat16';

interface Case {
  classes: number;
  rows?: number;
  dtype?: Dtype;
  inPlace?: boolean;
  /** Whether the losses come first and the gradient from what they leave. */
  later?: boolean;
  /** Whether GCE is computed by a table of its weight. */
  custom?: boolean;
  wrongLabel?: number;
  capability?: number;
  change?: (logits: Float32Array) => void;
}

const formulas = ['dece', 'ce', 'gce', 'in-trust', 'custom'];
/** Of GCE, for the custom loss. */
const table = tabulate({ weight: (p) => p ** 0.7 });

function run(program: string, options: ReferenceOptions, own: Case) {
  const { classes, rows = 2, dtype = 'float32', inPlace = false, later = false } = own;
  const { capability = 9, custom = false, wrongLabel, change } = own;
  const random = seeded(classes);
  const labels = Float64Array.from({ length: rows }, () => random.below(classes));
  // Numbers that bfloat16 holds exactly.
  const logits = Float32Array.from(
    { length: rows * classes },
    () => (random.below(256) - 128) / 2 ** (4 + random.below(4)),
  );
  for (const [row, label] of labels.entries()) if (row % 2) logits[row * classes + label]! += 8;
  change?.(logits);
  if (wrongLabel !== undefined) labels[rows - 1] = wrongLabel;
  const { mode, epoch = 1, alphaBase = 0.99 } = options;
  const name = custom ? 'custom' : options.name;
  const isDece = name === 'dece';
  const head = [
    ...[capability, rows, classes, dtype === 'float32' ? 0 : 1, Number(inPlace), Number(later)],
    ...[formulas.indexOf(name), Number(mode === 'reference')],
    isDece ? alphaAt(epoch, alphaBase) : (options.alpha ?? 1),
    isDece ? -Math.expm1(epoch * Math.log(alphaBase)) : 0,
    ...[options.beta ?? 0.8, options.delta ?? 0.5, options.q ?? 0.7, options.labelSmoothing ?? 0],
  ];
  const words = new Uint32Array(logits.buffer);
  const values = dtype === 'float32' ? logits : Uint16Array.from(words, (word) => word >>> 16);
  // Powers of two, which are taken out again without rounding.
  const weights = Float64Array.from({ length: rows }, (_, row) => 2 ** ((row % 3) - 1));
  const upstream = Float64Array.from({ length: rows }, (_, row) => 2 ** (row % 2));
  const size = Float64Array.of(table.length / 2);
  const bytes = [Float64Array.from(head), labels, weights, upstream, size, table, values].map(
    (array) => Buffer.from(array.buffer),
  );
  const [input, output] = [join(folder, 'in'), join(folder, 'out')];
  writeFileSync(input, Buffer.concat(bytes));
  const { status, signal } = spawnSync(program, [input, output]);
  assert.is(status, 0, String(signal));

  const found = readFileSync(output);
  const launched = found.readDoubleLE(0);
  const badRow = found.readDoubleLE(8);
  const losses = Float32Array.from(
    { length: rows },
    (_, i) => found.readFloatLE(16 + 4 * i) / weights[i]!,
  );
  const start = 16 + 4 * rows;
  const product = Float32Array.from({ length: rows * classes }, (_, i) =>
    dtype === 'float32'
      ? found.readFloatLE(start + 4 * i)
      : new Float32Array(Uint32Array.of(found.readUInt16LE(start + 2 * i) << 16).buffer)[0]!,
  );
  const gradient = product.map((slope, i) => {
    const row = Math.floor(i / classes);
    return slope / (2 * weights[row]! * upstream[row]!);
  });
  return { logits, labels, badRow, losses, gradient, held: launched === 1 };
}

function agrees(program: string, options: ReferenceOptions, own: Case): boolean {
  const { logits, labels, losses, gradient, held } = run(program, options, own);
  const where = `${JSON.stringify(options)} ${JSON.stringify(own)}`;
  // A table is exact beside the largest weight, 1, not beside each.
  const tolerance = own.dtype === 'bfloat16' ? 3e-3 : own.custom ? 1e-5 : 1e-6;
  for (const [row, label] of labels.entries()) {
    const part = [row * own.classes, (row + 1) * own.classes] as const;
    const expected = referenceLoss(logits.subarray(...part), label, options);
    const error = relativeError(gradient.subarray(...part), expected.gradient);
    assert.ok(error < tolerance, `${where}: gradient off by ${error}`);
    const gap = Math.abs(losses[row]! - expected.loss) / Math.max(1, Math.abs(expected.loss));
    assert.ok(gap < 3e-6, `${where}: loss ${losses[row]}, expected ${expected.loss}`);
  }
  return held;
}

const cases: ReferenceOptions[] = [
  { name: 'dece', alphaBase: 0.8, labelSmoothing: 0.05 },
  { name: 'dece', alphaBase: 0.99, labelSmoothing: 0.1, mode: 'reference' },
  { name: 'dece', alphaBase: 1 - 1e-9, labelSmoothing: 1e-3 },
  { name: 'dece', alphaBase: 0.9 },
  { name: 'ce', labelSmoothing: 0.1 },
  { name: 'gce', q: 0.7 },
  { name: 'in-trust', mode: 'reference' },
];

const program = compile(here('main.cc'));
const test = suite('the CUDA kernels, emulated');

if (program === undefined) {
  test.skip(`compute what the formulas say: there is no ${compiler} here`, () => {});
} else {
  for (const options of cases) {
    test(`${JSON.stringify(options)} is its formula, on one block and on several`, () => {
      // One block of 256 threads, clusters of 2, 4 and 8, clusters of the larger block.
      for (const classes of [8, 1000, 8192, 8200, 32128, 50264, 65544]) {
        const inPlace = classes % 16 === 0;
        assert.ok(agrees(program, options, { classes, rows: classes > 9000 ? 1 : 3, inPlace }));
      }
      assert.ok(agrees(program, options, { classes: 32128, dtype: 'bfloat16', inPlace: true }));
    });
  }

  test('rows that do not fit, begin elsewhere or meet an older GPU go the other way', () => {
    const options = cases[0]!;
    assert.not(agrees(program, options, { classes: 1001 }));
    assert.not(agrees(program, options, { classes: 163848, rows: 1 }));
    assert.not(agrees(program, options, { classes: 32128, rows: 1, capability: 8, inPlace: true }));
    assert.ok(agrees(program, options, { classes: 20480, rows: 1, capability: 8, inPlace: true }));
  });

  test('the gradient can be computed later, from what the losses leave of each row', () => {
    for (const options of cases) {
      for (const classes of [1000, 1001]) {
        agrees(program, options, { classes, later: true, inPlace: classes % 2 === 0 });
      }
      agrees(program, options, { classes: 1000, dtype: 'bfloat16', later: true });
    }
    // On a cluster, and without one.
    for (const capability of [9, 8]) {
      agrees(program, cases[0]!, { classes: 32128, rows: 1, capability, later: true });
    }
  });

  test('a custom loss is what its table says, on one block, on several and later', () => {
    const options: ReferenceOptions = { name: 'gce', q: 0.7 };
    for (const classes of [1000, 1001, 8200]) {
      agrees(program, options, { classes, custom: true, rows: 4 });
      agrees(program, options, { classes, custom: true, later: true });
    }
  });

  test('a label out of range spoils its row, and is told', () => {
    for (const classes of [1000, 1001]) {
      for (const later of [false, true]) {
        for (const wrongLabel of [classes, -7]) {
          const own = { classes, rows: 3, wrongLabel, later };
          const { gradient, losses, badRow } = run(program, cases[0]!, own);
          assert.is(badRow, 2);
          assert.equal(Array.from(losses, Number.isNaN), [false, false, true]);
          assert.ok(gradient.subarray(2 * classes).every(Number.isNaN));
        }
        const ignored = run(program, cases[0]!, { classes, rows: 3, wrongLabel: -100, later });
        assert.equal([ignored.badRow, ignored.losses[2]], [3, 0]);
        assert.ok(ignored.gradient.subarray(2 * classes).every((slope) => slope === 0));
      }
    }
  });

  test('masked classes have no gradient; what is not finite spoils its own row only', () => {
    for (const classes of [4096, 32128]) {
      // All of a warp's, of a block's and of a cluster's logits.
      for (const masked of [0.01, 0.4, 0.9]) {
        const change = (logits: Float32Array) => logits.fill(-Infinity, 0, masked * classes);
        const { logits, labels, gradient, losses } = run(program, cases[0]!, { classes, change });
        const { loss, gradient: expected } = referenceLoss(
          logits.subarray(0, classes),
          labels[0]!,
          cases[0]!,
        );
        assert.ok(Math.abs(losses[0]! - loss) < 3e-6 * loss);
        assert.ok(relativeError(gradient.subarray(0, classes), expected) < 1e-6);
      }
      for (const value of [Number.NaN, Infinity]) {
        const change = (logits: Float32Array) => {
          logits[classes - 1] = value;
        };
        const { gradient, losses } = run(program, cases[0]!, { classes, change });
        assert.ok(Number.isNaN(losses[0]!) && gradient.subarray(0, classes).every(Number.isNaN));
        assert.ok(Number.isFinite(losses[1]!) && gradient.subarray(classes).every(Number.isFinite));
        const later = run(program, cases[0]!, { classes, change, later: true });
        assert.ok(later.gradient.subarray(0, classes).every(Number.isNaN));
      }
    }
  });
}

if (program !== undefined) {
  test('the program that checks them on a GPU finds nothing wrong', () => {
    const checks = compile(here('../../bench/loss_cuda.cc'))!;
    const { status, stdout } = spawnSync(checks, ['check', '8', '41'], { encoding: 'utf8' });
    assert.is(status, 0, stdout);
    assert.match(stdout, /160 calls checked, 0 wrong/);
  });
}

test.run();
