import { readFile } from 'node:fs/promises';
import { isMap, isSeq, LineCounter, type Node, type Pair, parseDocument, type Scalar } from 'yaml';
import type { z } from 'zod';
import { checkText } from '../check.ts';
import { explain, firstIssue, type Path, type PathName } from '../explain.ts';

export type { PathName } from '../explain.ts';
export {
  type AttackConfig,
  type DatasetConfig,
  type ExperimentConfig,
  experimentSchema,
} from './experiment.ts';
export { type TrainingConfig, trainFileSchema, trainingSchema } from './training.ts';

/**
 * Reads a YAML or JSON file and lays it over the defaults of `schema`.
 *
 * @throws Error that names the file, the line, the key with its path, what stood there and what
 * would do: `demo.yaml:12: training.learningrate is not an option: did you mean learningRate?`
 *
 * @example
 * const experiment = await readConfig('bench/experiments/demo.yaml', experimentSchema);
 */
export async function readConfig<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
): Promise<z.infer<Schema>> {
  return parseConfig(await readText(path), schema, path);
}

/** As {@link readConfig}, for a text that is already here; `file` is what errors call it. */
export function parseConfig<Schema extends z.ZodType>(
  text: string,
  schema: Schema,
  file: string,
): z.infer<Schema> {
  checkText('text', text, 'YAML or JSON');
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const wrong = document.errors[0];
  if (wrong !== undefined) {
    const { line, col } = lines.linePos(wrong.pos[0]);
    throw new Error(`${file}:${line}:${col}: ${wrong.message}`);
  }
  if (document.contents === null) throw new Error(`${file} is empty: expected a configuration`);

  const value = document.toJS() as unknown;
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { path, sentence } = explain(firstIssue(result.error), value);
  const offset = offsetOf(document.contents, path);
  throw new Error(`${file}:${lines.linePos(offset).line}: ${sentence}`);
}

/** Lays `value` over the defaults of `schema`; `name` is how errors call a key. */
export function checkConfig<Schema extends z.ZodType>(
  value: unknown,
  schema: Schema,
  name?: PathName,
): z.infer<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new RangeError(explain(firstIssue(result.error), value, name).sentence);
}

async function readText(path: string): Promise<string> {
  checkText('path', path, 'the path of a file');
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Error(
      code === 'ENOENT' ? `${path} does not exist` : `${path} cannot be read: ${message}`,
    );
  }
}

/** Where in the text the deepest part of `path` that is there begins. */
function offsetOf(root: Node, path: Path): number {
  let node: unknown = root;
  let offset = root.range?.[0] ?? 0;
  for (const key of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => String((item.key as Scalar).value) === String(key)) as
        | Pair<Scalar, Node>
        | undefined;
      if (pair === undefined) break;
      offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item = node.items[Number(key)] as Node | undefined;
      if (item === undefined) break;
      offset = item.range?.[0] ?? offset;
      node = item;
    } else {
      break;
    }
  }
  return offset;
}
