import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelConfig } from './config/index.ts';

/** A module of Python beside a config.json. */
export const isModule = (name: string) => /^\w+\.py$/.test(name);

/**
 * The modules that a model brings along for transformers, as CodeGeeX does, where its config says so
 * (`auto_map`): byte for byte, by name, to be saved again. Nothing here runs them.
 */
export async function readModules(
  directory: string,
  { auto_map: map }: ModelConfig,
): Promise<ReadonlyMap<string, Buffer>> {
  const modules = new Map<string, Buffer>();
  if (map === undefined || map === null) return modules;
  for (const name of (await readdir(directory)).filter(isModule)) {
    modules.set(name, await readFile(join(directory, name)));
  }
  return modules;
}
