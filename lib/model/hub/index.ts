import { stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { check, checkKeys, checkText } from '../../check.ts';
import { download, sizeText } from '../../data/download.ts';
import { makeDirectory } from '../../data/files.ts';
import { isOffline, Refused, type ServerOptions } from '../../data/server.ts';
import { hasTokenizer, tokenizerFiles } from '../../data/tokenizer/directory.ts';
import { lock } from '../../lock.ts';
import { isModule } from '../modules.ts';
import { findWeights, shardsOf, weightNames } from '../weight_files.ts';
import { CachedModel, isCommit, isFile, tokenOf } from './cache.ts';
import { type Listing, listFiles, type Origin } from './listing.ts';

export interface FindOptions extends Partial<ServerOptions> {
  /** Branch, tag or commit, where the name has none. */
  revision?: string | undefined;
  /** Called while bytes arrive. */
  onDownload?: (done: number, total: number) => void;
}

/** A model on this machine. */
export interface FoundModel {
  directory: string;
  /** What was asked for; of the Hub's with the commit: `owner/name@<40 hexadecimal digits>`. */
  name: string;
}

const optionKeys = ['revision', 'onDownload', 'env', 'log', 'signal', 'stallMs', 'waitMs'];

/**
 * A model by its directory, or, where there is none, by its name on the Hugging Face Hub: `owner/name`,
 * or `owner/name@revision` with a branch, a tag or a commit; `main` where none is named.
 *
 * The Hub's lies in the cache that Python's huggingface_hub shares. What is not there yet is downloaded:
 * config, tokenizer and weights, safetensors where there are, each compared with its hash; what an
 * earlier call has begun is gone on with. `HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN`, `HF_ENDPOINT`,
 * `HF_HUB_OFFLINE` and the variables of proxies mean what they mean there. A commit that is in the
 * cache is asked of nobody; of a branch the cached one is taken where the Hub is out of reach.
 *
 * @param options `log` is told before anything is downloaded; without it Node warns of it
 * @throws Error, in one sentence, where the model or the Hub is not there, and on a file that is not what
 *   it should be; the signal's reason when it is aborted
 *
 * @example
 * const { directory } = await findModel('Salesforce/codet5p-220m', { log: console.error });
 */
export async function findModel(name: string, options: FindOptions = {}): Promise<FoundModel> {
  checkText('name', name, 'a directory, or owner/name');
  checkKeys('findModel', options, optionKeys);
  const [, id, revision = options.revision ?? 'main'] = hubName.exec(name) ?? [];
  const isThere = await stat(name).catch(() => undefined);
  if (isThere || id === undefined || /\.\.|--/.test(id)) {
    const none = options.revision === undefined;
    check('revision', options.revision, none, `none, as ${name} is no name on the Hub`);
    return { directory: name, name };
  }
  check('revision', revision, isRevision(revision), 'a branch, a tag or a commit');
  const { env = process.env, log = warn } = options;
  const search = new Search(id, revision, { ...options, env, log });
  const commit = await search.run();
  return { directory: search.cached.snapshot(commit), name: `${id}@${commit}` };
}

const hubName = /^(\w[\w.-]{0,95}\/\w[\w.-]{0,95})(?:@(.*))?$/;
const isRevision = (text: string) =>
  /^\w[\w./+-]{0,199}$/.test(text) && !/\.\.|\/\/|\/$|\.lock$/.test(text);

const warn = (line: string) => process.emitWarning(line, 'DeceDownload');

class Search {
  readonly cached: CachedModel;
  readonly #id: string;
  readonly #revision: string;
  readonly #options: ServerOptions & FindOptions;
  readonly #endpoint: string;

  constructor(id: string, revision: string, options: ServerOptions & FindOptions) {
    const { env } = options;
    this.#id = id;
    this.#revision = revision;
    this.#options = options;
    this.cached = new CachedModel(env, id);
    this.#endpoint = (env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, '');
    if (this.#endpoint.includes('@')) {
      throw new RangeError(
        'HF_ENDPOINT holds a name or password: expected an address without, as messages show it',
      );
    }
    const ok = /^https?:/.test(this.#endpoint) && URL.canParse(this.#endpoint);
    check('HF_ENDPOINT', this.#endpoint, ok, 'an address such as https://huggingface.co');
  }

  /** The commit whose snapshot has everything. */
  async run(): Promise<string> {
    const { env } = this.#options;
    if (isOffline(env)) return this.#fromCache('HF_HUB_OFFLINE is set');
    if (isCommit(this.#revision) && (await this.#isComplete(this.#revision))) return this.#revision;
    const token = await tokenOf(env);
    const listing = await this.#list({
      endpoint: this.#endpoint,
      id: this.#id,
      revision: this.#revision,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    });
    if (typeof listing === 'string') return listing;
    if (isCommit(this.#revision) && listing.commit !== this.#revision) {
      throw new Error(
        `${this.#endpoint} answers with the commit ${listing.commit} of ${this.#id}: expected ${this.#revision}, which was asked for`,
      );
    }
    await this.#fetch(listing, this.#firstFiles(listing));
    await this.#fetch(listing, await this.#shards(listing));
    await this.cached.remember(this.#revision, listing.commit);
    return listing.commit;
  }

  async #isComplete(commit: string): Promise<boolean> {
    const directory = this.cached.snapshot(commit);
    const weights = await findWeights(directory).catch(() => undefined);
    const hasConfig = await this.cached.has(commit, 'config.json');
    return weights !== undefined && hasConfig && (await hasTokenizer(directory));
  }

  async #fromCache(why: string): Promise<string> {
    const commit = await this.cached.commitOf(this.#revision);
    if (commit !== undefined && (await this.cached.has(commit, 'config.json'))) return commit;
    throw new Error(
      `there is no directory ${this.#id}, and no model of that name and revision ${this.#revision} in ${this.cached.directory}: ${why}`,
    );
  }

  /** What there is, or the commit in the cache where nobody can be asked. */
  async #list(origin: Origin): Promise<Listing | string> {
    const { log, signal } = this.#options;
    try {
      return await listFiles(origin, this.#options);
    } catch (error) {
      signal?.throwIfAborted();
      const { message, cause } = error as Error;
      // What the server says no to is not taken from the cache.
      if (cause instanceof Refused) throw this.#refused(error as Error);
      const commit = await this.#fromCache(message);
      log(`${message}; taking ${this.#id} as it is in the cache, ${commit.slice(0, 7)}`);
      return commit;
    }
  }

  #refused(error: Error): Error {
    const { status } = error.cause as Refused;
    const what = `there is no directory ${this.#id}, and ${this.#endpoint}`;
    if (status === 401 || status === 403) {
      return new Error(
        `${what} answers ${status} for the model ${this.#id}: it is not there, or HF_TOKEN has to be a token that may read it`,
        { cause: error },
      );
    }
    if (status !== 404) return error;
    return new Error(`${what} has no model ${this.#id} with the revision ${this.#revision}`, {
      cause: error,
    });
  }

  /** All but the shards of an index. */
  #firstFiles({ files }: Listing): string[] {
    const weights = weightNames.find((name) => files.has(name));
    if (weights === undefined || !files.has('config.json')) {
      const lacks = weights === undefined ? weightNames.join(', nor ') : 'config.json';
      throw new Error(`the model ${this.#id} on ${this.#endpoint} has no ${lacks}`);
    }
    const wanted = ['config.json', 'generation_config.json', ...tokenizerFiles, weights];
    return [...wanted.filter((name) => files.has(name)), ...[...files.keys()].filter(isModule)];
  }

  async #shards({ commit, files }: Listing): Promise<string[]> {
    const index = weightNames.find((name) => files.has(name))!;
    if (!index.endsWith('.json')) return [];
    const shards = [...(await shardsOf(join(this.cached.snapshot(commit), index))).keys()];
    const lacking = shards.find((name) => !files.has(name));
    if (lacking === undefined) return shards;
    throw new Error(
      `the model ${this.#id} on ${this.#endpoint} has no ${lacking}, which its ${index} names`,
    );
  }

  /** Brings files into the snapshot. */
  async #fetch({ commit, files }: Listing, names: string[]): Promise<void> {
    const missing: string[] = [];
    for (const name of names) if (!(await this.cached.has(commit, name))) missing.push(name);
    if (missing.length === 0) return;
    const unlock = await this.#lock();
    try {
      const toLoad: string[] = [];
      for (const name of missing) {
        if (!(await isFile(this.cached.blob(files.get(name)!.hash)))) toLoad.push(name);
      }
      if (toLoad.length > 0) await this.#load(files, toLoad);
      for (const name of missing) await this.cached.link(commit, name, files.get(name)!.hash);
    } finally {
      await unlock();
    }
  }

  async #load(files: Listing['files'], names: string[]): Promise<void> {
    const { onDownload } = this.#options;
    const total = names.reduce((sum, name) => sum + files.get(name)!.bytes, 0);
    const blobs = this.cached.blob('');
    await makeDirectory(blobs);
    const { bavail, bsize } = await statfs(blobs);
    if (bavail * bsize < total) {
      throw new Error(
        `${blobs} has ${sizeText(bavail * bsize)} left, and ${this.#id} takes ${sizeText(total)}: make room, or set HF_HOME to another place`,
      );
    }
    let before = 0;
    for (const name of names) {
      const file = files.get(name)!;
      const onProgress = (done: number) => onDownload?.(before + done, total);
      await this.#loadFile(file, onProgress);
      before += file.bytes;
    }
  }

  async #loadFile(file: Parameters<typeof download>[1], onProgress: (done: number) => void) {
    const path = this.cached.blob(file.hash);
    try {
      await download(path, file, { ...this.#options, onProgress });
    } catch (error) {
      const { message, cause } = error as Error;
      const denied = cause instanceof Refused && [401, 403].includes(cause.status ?? 0);
      if (!denied) throw error;
      throw new Error(`${message}: HF_TOKEN has to be a token that may read ${this.#id}`, {
        cause,
      });
    }
  }

  /** One process downloads a model at a time; the others wait and find it there. */
  async #lock(): Promise<() => Promise<void>> {
    const { log, signal } = this.#options;
    await makeDirectory(this.cached.locks);
    for (let told = false; ; told = true) {
      signal?.throwIfAborted();
      try {
        return await lock(this.cached.locks);
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        if (code !== 'LOCKED') throw error;
        if (!told) log(`waiting: ${message}`);
        await sleep(200);
      }
    }
  }
}
