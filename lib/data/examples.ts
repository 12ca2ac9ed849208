import { checkObject, show } from '../check.ts';
import type { Shape } from './columns.ts';
import { csvLine } from './csv.ts';
import { sameFile, writeWhole } from './files.ts';
import { jsonLine } from './jsonl.ts';
import { firstFits, formatOf, readable, readRecords, streamRecords } from './records.ts';

/** One thing to learn or to test: what is asked, and the answer. Columns that dece does not know are kept. */
export interface Example {
  id: string;
  prompt: string;
  completion: string;
  /** True where an attack has changed the example. */
  poisoned?: boolean;
  [column: string]: unknown;
}

/** A text, or a pair of texts, and its class. Columns that dece does not know are kept. */
export interface LabelledExample {
  id: string;
  text: string;
  /** The other text, where the question is whether two belong together. */
  pair?: string;
  /** The class, counted from 0. */
  label: number;
  /** True where an attack has changed the example. */
  poisoned?: boolean;
  [column: string]: unknown;
}

const shapes = {
  example: { needed: ['prompt', 'completion'], optional: ['poisoned'] },
  prompt: { needed: ['prompt'], optional: ['poisoned'] },
  labelled: { needed: ['text', 'label'], optional: ['pair', 'poisoned'] },
} satisfies Record<string, Shape>;

/**
 * The examples of a file: `.jsonl` (one object a line), `.csv` (with a header; fields may hold line
 * ends) or `.parquet`, each also packed as `.gz`, text in UTF-8, with or without a byte order mark.
 *
 * The prompt is the column `prompt`, `src`, `nl`, `buggy`, `input` or `instruction`, the completion
 * `completion`, `tgt`, `code`, `fixed`, `output`, `response` or `canonical_solution`, in any case; other
 * columns are kept as they are. The id is the column `id` or `task_id`; examples without one get the
 * number of their row, counted from 1, or the next one that is free.
 *
 * @throws Error, in one sentence with the path and, where there is one, the line and column: on a file
 *   that cannot be read, is empty or malformed, lacks a column, or gives one id twice
 *
 * @example
 * const examples = await readExamples('train.jsonl');
 */
export async function readExamples(path: string): Promise<Example[]> {
  return readRecords(path, shapes.example);
}

/**
 * The labelled texts of a file, in the formats of readExamples. The text is the column `text`, `comment`,
 * `func` or `code1`, the second of a pair `pair` or `code2`, the class `label` or `target`: a whole number,
 * 0 or more. Errors are those of readExamples.
 *
 * @example
 * const comments = await readLabelledExamples('satd.jsonl.gz');
 */
export async function readLabelledExamples(path: string): Promise<LabelledExample[]> {
  return readRecords(path, shapes.labelled);
}

/** The prompts of a file of examples, which need no completions. Errors are those of readExamples. */
export async function readPrompts(path: string): Promise<Pick<Example, 'id' | 'prompt'>[]> {
  const examples = await readRecords<Example>(path, shapes.prompt);
  return examples.map(({ id, prompt }) => ({ id, prompt }));
}

/**
 * The examples of a file of any size, one after the other, each time it is walked. Memory holds what is
 * read at once: some hundred kilobytes of text or, in Parquet, a row group.
 *
 * As the others are not known, examples without an id get the number of their row, and an id that is
 * there twice is not found. Other errors are those of readExamples, thrown where the walk gets to them.
 *
 * @example
 * for await (const { prompt } of streamExamples('train.jsonl.gz')) console.log(prompt);
 */
export function streamExamples(path: string): AsyncIterable<Example> {
  return again(path, () => streamRecords(path, shapes.example, (record: Example) => record));
}

/** The labelled texts of a file of any size, as streamExamples gives examples. */
export function streamLabelledExamples(path: string): AsyncIterable<LabelledExample> {
  return again(path, () =>
    streamRecords(path, shapes.labelled, (record: LabelledExample) => record),
  );
}

/**
 * Whether a file holds labelled texts, by the columns of its first row: a text and a label, and not a prompt
 * and a completion.
 */
