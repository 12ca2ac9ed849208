import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Dispatcher, Response } from 'undici';
import { sha256Of } from './files.ts';
import {
  isOffline,
  patiently,
  Refused,
  type ServerOptions,
  statusError,
  withAgent,
} from './server.ts';

/** A file elsewhere, and how to know that what arrives is it. */
export interface Source {
  url: string;
  /** SHA-256 as 64 hexadecimal digits, or git's own name for the content, as 40. */
  hash: string;
  /** Where it is known before. */
  bytes?: number;
  /** Sent to the server of the address alone: where that leads elsewhere, a token is not told. */
  headers?: Readonly<Record<string, string>>;
}

export interface DownloadOptions extends ServerOptions {
  onProgress?: (done: number, total: number) => void;
}

/** After so many failures in a row without a single new byte. */
const patience = 5;

/**
 * Downloads a file, whole and as its hash says, or not at all; one that is there so already is not asked
 * for. What has arrived when a connection is cut stays as `<path>.part`, and is not asked for again, also
 * by a later call.
 *
 * @throws Error, in one sentence with the address, where the server has no such file or another one, or
 *   nothing came five times in a row; the signal's reason where it is aborted
 *
 * @example
 * await download('train.csv', { url, hash, bytes: 825_284 }, { env: process.env, log: console.error });
 */
export async function download(
  path: string,
  source: Source,
  options: DownloadOptions,
): Promise<void> {
  if ((await sizeOf(path)) > 0 && (await difference(path, source)) === undefined) return;
  if (isOffline(options.env)) {
    throw new Error(`cannot download ${source.url}: HF_HUB_OFFLINE is set`);
  }
  const part = `${path}.part`;
  const resumed = (await sizeOf(part)) > 0;
  const asked = { url: source.url, patience, progress: () => sizeOf(part) };
  await withAgent(options, (agent) =>
    patiently(asked, options, () => receive(part, source, agent, options)),
  );
  const wrong = await difference(part, source);
  if (wrong !== undefined) {
    await rm(part, { force: true });
    if (!resumed) throw new Error(`cannot download ${source.url}: ${wrong}`);
    options.log(`${source.url}: ${wrong}; from the beginning`);
    return await download(path, source, options);
  }
  await rename(part, path);
}

/** Asks once, for what `part` lacks. */
async function receive(
  part: string,
  { url, bytes, headers }: Source,
  agent: Dispatcher,
  { log, onProgress, signal }: DownloadOptions,
): Promise<void> {
  const have = await sizeOf(part);
  if (have > 0 && have === bytes) return;
  const { fetch } = await import('undici');
  const response = await fetch(url, {
    dispatcher: agent,
    headers: {
      ...headers,
      'accept-encoding': 'identity',
      ...(have > 0 && { range: `bytes=${have}-` }),
    },
    ...(signal && { signal }),
  });
  const range = await rangeOf(response, part, have);
  if (range === undefined) return;
  const { start, total } = range;
  if (bytes !== undefined && total !== undefined && total !== bytes) {
    throw new Refused(`the server has ${total} bytes, expected ${bytes}`);
  }
  const size = bytes ?? total;
  const much = size === undefined ? 'of unknown size' : sizeText(size);
  log(`downloading ${much} from ${url}${start > 0 ? `, from byte ${start} on` : ''}`);
  if (response.body === null) throw new Error('the server sent nothing');

  const file = await open(part, start > 0 ? 'a' : 'w');
  let done = start;
  try {
    for await (const chunk of response.body) {
      done += chunk.length;
      if (size !== undefined && done > size) throw new Refused(`more than ${size} bytes came`);
      await file.writeFile(chunk);
      onProgress?.(done, size ?? 0);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  if (size !== undefined && done < size) throw new Error(`it ended after ${done} of ${size} bytes`);
}

/**
 * Which part of the file a response has: from which byte on, and of how many; undefined where there is
 * nothing left to send.
 */
async function rangeOf(response: Response, part: string, have: number) {
  const { status, headers } = response;
  const range = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(headers.get('content-range') ?? '');
  const total = range?.[2] === undefined || range[2] === '*' ? undefined : Number(range[2]);
  if (status === 200) {
    const length = headers.get('content-encoding') ? null : headers.get('content-length');
    return { start: 0, total: length === null ? undefined : Number(length) };
  }
  if (status === 206 && Number(range?.[1]) === have) return { start: have, total };
  await response.body?.cancel().catch(() => {});
  if (status === 416 && total === have) return undefined;
  if (status === 206 || status === 416) {
    await rm(part, { force: true });
    throw new Error('the server has another part of it than was asked for');
  }
  throw statusError(status);
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

/** In what a file differs from what it should be, or undefined. */
async function difference(path: string, { hash, bytes }: Source): Promise<string | undefined> {
  const size = await sizeOf(path);
  if (bytes !== undefined && size !== bytes) return `it has ${size} bytes, expected ${bytes}`;
  const kind = hash.length === 64 ? 'sha256' : 'git blob';
  const found = kind === 'sha256' ? await sha256Of(path) : await gitBlob(path, size);
  return found === hash ? undefined : `it has the ${kind} ${found}, expected ${hash}`;
}

/** What git calls a content: SHA-1 over a header with its length, then the bytes. */
async function gitBlob(path: string, size: number): Promise<string> {
  const hash = createHash('sha1').update(`blob ${size}\0`);
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

export const sizeText = (bytes: number) =>
  bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
