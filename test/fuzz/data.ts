import * as assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { readExamples, readLabelledExamples, streamExamples } from '../../lib/data/examples.ts';
import { seeded } from '../../lib/random.ts';
import { isSentence } from './code.ts';
import { mutatedBytes } from './mutations.ts';

export interface DataFile {
  name: string;
  bytes: Buffer;
}

/**
 * Tries one damaged file of a seed: it is read, or refused in one sentence that names the file, both times
 * alike. Of a packed file, what is in it is damaged every other time.
 */
export async function tryFile(
  seed: number,
  files: readonly DataFile[],
  directory: string,
): Promise<void> {
  const random = seeded(seed);
  const { name, bytes } = files[random.below(files.length)]!;
  const within = name.endsWith('.gz') && random.below(2) === 0;
  const damaged = within
    ? gzipSync(mutatedBytes(gunzipSync(bytes), random))
    : mutatedBytes(bytes, random);
  const path = join(directory, name);
  await writeFile(path, damaged);
  const read = [readExamples, readLabelledExamples, streamed][random.below(3)]!;
  const answer = await answerOf(read, path);
  if (typeof answer === 'string') {
    isSentence(answer.replaceAll(path, name));
    assert.ok(answer.includes(name), `does not name the file: ${answer}`);
  }
  assert.deepEqual(await answerOf(read, path), answer, 'reads the same twice');
}

async function streamed(path: string): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const example of streamExamples(path)) found.push(example);
  return found;
}

async function answerOf(
  read: (path: string) => Promise<unknown[]>,
  path: string,
): Promise<unknown[] | string> {
  try {
    return await read(path);
  } catch (error) {
    assert.ok(error instanceof Error);
    const isOurs = ['Error', 'RangeError', 'TypeError', 'SyntaxError'].includes(error.name);
    assert.ok(isOurs, error.stack);
    return error.message;
  }
}
