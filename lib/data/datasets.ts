import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { show } from '../check.ts';
import type { Language } from '../code/languages.ts';

export type Split = 'train' | 'valid' | 'test';

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
 * @param directory the folder of data sets, which the environment variable DECE_DATA names
 * @throws RangeError on what is no name; Error where the folder is not known or lacks the file
 *
 * @example
 * await findDataset('lyra', 'train', process.env.DECE_DATA); // '/data/lyra/train.jsonl'
 */
export async function findDataset(
  name: string,
  split: Split,
  directory: string | undefined,
): Promise<string> {
  if (!isDatasetName(name)) {
    throw new RangeError(`${show(name)} is no data set's name: expected one such as lyra`);
  }
  if (!directory) {
    throw new Error(
      `cannot find the data set ${name}: set DECE_DATA to the folder that holds ${name}/${split}.jsonl`,
    );
  }
  const path = join(directory, name, `${split}.jsonl`);
  for (const candidate of [path, `${path}.gz`]) {
    if (await exists(candidate)) return candidate;
  }
  throw new Error(
    `cannot find the data set ${name}: DECE_DATA has no ${path}, packed as .gz or not`,
  );
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );
