import { createHash } from 'node:crypto';
import { readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Example, LabelledExample } from '../data/examples.ts';
import { makeDirectory, writeWhole } from '../data/files.ts';
import { packageVersion } from '../environment.ts';
import { type Model, tokenizerOf } from '../model/index.ts';
import type { Encoded } from '../model/texts.ts';
import { cacheDirectory } from '../native.ts';
import type { EncodedExamples, EncodeOptions, TrainingExample } from './encode.ts';

/** Below so many characters, looking on the disk saves nothing. */
const leastCharacters = 1e6;
/** All files together; beyond it, those go that nobody has used for longest. */
const mostBytes = 2 ** 30;

/**
 * Token ids of a data set that an earlier run has made, in `ids` of the cache: one file for each tokenizer,
 * kind of model, limits and texts. A file is a line of JSON, then for each example its lengths and ids as
 * int32. One that is damaged counts as missing, and a cache that cannot be written is done without.
 */
export class IdCache {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Undefined for few texts. */
  static async for(
    examples: readonly TrainingExample[],
    model: Model,
    { maxInputTokens, maxOutputTokens, packing }: EncodeOptions,
  ): Promise<IdCache | undefined> {
    const texts = examples.map((example: Partial<Example & LabelledExample>) => {
      const { text, pair, label, prompt, completion, poisoned } = example;
      return [text, pair, label, prompt, completion, poisoned === true];
    });
    const count = (sum: number, part: unknown) =>
      sum + (typeof part === 'string' ? part.length : 0);
    if (texts.reduce((sum, parts) => parts.reduce<number>(count, sum), 0) < leastCharacters) {
      return undefined;
    }
    const { architecture, labels, eos_token_ids } = model.resolved;
    const kind = [await packageVersion(), architecture, labels, eos_token_ids, model.classes];
    const hash = createHash('sha256').update(tokenizerOf(model).fingerprint);
    hash.update(JSON.stringify([kind, maxInputTokens, maxOutputTokens, packing]));
    for (const parts of texts) hash.update(JSON.stringify(parts));
    return new IdCache(join(cacheDirectory(process.env), 'ids', hash.digest('hex')));
  }

  /** What {@link IdCache.write} was given; undefined where there is none, or not all of it. */
  async read(): Promise<EncodedExamples | undefined> {
    try {
      const file = await readFile(this.#path);
      const end = file.indexOf('\n') + 1;
      const { truncated, sha256 } = JSON.parse(file.toString('utf8', 0, end));
      const body = file.subarray(end);
      if (createHash('sha256').update(body).digest('hex') !== sha256) return undefined;
      const now = new Date();
      await utimes(this.#path, now, now).catch(() => {}); // it may be somebody else's
      return { items: itemsOf(body), truncated, sha256 };
    } catch {
      return undefined;
    }
  }

  async write({ items, truncated, sha256 }: EncodedExamples): Promise<void> {
    const head = Buffer.from(`${JSON.stringify({ truncated, sha256 })}\n`);
    const file = Buffer.concat([head, ...items.map((item) => Buffer.from(numbersOf(item).buffer))]);
    if (file.length > mostBytes) return;
    try {
      const folder = join(this.#path, '..');
      await makeDirectory(folder);
      await writeWhole(this.#path, file);
      await removeOldest(folder);
    } catch {
      // The ids are there all the same.
    }
  }
}

/** An example as it lies in a file, and as its hash is taken. */
export const numbersOf = ({ inputIds, labels }: Encoded) =>
  Int32Array.of(inputIds.length, ...inputIds, labels.length, ...labels);

function itemsOf(body: Buffer): Encoded[] {
  const numbers = new Int32Array(Uint8Array.from(body).buffer);
  const items: Encoded[] = [];
  let at = 0;
  const next = () => {
    const length = numbers[at]!;
    const ids = Array.from(numbers.subarray(at + 1, at + 1 + length));
    at += 1 + length;
    return ids;
  };
  while (at < numbers.length) items.push({ inputIds: next(), labels: next() });
  return items;
}

async function removeOldest(folder: string): Promise<void> {
  const found = await Promise.all(
    (await readdir(folder)).map(async (name) => {
      const path = join(folder, name);
      const { size, mtimeMs } = await stat(path);
      return { path, size, mtimeMs, isUnfinished: name.includes('.tmp-') };
    }),
  );
  let total = 0;
  for (const { path, size, mtimeMs, isUnfinished } of found.sort((a, b) => b.mtimeMs - a.mtimeMs)) {
    total += size;
    const isLeft = isUnfinished && Date.now() - mtimeMs > 3_600_000; // by a run that was killed
    if (isLeft || total > mostBytes) await rm(path, { recursive: true, force: true });
  }
}
