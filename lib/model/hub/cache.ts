import { copyFile, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { makeDirectory, writeWhole } from '../../data/files.ts';

/** `HF_HOME`, else where Python's huggingface_hub has it. */
const home = (env: NodeJS.ProcessEnv) =>
  resolve(env.HF_HOME || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface'));

/** The directory of the cache that Python's huggingface_hub shares. */
export const cacheDirectory = (env: NodeJS.ProcessEnv) =>
  resolve(env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || join(home(env), 'hub'));

/**
 * The token of the environment, else the one that `hf auth login` has left.
 *
 * @throws Error, which does not show it, where it cannot be part of a request
 */
export async function tokenOf(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const variable = ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN'].find((name) => env[name]);
  const path = env.HF_TOKEN_PATH || join(home(env), 'token');
  const text = variable ? env[variable]! : await readFile(path, 'utf8').catch(() => '');
  const token = text.replace(/\s/g, '');
  if (/^[\x21-\x7e]*$/.test(token)) return token || undefined;
  throw new Error(
    `${variable ?? path} holds characters that no token has: expected the token of the Hub alone, such as hf_...`,
  );
}

export const isCommit = (text: string) => /^[0-9a-f]{40}$/.test(text);

/**
 * A model's part of the cache, laid out as huggingface_hub does: `blobs/` by hash, `snapshots/` by
 * commit with links to them, `refs/` from branches and tags to commits.
 */
export class CachedModel {
  readonly directory: string;
  /** Where a lock may lie. */
  readonly locks: string;

  constructor(env: NodeJS.ProcessEnv, id: string) {
    const folder = `models--${id.replaceAll('/', '--')}`;
    this.directory = join(cacheDirectory(env), folder);
    this.locks = join(cacheDirectory(env), '.locks', folder);
  }

  snapshot(commit: string): string {
    return join(this.directory, 'snapshots', commit);
  }

  blob(hash: string): string {
    return join(this.directory, 'blobs', hash);
  }

  /** The commit that a revision meant when it was last downloaded. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision;
    const path = join(this.directory, 'refs', revision);
    const commit = (await readFile(path, 'utf8').catch(() => '')).trim();
    return isCommit(commit) ? commit : undefined;
  }

  /** Gives a blob its name in a snapshot. */
  async link(commit: string, file: string, hash: string): Promise<void> {
    const path = join(this.snapshot(commit), file);
    await makeDirectory(dirname(path));
    const fresh = `${path}.${process.pid}.tmp`;
    await rm(fresh, { force: true });
    try {
      await symlink(relative(dirname(path), this.blob(hash)), fresh);
    } catch {
      await copyFile(this.blob(hash), fresh); // file systems without links
    }
    await rename(fresh, path);
  }

  async remember(revision: string, commit: string): Promise<void> {
    if (isCommit(revision) || (await this.commitOf(revision)) === commit) return;
    const path = join(this.directory, 'refs', revision);
    await makeDirectory(dirname(path));
    await writeWhole(path, commit);
  }

  async has(commit: string, file: string): Promise<boolean> {
    return isFile(join(this.snapshot(commit), file));
  }
}

export const isFile = (path: string) =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
