import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { checkObject } from '../../check.ts';
import { lock } from '../../lock.ts';
import { cacheDirectory } from '../../native.ts';
import { findNamed } from '../datasets.ts';
import { type DownloadOptions, download } from '../download.ts';
import { makeDirectory, writeWhole } from '../files.ts';
import { jsonLine } from '../jsonl.ts';
import { convert } from './convert.ts';
import { type Dataset, describeDataset, type PublishedSplit } from './index.ts';

/** Where one split of a data set is. */
export interface Place {
  split: string;
  /** Undefined where it is not on this machine and not to be downloaded. */
  path: string | undefined;
  from: 'DECE_DATA' | 'cache' | 'download' | 'nowhere';
}

/** The folder of data sets that were downloaded. */
export const datasetCache = (env: NodeJS.ProcessEnv) => join(cacheDirectory(env), 'data');

/** The folders that data sets are looked up in, the first first. */
export function datasetFolders(env: NodeJS.ProcessEnv): string[] {
  checkObject('env', env, 'process.env or the like');
  return [...(env.DECE_DATA ? [env.DECE_DATA] : []), datasetCache(env)];
}

/** Where the splits of a data set are. Nothing is downloaded. */
export async function placesOf(
  name: string,
  env: NodeJS.ProcessEnv,
  dataset: Dataset = describeDataset(name),
): Promise<Place[]> {
  checkObject('env', env, 'process.env or the like');
  checkObject('dataset', dataset);
  const places: Place[] = [];
  for (const split of Object.keys(dataset.splits)) {
    const own = env.DECE_DATA ? await findNamed(`${name}/${split}`, [env.DECE_DATA]) : undefined;
    const path = own ?? (await findNamed(`${name}/${split}`, [datasetCache(env)]));
    const from = own ? 'DECE_DATA' : path ? 'cache' : 'nowhere';
    places.push({ split, path, from });
  }
  return places;
}

/**
 * Brings a data set onto this machine: each split is taken from `DECE_DATA` or the cache where it is
 * there, else downloaded, compared with its hash and written as `<cache>/data/<name>/<split>.jsonl`.
 *
 * @param dataset what it is and where from, where the catalogue does not know it
 * @throws RangeError on an unknown name; Error where a download fails, or none of it is here and none of
 *   it is to be downloaded
 *
 * @example
 * await getDataset('lyra', { env: process.env, log: console.error });
 */
export async function getDataset(
  name: string,
  options: DownloadOptions,
  dataset: Dataset = describeDataset(name),
): Promise<Place[]> {
  checkObject('options', options);
  checkObject('dataset', dataset);
  const { splits, origin } = dataset;
  const places = await placesOf(name, options.env, dataset);
  const missing = places.filter(({ split, path }) => path === undefined && splits[split]!.files);
  if (missing.length === 0) {
    if (places.some(({ path }) => path !== undefined)) return places;
    throw new Error(
      `${name} cannot be downloaded by dece: get it from ${origin}, and set DECE_DATA to the folder that holds ${name}/train.jsonl`,
    );
  }
  const directory = join(datasetCache(options.env), name);
  await makeDirectory(directory);
  const unlock = await lock(directory);
  try {
    for (const place of missing) {
      place.path = await fetchSplit(directory, place.split, splits[place.split]!, options);
      place.from = 'download';
    }
    await rm(join(directory, originals), { recursive: true });
  } finally {
    await unlock();
  }
  return places;
}

/** The folder of the files as they are published, of which several splits can be part, while they are needed. */
const originals = 'originals';

async function fetchSplit(
  directory: string,
  split: string,
  { files = [], recipe, rows }: PublishedSplit,
  options: DownloadOptions,
): Promise<string> {
  await makeDirectory(join(directory, originals));
  const paths = files.map(({ url }) => join(directory, originals, basename(new URL(url).pathname)));
  for (const [i, source] of files.entries()) await download(paths[i]!, source, options);
  let found = 0;
  async function* lines() {
    for await (const row of convert(recipe!, paths, split)) {
      found++;
      yield jsonLine(row);
    }
    if (found === rows) return;
    throw new Error(`${paths.join(' and ')} hold ${found} rows, expected ${rows}`);
  }
  const path = join(directory, `${split}.jsonl`);
  await writeWhole(path, lines());
  return path;
}
