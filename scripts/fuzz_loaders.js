// Fuzzes the readers of weights, guided by coverage, with the sanitizers of addresses and of undefined
// behaviour.
//
//   node scripts/fuzz_loaders.js [--seconds 60] [KIND ...]
//
// KIND is safetensors, bin (what torch.save writes) or pickle (what lies in that); default all. Needs a
// built trainer, and clang++ with libFuzzer (Debian: clang, libclang-rt-dev). Starts from test/fuzz/KIND;
// what is found on the way, and what ends a reader badly, stays in native/trainer/build/fuzz/KIND.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const trainer = join(root, 'native', 'trainer');
const build = join(trainer, 'build', 'fuzz');
const kinds = ['safetensors', 'bin', 'pickle'];
const sources = ['mapped_file', 'mapped_tensor', 'safetensors', 'safetensors_header'].concat([
  'names',
  'pickle',
  'pytorch_bin',
]);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '60' } },
});
const seconds = Number(values.seconds);
const unknown = positionals.find((kind) => !kinds.includes(kind));
if (unknown !== undefined || !(seconds >= 1)) {
  console.error(`expected [--seconds NUMBER] and ${kinds.join(', ')}`);
  process.exit(2);
}

/** @param {string} command @param {string[]} args @param {string} [cwd] */
function run(command, args, cwd = build) {
  // libtorch's zip reader loses some bytes where it refuses a file.
  const env = { ...process.env, ASAN_OPTIONS: 'detect_leaks=0' };
  const { status, error } = spawnSync(command, args, { cwd, env, stdio: 'inherit' });
  if (error !== undefined) console.error(`${command}: ${error.message}`);
  return status === 0;
}

const libtorch = join(trainer, 'build', 'Release', 'lib');
if (!existsSync(libtorch)) {
  console.error('the trainer is not built: run `npm run build`');
  process.exit(1);
}
const lib = realpathSync(libtorch);
const include = join(lib, '..', 'include');
mkdirSync(build, { recursive: true });

const common = [
  ...['-std=c++20', '-O1', '-g', '-Wno-everything'],
  // libtorch is compiled without them: what they compare at run time is not there.
  ...['-fsanitize=address,undefined', '-fno-sanitize=vptr,function'],
  '-fno-sanitize-recover=undefined',
  ...['-I', trainer, '-isystem', include],
  ...['-isystem', join(include, 'torch', 'csrc', 'api', 'include')],
];
const link = [`-L${lib}`, `-Wl,-rpath,${lib}`, '-ltorch', '-ltorch_cpu', '-lc10'];
const compile = (/** @type {string[]} */ ...args) => run('clang++', [...common, ...args]);

/** @param {string} source @param {string} object @param {string[]} more */
const object = (source, object, ...more) =>
  compile('-fsanitize=fuzzer-no-link', ...more, '-c', source, '-o', object);

/** @param {string} kind */
function fuzz(kind) {
  const found = join(build, kind);
  mkdirSync(found, { recursive: true });
  const driver = join(root, 'test', 'fuzz', 'loaders.cc');
  const objects = [...sources, `loaders_${kind}`].map((name) => `${name}.o`);
  return (
    object(driver, `loaders_${kind}.o`, `-DKIND="${kind}"`) &&
    compile('-fsanitize=fuzzer', ...objects, ...link, '-o', `fuzz_${kind}`) &&
    run(`./fuzz_${kind}`, [
      ...[
        `-max_total_time=${seconds}`,
        '-timeout=60',
        '-rss_limit_mb=3000',
        '-malloc_limit_mb=500',
      ],
      ...['-max_len=4096', '-print_final_stats=1', `-artifact_prefix=${found}/crash-`],
      ...['-verbosity=0', '-detect_leaks=0', found, join(root, 'test', 'fuzz', kind)],
    ])
  );
}

const compiled = sources.every((name) => object(join(trainer, `${name}.cc`), `${name}.o`));
const chosen = positionals.length > 0 ? positionals : kinds;
const sound = compiled && chosen.map(fuzz).every(Boolean);
process.exitCode = sound ? 0 : 1;
