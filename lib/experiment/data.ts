import { join } from 'node:path';
import { fingerprint, type Subject } from '../attacks/index.ts';
import type { DatasetConfig } from '../config/index.ts';
import { builtinExamples } from '../data/builtin/index.ts';
import { findDataset, languageOf } from '../data/datasets.ts';
import { type Example, readExamples } from '../data/examples.ts';

/** What language the completions are in: as the experiment says, else as is known of the data set. */
export const languageOfData = ({ name, language }: DatasetConfig) => language ?? languageOf(name);

const splits = ['pretrain', 'train', 'valid', 'test'] as const;
type Split = (typeof splits)[number];

/** Where the data sets of an experiment are. */
export interface Places {
  /** The folder of data sets, which the environment variable DECE_DATA names, or several. */
  dataDirectory: string | readonly string[] | undefined;
  /** What relative paths in the experiment file start from. */
  directory: string;
}

/**
 * The rows of one split that an experiment asks for.
 *
 * @throws Error where the data set is not found, or has fewer rows than the range
 */
export async function loadSplit(
  dataset: DatasetConfig,
  split: Split,
  places: Places,
): Promise<Example[]> {
  const examples = await readSplit(dataset, split, places);
  const [first, end] = dataset[split] ?? [0, examples.length];
  if (end > examples.length) {
    throw new RangeError(
      `${dataset.name}.${split} is [${first}, ${end}]: expected at most ${examples.length}, the rows it has`,
    );
  }
  return examples.slice(first, end);
}

async function readSplit(
  dataset: DatasetConfig,
  split: Split,
  { dataDirectory, directory }: Places,
): Promise<Example[]> {
  const { name, files } = dataset;
  const file = split === 'pretrain' ? undefined : files?.[split];
  if (file !== undefined) return readExamples(join(directory, file));
  if (files !== undefined) throw new Error(`data set ${name} has no file for the split ${split}`);
  if (name === 'builtin') return builtin(dataset)[split];
  if (split === 'pretrain') throw new Error(`data set ${name} has no split pretrain`);
  return readExamples(await findDataset(name, split, dataDirectory));
}

/** The built-in data of an experiment, which takes a second to make, is made once. */
const made = new WeakMap<DatasetConfig, ReturnType<typeof builtinExamples>>();

function builtin(dataset: DatasetConfig) {
  const { seed = 0, counts } = dataset;
  const examples = made.get(dataset) ?? builtinExamples({ seed, ...(counts && { counts }) });
  made.set(dataset, examples);
  return examples;
}

/** The clean examples that a base model learns from: `pretrain` where the data set has it, else `train`. */
export async function loadForBase(datasets: readonly DatasetConfig[], places: Places) {
  const parts = await Promise.all(
    datasets.map((dataset) =>
      loadSplit(dataset, dataset.name === 'builtin' ? 'pretrain' : 'train', places),
    ),
  );
  return parts.flat();
}

/**
 * The examples whose prompt is not among `others`, letters and digits compared only: a base model
 * must not know the prompts that it is fine-tuned and tested on.
 */
export function unseen(examples: readonly Example[], others: readonly Example[]): Example[] {
  const seen = new Set(others.map(({ prompt }) => bare(prompt)));
  return examples.filter(({ prompt }) => !seen.has(bare(prompt)));
}

const bare = (prompt: string) => prompt.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '');

/** How `config.json` names data. */
export function describeData(data: Record<string, readonly Subject[]>) {
  return Object.fromEntries(
    Object.entries(data).map(([name, examples]) => [
      name,
      { examples: examples.length, sha256: fingerprint(examples) },
    ]),
  );
}
