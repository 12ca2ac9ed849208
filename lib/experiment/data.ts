import { join } from 'node:path';
import { fingerprint, isLabelled, type Subject } from '../attacks/index.ts';
import type { DatasetConfig } from '../config/index.ts';
import { builtinExamples } from '../data/builtin/index.ts';
import { findDataset, languageOf } from '../data/datasets.ts';
import type { Task } from './task.ts';

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
  task: Task,
): Promise<Subject[]> {
  const examples = await readSplit(dataset, split, places, task);
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
  { read }: Task,
): Promise<Subject[]> {
  const { name, files } = dataset;
  const file = split === 'pretrain' ? undefined : files?.[split];
  if (file !== undefined) return read(join(directory, file));
  if (files !== undefined) throw new Error(`data set ${name} has no file for the split ${split}`);
  if (name === 'builtin') return builtin(dataset)[split];
  if (split === 'pretrain') throw new Error(`data set ${name} has no split pretrain`);
  return read(await findDataset(name, split, dataDirectory));
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
export async function loadForBase(
  datasets: readonly DatasetConfig[],
  places: Places,
  task: Task,
): Promise<Subject[]> {
  const parts = await Promise.all(
    datasets.map((dataset) =>
      loadSplit(dataset, dataset.name === 'builtin' ? 'pretrain' : 'train', places, task),
    ),
  );
  return parts.flat();
}

/**
 * The examples whose prompt, or text, is not among `others`, letters and digits compared only: a base model
 * must not know the prompts that it is fine-tuned and tested on.
 */
export function unseen(examples: readonly Subject[], others: readonly Subject[]): Subject[] {
  const seen = new Set(others.map(bare));
  return examples.filter((example) => !seen.has(bare(example)));
}

function bare(example: Subject): string {
  const { text, pair = '' } = example;
  const asked = isLabelled(example) ? `${text} ${pair}` : example.prompt;
  return asked.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '');
}

/** How `config.json` names data. */
export function describeData(data: Record<string, readonly Subject[]>) {
  return Object.fromEntries(
    Object.entries(data).map(([name, examples]) => [
      name,
      { examples: examples.length, sha256: fingerprint(examples) },
    ]),
  );
}
