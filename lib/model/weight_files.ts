import { readdir, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { show } from '../check.ts';
import { sha256Of, writeWhole } from '../data/files.ts';
import { readJsonObject } from './config/index.ts';

/** native/trainer/weight_files.h: a file of weights, and which tensors its index says are in it. */
export interface WeightFile {
  path: string;
  names?: string[];
}

/** What weights lie in, the first that is there first: as transformers chooses. */
export const weightNames = [
  'model.safetensors',
  'model.safetensors.index.json',
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
] as const;

/**
 * The files of a directory that hold a model's weights.
 *
 * @throws Error, in one sentence, where there are none, and on an index that names a file which is
 *   missing or lies outside the directory
 *
 * @example
 * const files = await findWeights('codet5-small');
 */
export async function findWeights(directory: string): Promise<WeightFile[]> {
  for (const name of weightNames) {
    const path = join(directory, name);
    if (!(await exists(path))) continue;
    return name.endsWith('.json') ? readIndex(directory, name) : [{ path }];
  }
  throw new Error(
    `${directory} has no ${weightNames.join(', nor ')}: expected a directory that Model.save or save_pretrained wrote`,
  );
}

/** What tells weights from others: the SHA-256 of their file, or of each where there are more. */
export async function hashWeights(directory: string): Promise<Record<string, string>> {
  const files = await findWeights(directory);
  if (files.length === 1) return { sha256: await sha256Of(files[0]!.path) };
  const hashes: Record<string, string> = {};
  for (const { path } of files) hashes[basename(path)] = await sha256Of(path);
  return hashes;
}

/** The names of the shards in an index, in order, each once. */
export async function shardsOf(index: string): Promise<Map<string, string[]>> {
  const { weight_map: map } = await readJsonObject(index);
  const entries = Object.entries(typeof map === 'object' && map !== null ? map : {});
  if (entries.length === 0 || Array.isArray(map)) {
    throw new Error(`${index} has no weight_map: expected { "weight_map": { tensor: file, ... } }`);
  }
  const extension = index.endsWith('.safetensors.index.json') ? '.safetensors' : '.bin';
  const shards = new Map<string, string[]>();
  for (const [name, shard] of entries) {
    if (typeof shard !== 'string' || !isPlainName(shard) || !shard.endsWith(extension)) {
      throw new Error(
        `${index} puts ${name} into ${show(shard)}: expected the name of a ${extension} file beside it`,
      );
    }
    shards.set(shard, [...(shards.get(shard) ?? []), name]);
  }
  return shards;
}

/** A name that stays in the directory it is joined to. */
const isPlainName = (name: string) => /^[^/\\\0]+$/.test(name) && !name.includes('..');

async function readIndex(directory: string, name: string): Promise<WeightFile[]> {
  const index = join(directory, name);
  const files: WeightFile[] = [];
  for (const [shard, names] of await shardsOf(index)) {
    const path = join(directory, shard);
    if (!(await exists(path))) {
      throw new Error(
        `${index} puts ${names[0]} into ${shard}, which is not there: put it beside the index`,
      );
    }
    files.push({ path, names });
  }
  return files;
}

/** A tensor to be written. */
export interface Parameter {
  name: string;
  shape: readonly number[];
}

/**
 * Which tensors go into which file, as save_pretrained lays them out: in their order, a new shard
 * where one would grow above `maxShardBytes`, a larger tensor in a shard of its own. All that fits
 * into one file is in `model.safetensors`.
 */
export function planShards(
  parameters: readonly Parameter[],
  itemBytes: number,
  maxShardBytes: number,
): Map<string, string[]> {
  const shards: string[][] = [];
  let open: string[] = [];
  let bytes = 0;
  for (const parameter of parameters) {
    const size = itemBytes * count(parameter);
    if (size > maxShardBytes) {
      shards.push([parameter.name]);
      continue;
    }
    if (bytes + size > maxShardBytes) {
      shards.push(open);
      open = [];
      bytes = 0;
    }
    open.push(parameter.name);
    bytes += size;
  }
  if (open.length > 0) shards.push(open);
  if (shards.length === 1) return new Map([['model.safetensors', shards[0]!]]);
  const digits = (index: number) => String(index).padStart(5, '0');
  const name = (i: number) => `model-${digits(i + 1)}-of-${digits(shards.length)}.safetensors`;
  return new Map(shards.map((names, i) => [name(i), names]));
}

const count = ({ shape }: Parameter) => shape.reduce((product, size) => product * size, 1);

const indexName = 'model.safetensors.index.json';

/**
 * What has to go before the first of several shards takes its place: an index of an earlier save would
 * tie old shards to new ones of the same names, and a whole file would stand for all of them.
 */
export const outdatedBy = (shards: ReadonlyMap<string, string[]>, directory: string): string[] =>
  shards.size > 1 ? [indexName, 'model.safetensors'].map((name) => join(directory, name)) : [];

/**
 * Writes the index of what `shards` says, where it takes one, and removes the files of an earlier
 * save that it does not name. Until then a reader finds the one file that is new, or no model.
 */
export async function finishShards(
  directory: string,
  shards: ReadonlyMap<string, string[]>,
  parameters: readonly Parameter[],
  itemBytes: number,
): Promise<void> {
  const sharded = shards.size > 1;
  if (sharded) {
    const total = parameters.reduce((sum, parameter) => sum + count(parameter), 0);
    const places = [...shards].flatMap(([file, names]) => names.map((name) => [name, file]));
    const content = {
      metadata: { total_parameters: total, total_size: total * itemBytes },
      weight_map: Object.fromEntries(places.sort()),
    };
    await writeWhole(join(directory, indexName), `${JSON.stringify(content, null, 2)}\n`);
  }
  const isStale = (name: string) =>
    name === indexName
      ? !sharded
      : /^model(-\d{5}-of-\d{5})?\.safetensors$/.test(name) && !shards.has(name);
  // The index first: without it the shards it names are no model.
  const stale = (await readdir(directory)).filter(isStale).sort((a) => (a === indexName ? -1 : 0));
  for (const name of stale) await rm(join(directory, name), { force: true });
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );
