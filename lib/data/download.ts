import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { setTimeout as wait } from 'node:timers/promises';
import type { Dispatcher, Response } from 'undici';
import { reason, sha256Of } from './files.ts';

/** A file elsewhere, and how to know that what arrives is it. */
export interface Source {
  url: string;
  /** SHA-256 as 64 hexadecimal digits, or git's own name for the content, as 40. */
  hash: string;
  /** Where it is known before. */
  bytes?: number;
}

export interface DownloadOptions {
  /** HF_HUB_OFFLINE forbids, http_proxy, https_proxy and no_proxy lead elsewhere. */
  env: NodeJS.ProcessEnv;
  /** Told, before the first byte is taken, what, from where and how much; later why it begins again. */
  log: (line: string) => void;
  onProgress?: (done: number, total: number) => void;
  signal?: AbortSignal;
  /** A server that sends nothing for so long is given up. Default 30 s. */
  stallMs?: number;
  /** Before it is asked again; doubles each time. Default 1 s. */
  waitMs?: number;
}

/** After so many failures in a row without a single new byte. */
const patience = 5;

/** What asking again will not mend. */
class Refused extends Error {}

/**
 * Downloads a file, whole and as its hash says, or not at all. What has arrived when a connection is cut
 * stays as `<path>.part`, and is not asked for again, also by a later call.
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
  const { env } = options;
  if (/^(1|on|yes|true)$/i.test(env.HF_HUB_OFFLINE ?? '')) {
    throw new Error(`cannot download ${source.url}: HF_HUB_OFFLINE is set`);
  }
  const part = `${path}.part`;
  const { EnvHttpProxyAgent } = await import('undici');
  const { stallMs = 30_000 } = options;
  const agent = new EnvHttpProxyAgent({
    bodyTimeout: stallMs,
    headersTimeout: stallMs,
    connect: { timeout: stallMs },
    httpProxy: env.http_proxy || env.HTTP_PROXY || '',
    httpsProxy: env.https_proxy || env.HTTPS_PROXY || '',
    noProxy: env.no_proxy || env.NO_PROXY || '',
  });
  try {
    const resumed = (await sizeOf(part)) > 0;
    await receiveWhole(part, source, agent, options);
    const wrong = await difference(part, source);
    if (wrong !== undefined) {
      await rm(part, { force: true });
      if (!resumed) throw new Error(`cannot download ${source.url}: ${wrong}`);
      options.log(`${source.url}: ${wrong}; from the beginning`);
      return await download(path, source, options);
    }
    await rename(part, path);
  } finally {
    await agent.destroy();
  }
}

/** Asks again until `part` is as long as it has to be. */
async function receiveWhole(
  part: string,
  source: Source,
  agent: Dispatcher,
  options: DownloadOptions,
): Promise<void> {
  const { log, signal, waitMs = 1000 } = options;
  let failures = 0;
  for (;;) {
    signal?.throwIfAborted();
    const before = await sizeOf(part);
    try {
      return await receive(part, source, agent, options);
    } catch (error) {
      signal?.throwIfAborted();
      const why = explain(error);
      if (error instanceof Refused) {
        throw new Error(`cannot download ${source.url}: ${why}`, { cause: error });
      }
      failures = (await sizeOf(part)) > before ? 1 : failures + 1;
      if (failures === patience) {
        const kept = before > 0 ? '; what has arrived is kept for the next call' : '';
        throw new Error(
          `cannot download ${source.url}: ${why}, ${patience} times in a row${kept}`,
          {
            cause: error,
          },
        );
      }
      log(`${source.url}: ${why}; asking again`);
      // What an abort throws is the signal's reason, at the next turn.
      await wait(waitMs * 2 ** (failures - 1), undefined, signal && { signal }).catch(() => {});
    }
  }
}

/** Asks once, for what `part` lacks. */
async function receive(
  part: string,
  { url, bytes }: Source,
  agent: Dispatcher,
  { log, onProgress, signal }: DownloadOptions,
): Promise<void> {
  const have = await sizeOf(part);
  if (have > 0 && have === bytes) return;
  const { fetch } = await import('undici');
  const response = await fetch(url, {
    dispatcher: agent,
    headers: { 'accept-encoding': 'identity', ...(have > 0 && { range: `bytes=${have}-` }) },
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
  const message = `the server answers ${status}`;
  throw status === 408 || status === 429 || status >= 500
    ? new Error(message)
    : new Refused(message);
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

const sizeText = (bytes: number) =>
  bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

const failures: Readonly<Record<string, string>> = {
  UND_ERR_BODY_TIMEOUT: 'the server sends nothing any more',
  UND_ERR_HEADERS_TIMEOUT: 'the server does not answer',
  UND_ERR_CONNECT_TIMEOUT: 'the server does not answer',
  UND_ERR_SOCKET: 'the connection was cut',
  ECONNRESET: 'the connection was cut',
  ECONNREFUSED: 'the connection was refused',
  ENOTFOUND: 'there is no such host, or no network',
  EAI_AGAIN: 'there is no such host, or no network',
};

function explain(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  const { code = '' } = (cause ?? error) as NodeJS.ErrnoException;
  return failures[code] ?? reason(cause instanceof Error ? cause : error);
}