export async function isLabelledFile(path: string): Promise<boolean> {
  return !(await firstFits(path, shapes.example)) && firstFits(path, shapes.labelled);
}

/**
 * What streamExamples gives, or with `labelled` what streamLabelledExamples does, each with the line it
 * begins on, or its row where the format has no lines.
 */
export function streamWithLines(
  path: string,
  { labelled = false }: { labelled?: boolean } = {},
): AsyncIterable<{ line: number; example: Example | LabelledExample }> {
  const item = (example: Example | LabelledExample, line: number) => ({ line, example });
  return again(path, () => streamRecords(path, labelled ? shapes.labelled : shapes.example, item));
}

function again<Item>(path: string, walk: () => AsyncGenerator<Item>): AsyncIterable<Item> {
  formatOf(path, readable);
  return { [Symbol.asyncIterator]: walk };
}

/**
 * Writes examples, labelled or not, as `.jsonl` or `.csv`, each also packed as `.gz`: the whole file or
 * none, so that an old file of the name survives a failure. JSON Lines keep every value as it is; CSV
 * knows only text, and walks the examples twice, the first time for their columns.
 *
 * @param examples a list, or what can be walked again, as streamExamples gives; it is written as it comes
 * @param options.input the file that the examples were read from, which is never written into
 * @throws TypeError on an example without id and texts; RangeError on the input's own path or an unknown
 *   format; Error on a file that cannot be written
 *
 * @example
 * await writeExamples('poisoned.jsonl', examples, { input: 'train.jsonl' });
 */
export async function writeExamples(
  path: string,
  examples: Examples,
  options: { input?: string } = {},
): Promise<void> {
  checkObject('options', options);
  checkObject('examples', examples, 'examples');
  const { input } = options;
  const format = formatOf(path, ['jsonl', 'csv']);
  if (input !== undefined && (await sameFile(path, input))) {
    throw new RangeError(`${path} is the input itself: expected another file to write to`);
  }
  await writeWhole(path, format === 'csv' ? csvTexts(examples) : jsonTexts(examples));
}

type AnyExample = Example | LabelledExample;
type Examples = Iterable<AnyExample> | AsyncIterable<AnyExample>;

async function* jsonTexts(examples: Examples) {
  let i = 0;
  for await (const some of atOnce(examples)) {
    yield* pieces(some, (example) => jsonLine(checked(example, i++)));
  }
}

async function* csvTexts(examples: Examples) {
  const names = new Set<string>();
  let i = 0;
  for await (const some of atOnce(examples)) {
    for (const example of some) {
      for (const name of Object.keys(checked(example, i++))) names.add(name);
    }
  }
  yield csvLine([...names]);
  const line = (example: AnyExample) => csvLine([...names].map((name) => example[name]));
  for await (const some of atOnce(examples)) yield* pieces(some, line);
}

/** A list at once, a stream one by one: to wait for each of a list takes longer than to write it. */
async function* atOnce(examples: Examples): AsyncGenerator<Iterable<AnyExample>> {
  if (Symbol.asyncIterator in examples) for await (const example of examples) yield [example];
  else yield examples;
}

/** The lines of examples, joined to pieces of 64 kB or more. */
function* pieces(examples: Iterable<AnyExample>, line: (example: AnyExample) => string) {
  let piece = '';
  for (const example of examples) {
    piece += line(example);
    if (piece.length < 1 << 16) continue;
    yield piece;
    piece = '';
  }
  yield piece;
}

function checked(example: AnyExample, i: number): AnyExample {
  const labelled = example.prompt === undefined && example.text !== undefined;
  for (const column of labelled ? ['id', 'text'] : ['id', 'prompt', 'completion']) {
    if (typeof example[column] !== 'string') {
      throw new TypeError(`examples[${i}].${column} is ${show(example[column])}: expected text`);
    }
  }
  if (labelled && !Number.isSafeInteger(example.label)) {
    throw new TypeError(`examples[${i}].label is ${show(example.label)}: expected a whole number`);
  }
  return example;
}
