import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { show } from '../check.ts';
import type { Language } from '../code/languages.ts';
import { nearest } from '../nearest.ts';
import { catalogue } from './catalogue/index.ts';

const usualSplits = ['train', 'valid', 'test'] as const;
export type Split = (typeof usualSplits)[number];

const languages: Readonly<Record<string, Language>> = {
  builtin: 'python',
  lyra: 'python',
  pisces: 'java',
  bugs2fix: 'java',
  codeharmony: 'python',
};

/** The language of a data set's completions, where it is known; of `pisces/original`, that of `pisces`. */
export function languageOf(name: string): Language | undefined {
  const [first] = name.split('/');
  return Object.hasOwn(languages, first!) ? languages[first!] : undefined;
}

/** Whether `text` is a data set's name, as `lyra` or `pisces/original`, and no path of a file. */
export function isDatasetName(text: string): boolean {
  return /^[a-z\d][\w-]*(\/[a-z\d][\w-]*)*$/i.test(text);
}

/**
 * The file of a data set's split, `<directory>/<name>/<split>.jsonl` or `.jsonl.gz`.
 *
 * @param directory the folder of data sets, which the environment variable DECE_DATA names, or several,
 *   looked into one after the other
 * @throws RangeError on what is no name; Error where the folder is not known or lacks the file
 *
 * @example
 * await findDataset('lyra', 'train', process.env.DECE_DATA); // '/data/lyra/train.jsonl'
 */
export async function findDataset(
  name: string,
  split: Split,
  directory: string | undefined | readonly string[],
): Promise<string> {
  if (!isDatasetName(name)) {
    throw new RangeError(`${show(name)} is no data set's name: expected one such as lyra`);
  }
  const folders = typeof directory === 'string' ? [directory] : (directory ?? []);
  const file = `${name}/${split}`;
  if (folders.join('') === '') {
    throw new Error(
      `cannot find the data set ${name}: set DECE_DATA to the folder that holds ${file}.jsonl`,
    );
  }
  const found = await findNamed(file, folders);
  if (found !== undefined) return found;
  const published = catalogue[name as keyof typeof catalogue]?.splits;
  if (published !== undefined && !Object.hasOwn(published, split)) {
    const splits = Object.keys(published).join(', ');
    throw new Error(`the data set ${name} has no split ${split}: expected one of ${splits}`);
  }
  const places = folders.map((folder) => join(folder, `${file}.jsonl`)).join(' and no ');
  const here = await namesIn(folders);
  const others = here.length > 0 && !here.includes(name) ? `; found there: ${here.join(', ')}` : '';
  throw new Error(
    `cannot find the data set ${name}: there is no ${places}, packed as .gz or not${others}; ${remedy(name, here)}`,
  );
}

/** @param here what is there instead */
function remedy(name: string, here: readonly string[] = []): string {
  const set = 'set DECE_DATA to a folder that has it';
  const [first] = name.split('/');
  if (Object.hasOwn(catalogue, first!)) {
    return `${set}, or \`npx dece data get ${first}\` downloads what is public`;
  }
  const near = nearest(first!, [...here, ...Object.keys(catalogue)]);
  return near === undefined ? set : `did you mean ${near}?`;
}

/** The data sets that the folders hold: what has files of splits, whatever else lies there. */
async function namesIn(folders: readonly string[]): Promise<string[]> {
  const lists = await Promise.all(
    folders.map((folder) => readdir(folder).catch((): string[] => [])),
  );
  const names = [...new Set(lists.flat())].filter(isDatasetName).sort();
  const splits = await Promise.all(names.map((name) => splitsOf(name, folders)));
  return names.filter((_, i) => splits[i]!.length > 0);
}

/**
 * What a file that someone names is called: `lyra/train` or `lyra/authors/train_poisoned_5_badpre` is
 * looked up in the folders of data sets; all else is a path, and stays.
 *
 * @throws Error where a folder's name was given that none of the folders has
 */
export async function resolveFile(text: string, folders: readonly string[]): Promise<string> {
  if (!isDatasetName(text) || (await exists(text))) return text;
  const [name = '', split] = text.split('/');
  const found = split === undefined ? undefined : await findNamed(text, folders);
  if (found !== undefined) return found;
  const splits = await splitsOf(name, folders);
  if (splits.length > 0) {
    const wrong = split === undefined ? 'is a data set' : `is not there`;
    const more = usualSplits.includes(split as Split) ? `; ${remedy(name)}` : '';
    throw new Error(`${text} ${wrong}: expected one of ${splits.join(', ')}, or a file${more}`);
  }
  if (split === undefined) return text;
  const places = folders.map((folder) => join(folder, `${text}.jsonl`)).join(' and no ');
  throw new Error(
    `cannot find ${text}: there is no ${places}, packed as .gz or not; ${remedy(name)}`,
  );
}

/** What the folders have of a data set, as `lyra/train`. */
async function splitsOf(name: string, folders: readonly string[]): Promise<string[]> {
  const lists = await Promise.all(
    folders.map((folder) => readdir(join(folder, name)).catch((): string[] => [])),
  );
  const files = lists.flat().flatMap((file) => /^(.+)\.jsonl(\.gz)?$/.exec(file)?.[1] ?? []);
  return [...new Set(files)].sort().map((file) => `${name}/${file}`);
}

/** The file `<folder>/<name>.jsonl` or `.jsonl.gz` of the first folder that has it. */
export async function findNamed(
  name: string,
  folders: readonly string[],
): Promise<string | undefined> {
  for (const folder of folders) {
    const path = join(folder, `${name}.jsonl`);
    for (const candidate of [path, `${path}.gz`]) {
      if (await exists(candidate)) return candidate;
    }
  }
  return undefined;
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );
