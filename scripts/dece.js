#!/usr/bin/env node
// The command `dece`. npm and npx link to it before anything is built, and never again where it was not
// there: so it lies here, and not in dist.

import { existsSync } from 'node:fs';

const main = new URL('../dist/cli/main.js', import.meta.url);
if (existsSync(main)) {
  await import(main.href);
} else {
  console.error('dece: it is not built yet: run `npm run build -- dist`');
  process.exitCode = 1;
}
