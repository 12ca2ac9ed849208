import { createWriteStream } from 'node:fs';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { AsyncBuffer, Compressors, FileMetaData, SchemaTree } from 'hyparquet';
import { isGzip, openBytes, type Row, reason } from './files.ts';

/**
 * The rows of a Parquet file, a row group at a time, which is what memory holds. Whole numbers too large
 * for a number become text, dates ISO 8601, bytes base64. A file packed once more as `.gz` is unpacked
 * into the system's folder for temporary files while it is read.
 *
 * @throws Error, in one sentence with the path, on a file that cannot be read or is damaged, and on text
 *   that is not UTF-8
 */
export async function* readParquet(path: string): AsyncGenerator<Row[]> {
  let folder: string | undefined;
  let handle: FileHandle | undefined;
  try {
    if (isGzip(path)) folder = await mkdtemp(join(tmpdir(), 'dece-'));
    handle = await open(folder === undefined ? path : await unpacked(path, folder));
    yield* rowGroups(path, handle);
  } catch (error) {
    if ((error as Error).message.startsWith(path)) throw error;
    throw new Error(`cannot read ${path}: ${reason(error)}`, { cause: error });
  } finally {
    await handle?.close();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

async function unpacked(path: string, folder: string): Promise<string> {
  const file = join(folder, 'unpacked.parquet');
  await pipeline(openBytes(path), createWriteStream(file));
  return file;
}

async function* rowGroups(path: string, handle: FileHandle): AsyncGenerator<Row[]> {
  const { parquetMetadataAsync, parquetReadObjects, parquetSchema } = await import('hyparquet');
  const { compressors: known } = await import('hyparquet-compressors');
  const compressors = { ...known, LZ4: orNothing(known.LZ4), LZ4_RAW: orNothing(known.LZ4_RAW) };
  const file = await randomAccess(handle);
  const whole = async <T>(work: Promise<T>) => {
    try {
      const result = await work;
      if (file.failure !== undefined) throw file.failure;
      return result;
    } catch (thrown) {
      const error = file.failure ?? thrown;
      const { message } = error as Error;
      throw new Error(`${path} is no whole Parquet file: ${message}`, { cause: error });
    }
  };
  const metadata = await whole(parquetMetadataAsync(file));
  await whole(checkColumns(metadata, parquetSchema));
  let rowStart = 0;
  for (const { num_rows } of metadata.row_groups) {
    const rowEnd = rowStart + Number(num_rows);
    const range = { file, metadata, compressors, parsers: { stringFromBytes }, rowStart, rowEnd };
    const rows = await whole(parquetReadObjects(range));
    yield rows.map((values, i) => ({ line: rowStart + i + 1, values: plainValues(values) }));
    rowStart = rowEnd;
  }
}

type Compressor = NonNullable<Compressors['LZ4']>;

/** A column of nulls has pages without a byte, which LZ4 packs into one that hyparquet-compressors refuses. */
const orNothing =
  (unpack: Compressor | undefined): Compressor =>
  (packed, size) =>
    size === 0 ? new Uint8Array() : unpack!(packed, size);

/**
 * Each row group has the columns of the schema. Where not, hyparquet would stop after it has begun to read
 * other columns, whose failures nobody then waits for, which ends the process.
 */
async function checkColumns(
  metadata: FileMetaData,
  schemaOf: (metadata: FileMetaData) => SchemaTree,
): Promise<void> {
  const expected = JSON.stringify(leavesOf(schemaOf(metadata)));
  for (const { columns } of metadata.row_groups) {
    const found = columns.map((column) => column.meta_data?.path_in_schema);
    if (JSON.stringify(found) === expected) continue;
    throw new Error('the columns of a row group are not those of its schema');
  }
}

const leavesOf = ({ children, path }: SchemaTree): string[][] =>
  children.length > 0 ? children.flatMap(leavesOf) : [path];

/**
 * A file as hyparquet reads it. A range that cannot be read is empty, and `failure` says why: hyparquet
 * reads ahead without waiting, and a rejection that nobody waits for would end the process.
 */
async function randomAccess(handle: FileHandle) {
  const { size } = await handle.stat();
  const read = async (start: number, end: number) => {
    if (!(start >= 0 && start <= end && end <= size)) throw new Error('it ends too early');
    const bytes = new Uint8Array(end - start);
    let done = 0;
    while (done < bytes.length) {
      const { bytesRead } = await handle.read(bytes, done, bytes.length - done, start + done);
      if (bytesRead === 0) throw new Error('it ends too early');
      done += bytesRead;
    }
    return bytes.buffer;
  };
  const file: AsyncBuffer & { failure?: unknown } = {
    byteLength: size,
    slice: (start, end = size) =>
      read(start, end).catch((error) => {
        file.failure ??= error;
        return new ArrayBuffer(0);
      }),
  };
  return file;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function stringFromBytes(bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined) return undefined;
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw new Error('a text is not UTF-8', { cause: error });
  }
}

const plainValues = (values: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, plain(value)]));

/** A value as JSON can hold it. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') {
    return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  }
  if (value === undefined || value === null || typeof value !== 'object') return value ?? null;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(plain);
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as number[], plain);
  return plainValues(value as Record<string, unknown>);
}
