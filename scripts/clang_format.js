// Formats the C++ and CUDA sources, or with --check fails where one is not formatted.

import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const files = ['native', 'test/cuda', 'bench']
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((file) =>
      join(folder, file),
    ),
  )
  .filter(
    (file) => /\.(cc|cu|h|inc)$/.test(file) && !/(^|[\\/])(build|node_modules)[\\/]/.test(file),
  );
const packageJson = createRequire(import.meta.url).resolve('clang-format/package.json');
const mode = process.argv.includes('--check') ? ['--dry-run', '--Werror'] : ['-i'];
const { status } = spawnSync(
  process.execPath,
  [join(dirname(packageJson), 'index.js'), ...mode, ...files],
  { cwd: root, stdio: 'inherit' },
);
process.exitCode = status ?? 1;
