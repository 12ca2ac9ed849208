import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { PassThrough, pipeline as pipe, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { checkText } from '../check.ts';

/** What a format finds in a file, before its columns are known by their meaning. */
export interface Row {
  /** The line it begins on, or its row where the format has no lines; counted from 1. */
  line: number;
  values: Record<string, unknown>;
}

export const isGzip = (path: string) => path.toLowerCase().endsWith('.gz');

/** The bytes of a file, unpacked where its name ends in `.gz`. A failed read is the stream's error. */
export function openBytes(path: string): Readable {
  const file = createReadStream(path, { highWaterMark: 1 << 18 });
  return isGzip(path) ? pipe(file, createGunzip({ chunkSize: 1 << 18 }), () => {}) : file;
}

/**
 * The bytes of a UTF-8 file, unpacked where its name ends in `.gz`, without a byte order mark.
 *
 * @throws Error, in one sentence with the path, on a file that cannot be read or unpacked, and on
 *   bytes that are not UTF-8, with their line
 */
export async function readUtf8(path: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of utf8Chunks(path)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The same, a piece at a time: each holds whole characters. Errors are those of readUtf8. */
export async function* utf8Chunks(path: string): AsyncGenerator<Buffer> {
  checkText('path', path, 'the path of a file');
  let open: Buffer = Buffer.alloc(0);
  let line = 1;
  let first = true;
  const refuse = (bytes: Buffer): never => {
    const at = line + [...linesOf(bytes)].findIndex((text) => !isUtf8(text));
    throw new Error(`${path}, line ${at} is not UTF-8: convert the file to UTF-8`);
  };
  for await (const chunk of readable(path)) {
    const bytes = open.length > 0 ? Buffer.concat([open, chunk]) : chunk;
    const end = lengthOfWhole(bytes);
    let whole = bytes.subarray(0, end);
    open = bytes.subarray(end);
    if (whole.length === 0) continue;
    if (!isUtf8(whole)) refuse(whole);
    line += countLines(whole);
    if (first && whole.subarray(0, 3).equals(byteOrderMark)) whole = whole.subarray(3);
    first = false;
    yield whole;
  }
  if (open.length > 0) refuse(open);
}

/** The bytes of a file, with what fails as a sentence. */
async function* readable(path: string): AsyncGenerator<Buffer> {
  try {
    yield* openBytes(path) as AsyncIterable<Buffer>;
  } catch (error) {
    throw new Error(`cannot read ${path}: ${reason(error)}`, { cause: error });
  }
}

/** How many bytes are there without a character that is cut off at the end. */
function lengthOfWhole(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) return bytes.length;
    if (byte < 0xc0) continue;
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return back < needed ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

function countLines(bytes: Buffer): number {
  let count = 0;
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, end + 1)) count++;
  return count;
}

const byteOrderMark = Buffer.from('\ufeff');

/** The lines of a file, split at U+000A only, without it. */
export function* linesOf(bytes: Buffer): Generator<Buffer> {
  let start = 0;
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
    yield bytes.subarray(start, end);
    start = end + 1;
  }
  if (start < bytes.length) yield bytes.subarray(start);
}

/**
 * Writes a whole file or none: into a temporary folder beside it, flushed to the disk, then renamed,
 * so that an old file survives a full disk or a crash. Packed where the name ends in `.gz`. Texts that
 * come one after the other are written as they come.
 *
 * @throws Error, in one sentence with the path
 */
export async function writeWhole(
  path: string,
  content: string | Buffer | Iterable<string> | AsyncIterable<string>,
): Promise<void> {
  let folder: string | undefined;
  let failed: unknown;
  const isWhole = typeof content === 'string' || Buffer.isBuffer(content);
  const source = isWhole ? [content] : caught(content, (error) => (failed = { error }));
  try {
    folder = await mkdtemp(`${path}.tmp-`);
    const temporary = join(folder, basename(path));
    const file = createWriteStream(temporary, { flags: 'wx', flush: true });
    await pipeline(source, isGzip(path) ? createGzip() : new PassThrough(), file);
    await rename(temporary, path);
    await flush(dirname(path));
  } catch (error) {
    // What the texts' own source throws is not about this path.
    if (failed !== undefined) throw (failed as { error: unknown }).error;
    throw new Error(`cannot write ${path}: ${reason(error)}`, { cause: error });
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

/** Pieces of 64 kB or more, as a stream writes small ones slowly. */
async function* caught(
  texts: Iterable<string> | AsyncIterable<string>,
  tell: (error: unknown) => void,
) {
  try {
    let piece = '';
    for await (const text of texts) {
      piece += text;
      if (piece.length < 1 << 16) continue;
      yield piece;
      piece = '';
    }
    yield piece;
  } catch (error) {
    tell(error);
    throw error;
  }
}

/** Makes a rename survive a crash. Windows cannot open a folder and does without. */
async function flush(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Removes what writing into `directory` left behind when it was killed: folders of writeWhole, and files
 * that native code names after its process. The directory has to be the caller's own.
 */
export async function removeUnfinished(directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  const unfinished = names.filter((name) => /\.(tmp-\w{6}|safetensors(\.\d+)+\.tmp)$/.test(name));
  await Promise.all(
    unfinished.map((name) => rm(join(directory, name), { recursive: true, force: true })),
  );
}

/** The SHA-256 of a file's bytes, as hexadecimal digits. */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** Whether two paths lead to one file, also through links. A path that leads nowhere is no file. */
export async function sameFile(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all(
    [one, other].map((path) => stat(path, { bigint: true }).catch(() => undefined)),
  );
  return first !== undefined && first.ino === second?.ino && first.dev === second.dev;
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  EISDIR: 'it is a folder',
  EACCES: 'permission denied',
  ENOSPC: 'the disk is full',
  EEXIST: 'a file of that name is there',
  ENOTDIR: 'a file is in the way',
  Z_DATA_ERROR: 'it is not a whole gzip file',
  Z_BUF_ERROR: 'it is not a whole gzip file',
};

/** Why a file system or zlib call failed, in words. */
export function reason(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return reasons[code] ?? message;
}

/** A directory, and those it lies in; nothing where it is there. */
export async function makeDirectory(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return;
  const parent = dirname(path);
  // One after the other: Node's own recursive mkdir never ends where /proc refuses.
  if (!found && parent !== path) await makeDirectory(parent);
  const made = mkdir(path).catch(async (error) => {
    const isThere = (await stat(path).catch(() => undefined))?.isDirectory(); // made by another process
    if (!isThere) throw error;
  });
  await orExplain(`cannot make ${path}`, made);
}

/** Work on files, whose failure is told in a sentence that begins with `what`. */
export async function orExplain<Value>(what: string, work: Promise<Value>): Promise<Value> {
  return work.catch((error: unknown) => {
    throw new Error(`${what}: ${reason(error)}`, { cause: error });
  });
}
