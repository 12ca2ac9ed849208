import { spawnSync } from 'node:child_process';

/** Whether python3 is there and has a package: some tests ask the original what it makes of our files. */
export const canImport = (module: string): boolean =>
  spawnSync('python3', ['-c', `import ${module}`], { stdio: 'ignore' }).status === 0;
