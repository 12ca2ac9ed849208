import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';

/** What a format finds in a file, before its columns are known by their meaning. */
export interface Row {
  /** Path and line, to begin an error message with. */
  where: string;
  values: Record<string, unknown>;
}

const isGzip = (path: string) => path.toLowerCase().endsWith('.gz');

/**
 * The bytes of a UTF-8 file, unpacked where its name ends in `.gz`, without a byte order mark.
 *
 * @throws Error, in one sentence with the path, on a file that cannot be read or unpacked, and on
 *   bytes that are not UTF-8, with their line
 */
export async function readUtf8(path: string): Promise<Buffer> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
    if (isGzip(path)) bytes = await promisify(gunzip)(bytes);
  } catch (error) {
    throw new Error(`cannot read ${path}: ${reason(error)}`, { cause: error });
  }
  if (!isUtf8(bytes)) {
    const line = [...linesOf(bytes)].findIndex((text) => !isUtf8(text)) + 1;
    throw new Error(`${path}, line ${line} is not UTF-8: convert the file to UTF-8`);
  }
  return bytes.subarray(0, 3).equals(byteOrderMark) ? bytes.subarray(3) : bytes;
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
 * so that an old file survives a full disk or a crash. Packed where the name ends in `.gz`.
 *
 * @throws Error, in one sentence with the path
 */
export async function writeWhole(path: string, content: string | Buffer): Promise<void> {
  let folder: string | undefined;
  try {
    const bytes = isGzip(path) ? await promisify(gzip)(content) : content;
    folder = await mkdtemp(`${path}.tmp-`);
    const temporary = join(folder, basename(path));
    await writeAndFlush(temporary, bytes);
    await rename(temporary, path);
    await flush(dirname(path));
  } catch (error) {
    throw new Error(`cannot write ${path}: ${reason(error)}`, { cause: error });
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

async function writeAndFlush(path: string, content: string | Buffer): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
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
  const unfinished = names.filter((name) => /\.(tmp-\w{6}|safetensors\.\d+\.tmp)$/.test(name));
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
  Z_DATA_ERROR: 'it is not a whole gzip file',
  Z_BUF_ERROR: 'it is not a whole gzip file',
};

function reason(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return reasons[code] ?? message;
}
