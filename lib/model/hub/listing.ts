import type { Source } from '../../data/download.ts';
import {
  patiently,
  Refused,
  type ServerOptions,
  statusError,
  withAgent,
} from '../../data/server.ts';
import { isCommit } from './cache.ts';

/** What the Hub has of a model. */
export interface Listing {
  commit: string;
  files: Map<string, Required<Source>>;
}

/** Where a model is to be asked for, and as whom. */
export interface Origin {
  /** https://huggingface.co, or what HF_ENDPOINT says. */
  endpoint: string;
  id: string;
  /** Branch, tag or commit. */
  revision: string;
  headers: Readonly<Record<string, string>>;
}

/** A listing above is none. */
const largest = 50e6;

/**
 * The files of a model, with their lengths and hashes, and the commit they are of.
 *
 * @throws Error, in one sentence; its cause is Refused where the server was reached and says no
 */
export async function listFiles(origin: Origin, options: ServerOptions): Promise<Listing> {
  const { endpoint, id, revision } = origin;
  const url = `${endpoint}/api/models/${id}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const asked = { url, patience: 3, progress: async () => 0 };
  return withAgent(options, (agent) =>
    patiently(asked, options, async () => {
      const { fetch } = await import('undici');
      const { signal } = options;
      const { headers } = origin;
      const response = await fetch(url, { dispatcher: agent, headers, ...(signal && { signal }) });
      if (response.status !== 200) {
        await response.body?.cancel().catch(() => {});
        throw statusError(response.status);
      }
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      for await (const chunk of response.body ?? []) {
        bytes += chunk.length;
        if (bytes > largest) throw new Refused(notListing);
        chunks.push(chunk);
      }
      return parse(Buffer.concat(chunks).toString(), origin);
    }),
  );
}

const notListing = 'that is no listing of a model: check HF_ENDPOINT';

function parse(text: string, { endpoint, id, headers }: Origin): Listing {
  const { sha, siblings } = parsed(text);
  if (typeof sha !== 'string' || !isCommit(sha) || !Array.isArray(siblings)) {
    throw new Refused(notListing);
  }
  const files: Listing['files'] = new Map();
  for (const { rfilename: name, size, blobId, lfs } of siblings as Sibling[]) {
    // Large files go by SHA-256, the others by what git calls them.
    const hash = lfs?.sha256 ?? blobId;
    const bytes = lfs?.size ?? size;
    if (typeof name !== 'string' || !isHash(hash) || !isSize(bytes)) continue;
    const url = `${endpoint}/${id}/resolve/${sha}/${encodeURIComponent(name)}`;
    files.set(name, { url, hash, bytes, headers });
  }
  return { commit: sha, files };
}

function parsed(text: string): { sha?: unknown; siblings?: unknown } {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    throw new Refused(notListing);
  }
}

interface Sibling {
  rfilename?: unknown;
  size?: unknown;
  blobId?: unknown;
  lfs?: { sha256?: unknown; size?: unknown } | null;
}

const isHash = (hash: unknown): hash is string =>
  typeof hash === 'string' && /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(hash);

const isSize = (bytes: unknown): bytes is number =>
  Number.isSafeInteger(bytes) && Number(bytes) >= 0;
