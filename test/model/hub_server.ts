import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** As the Hub has it: large files by SHA-256, the others by what git calls them. */
export function hashesOf(content: Buffer): { blobId: string; sha256: string } {
  const git = createHash('sha1').update(`blob ${content.length}\0`).update(content);
  return { blobId: git.digest('hex'), sha256: createHash('sha256').update(content).digest('hex') };
}

/**
 * A server that answers as the Hub does, with one model. `answers` are taken first, one for each
 * request; large files lie on another host.
 */
export class HubServer {
  readonly files = new Map<string, Buffer>();
  commit = 'a'.repeat(40);
  answers: (Answer | undefined)[] = [];
  /** What was asked for: path, range and token, in order. */
  asked: { host: 'hub' | 'cdn'; path: string; range?: string; token?: string }[] = [];
  #hub: Server;
  #cdn: Server;

  constructor() {
    this.#hub = createServer((request, response) => this.#answer('hub', request, response));
    this.#cdn = createServer((request, response) => this.#answer('cdn', request, response));
  }

  async open(): Promise<void> {
    for (const server of [this.#hub, this.#cdn]) {
      await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    }
  }

  close(): void {
    for (const server of [this.#hub, this.#cdn]) {
      server.closeAllConnections();
      server.close();
    }
  }

  get endpoint(): string {
    return origin(this.#hub);
  }

  #answer(host: 'hub' | 'cdn', request: IncomingMessage, response: ServerResponse): void {
    const { url: path = '', headers } = request;
    const { range, authorization: token } = headers;
    this.asked.push({ host, path, ...(range && { range }), ...(token && { token }) });
    const answer = this.answers.shift();
    if (answer !== undefined) {
      answer(request, response);
      return;
    }
    if (path.startsWith('/api/')) {
      this.list(response);
      return;
    }
    const name = decodeURIComponent(path.split('/').at(-1)!);
    const content = this.files.get(name);
    if (content === undefined) {
      response.writeHead(404).end();
      return;
    }
    if (host === 'hub' && isLarge(name)) {
      const etag = { 'x-linked-etag': `"${hashesOf(content).sha256}"` };
      const location = `${origin(this.#cdn)}/${name}`;
      response.writeHead(302, { ...etag, location }).end('Found');
      return;
    }
    const start = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
    const rest = content.subarray(start);
    const part = { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` };
    const length = { 'content-length': rest.length };
    response.writeHead(start > 0 ? 206 : 200, { ...length, ...(start > 0 && part) }).end(rest);
  }

  /** The listing, with what `change` makes of each file. */
  list(response: ServerResponse, change: (sibling: Sibling) => Sibling = (same) => same): void {
    const siblings = [...this.files].map(([rfilename, content]) => {
      const { blobId, sha256 } = hashesOf(content);
      const size = content.length;
      return change({
        rfilename,
        size,
        blobId,
        ...(isLarge(rfilename) && { lfs: { sha256, size, pointerSize: 135 } }),
      });
    });
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ id: 'owner/tiny', sha: this.commit, siblings }));
  }
}

export interface Sibling {
  rfilename: string;
  size: number;
  blobId: string;
  lfs?: { sha256: string; size: number; pointerSize: number };
}

const isLarge = (name: string) => /\.(safetensors|bin)$/.test(name);

const origin = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
