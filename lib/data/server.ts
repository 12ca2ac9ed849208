import { setTimeout as wait } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import { reason } from './files.ts';

/** How servers are asked. */
export interface ServerOptions {
  /** HF_HUB_OFFLINE forbids, http_proxy, https_proxy and no_proxy lead elsewhere. */
  env: NodeJS.ProcessEnv;
  /** Told, before the first byte is taken, what, from where and how much; later why it begins again. */
  log: (line: string) => void;
  signal?: AbortSignal;
  /** A server that sends nothing for so long is given up. Default 30 s. */
  stallMs?: number;
  /** Before it is asked again; doubles each time. Default 1 s. */
  waitMs?: number;
}

/** What asking again will not mend. */
export class Refused extends Error {
  readonly status: number | undefined;
  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

/** For a status that is no success: one that may pass is asked again. */
export function statusError(status: number): Error {
  const message = `the server answers ${status}`;
  const passes = status === 408 || status === 429 || status >= 500;
  return passes ? new Error(message) : new Refused(message, status);
}

/** Whether the environment forbids to ask a server. */
export const isOffline = (env: NodeJS.ProcessEnv) =>
  [env.HF_HUB_OFFLINE, env.TRANSFORMERS_OFFLINE].some((value) =>
    /^(1|on|yes|true)$/i.test(value ?? ''),
  );

/** Calls `use` with what leads requests through the proxies of the environment. */
export async function withAgent<Result>(
  { env, stallMs = 30_000 }: ServerOptions,
  use: (agent: Dispatcher) => Promise<Result>,
): Promise<Result> {
  const { EnvHttpProxyAgent } = await import('undici');
  const agent = new EnvHttpProxyAgent({
    bodyTimeout: stallMs,
    headersTimeout: stallMs,
    connect: { timeout: stallMs },
    httpProxy: env.http_proxy || env.HTTP_PROXY || '',
    httpsProxy: env.https_proxy || env.HTTPS_PROXY || '',
    noProxy: env.no_proxy || env.NO_PROXY || '',
  });
  try {
    return await use(agent);
  } finally {
    await agent.destroy();
  }
}

/** What is asked for, and how far it has come. */
export interface Asked {
  url: string;
  /** So many failures in a row without a single new byte are the end. */
  patience: number;
  progress: () => Promise<number>;
}

/**
 * Does `work` until it succeeds, with a pause after each failure that may pass.
 *
 * @throws Error, in one sentence with the address, whose cause is what failed last; the signal's reason
 *   where it is aborted
 */
export async function patiently<Result>(
  { url, patience, progress }: Asked,
  { log, signal, waitMs = 1000 }: ServerOptions,
  work: () => Promise<Result>,
): Promise<Result> {
  let failures = 0;
  for (;;) {
    signal?.throwIfAborted();
    const before = await progress();
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      const why = explain(error);
      if (error instanceof Refused) {
        throw new Error(`cannot download ${url}: ${why}`, { cause: error });
      }
      failures = (await progress()) > before ? 1 : failures + 1;
      if (failures === patience) {
        const kept = before > 0 ? '; what has arrived is kept for the next call' : '';
        throw new Error(`cannot download ${url}: ${why}, ${patience} times in a row${kept}`, {
          cause: error,
        });
      }
      log(`${url}: ${why}; asking again`);
      // What an abort throws is the signal's reason, at the next turn.
      await wait(waitMs * 2 ** (failures - 1), undefined, signal && { signal }).catch(() => {});
    }
  }
}

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
