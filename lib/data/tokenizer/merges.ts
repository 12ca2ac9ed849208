import { check } from '../../check.ts';
import { pairBase, Queue } from '../bpe.ts';
import type { Part } from './part.ts';

const longestKept = 256;
const mostKept = 2 ** 16;

/**
 * The ids of a word by byte pair encoding: the `model` of a tokenizer.json. A word's ids are kept, as
 * most words come again.
 */
export class Merges {
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly #rankOf = new Map<number, number>();
  /** By rank: the id of what is merged. */
  readonly #merged: number[] = [];
  readonly #bytes: readonly number[] | undefined;
  readonly #unknown: number | undefined;
  readonly #fuse: boolean;
  readonly #whole: boolean;
  readonly #prefix: string;
  readonly #suffix: string;
  readonly #kept = new Map<string, readonly number[]>();

  constructor(model: Part) {
    const { vocab, merges } = model;
    check('model.vocab', vocab, isObject(vocab), 'ids by token');
    check('model.merges', merges, Array.isArray(merges), 'a list of merges');
    this.vocabulary = new Map(Object.entries(vocab as Record<string, number>));
    for (const [token, id] of this.vocabulary) {
      const what = `model.vocab[${JSON.stringify(token)}]`;
      if (!isId(id)) check(what, id, false, 'an id, 0..2147483647');
    }
    const text = (value: unknown) => (value ?? '') as string;
    this.#prefix = text(model.continuing_subword_prefix);
    this.#suffix = text(model.end_of_word_suffix);
    this.#fuse = model.fuse_unk === true;
    this.#whole = model.ignore_merges === true;
    this.#unknown = this.#idOfUnknown(model.unk_token);
    this.#bytes = model.byte_fallback === true ? this.#idsOfBytes() : undefined;
    check('model.dropout', model.dropout, !model.dropout, 'none, as encoding is not random');
    for (const [rank, merge] of (merges as unknown[]).entries()) this.#learn(merge, rank);
  }

  /** @param spell gives the word in letters of the vocabulary, where it has not been met before */
  encode(word: string, spell: (word: string) => string): readonly number[] {
    const kept = this.#kept.get(word);
    if (kept !== undefined) return kept;
    const spelt = spell(word);
    const whole = this.#whole ? this.vocabulary.get(spelt) : undefined;
    const ids = whole === undefined ? this.#merge(this.#letters(spelt)) : [whole];
    if (word.length < longestKept) {
      if (this.#kept.size >= mostKept) this.#kept.clear();
      this.#kept.set(word, ids);
    }
    return ids;
  }

  /**
   * Whether text may be cut before each run of `mark`: true where no merge goes on beyond one, so that
   * the ids are the same. Llama's tokenizers cut nothing themselves.
   */
  keepsApart(mark: string, merges: readonly unknown[]): boolean {
    if (this.#whole || this.#prefix || this.#suffix || !this.vocabulary.has(mark)) return false;
    return merges.every((merge) => {
      const [left, right] = pairOf(merge)!;
      return left!.endsWith(mark) || !right!.startsWith(mark);
    });
  }

  #idOfUnknown(token: unknown): number | undefined {
    if (token === null || token === undefined) return undefined;
    const id = this.vocabulary.get(token as string);
    check('model.unk_token', token, id !== undefined, 'a token of the vocabulary');
    return id;
  }

  #idsOfBytes(): number[] {
    return Array.from({ length: 256 }, (_, byte) => {
      const name = `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
      return this.vocabulary.get(name) ?? -1;
    });
  }

  #learn(merge: unknown, rank: number): void {
    const pair = pairOf(merge);
    const where = `model.merges[${rank}]`;
    check(where, merge, pair !== undefined, 'two tokens');
    const [left, right] = pair!;
    const ids = [left!, right!, left! + right!.slice(this.#prefix.length)].map((token) => {
      const id = this.vocabulary.get(token);
      if (id === undefined) {
        throw new RangeError(
          `${where} is ${JSON.stringify(pair!.join(' '))}: the vocabulary has no ${JSON.stringify(token)}`,
        );
      }
      return id;
    });
    this.#rankOf.set(ids[0]! * pairBase + ids[1]!, rank);
    this.#merged.push(ids[2]!);
  }

  /** The ids that merging begins with: of each letter, else of its bytes, else of what is unknown. */
  #letters(word: string): number[] {
    const ids: number[] = [];
    const letters = Array.from(word);
    let unknown: number | undefined;
    const flush = () => {
      if (unknown !== undefined) ids.push(unknown);
      unknown = undefined;
    };
    for (const [i, letter] of letters.entries()) {
      const name =
        (i > 0 ? this.#prefix : '') + letter + (i === letters.length - 1 ? this.#suffix : '');
      const id = this.vocabulary.get(name);
      const bytes = id === undefined ? this.#bytesOf(name) : undefined;
      if (id !== undefined) {
        flush();
        ids.push(id);
      } else if (bytes !== undefined) {
        ids.push(...bytes);
      } else {
        if (!this.#fuse) flush();
        unknown = this.#unknown;
      }
    }
    flush();
    return ids;
  }

  #bytesOf(letter: string): number[] | undefined {
    if (this.#bytes === undefined) return undefined;
    const ids = Array.from(Buffer.from(letter), (byte) => this.#bytes![byte]!);
    return ids.includes(-1) ? undefined : ids;
  }

  /** Merges the pair of the lowest rank, and of two as low the one further left, while there is one. */
  #merge(ids: number[]): number[] {
    const next = ids.map((_, at) => at + 1);
    const previous = ids.map((_, at) => at - 1);
    const queue = new Queue();
    const rankAt = (at: number) => this.#rankOf.get(ids[at]! * pairBase + ids[next[at]!]!);
    const offer = (at: number) => {
      const rank = next[at]! < ids.length ? rankAt(at) : undefined;
      if (rank !== undefined) queue.push({ key: at, count: -rank });
    };
    for (const at of ids.keys()) offer(at);
    for (let entry = queue.pop(); entry !== undefined; entry = queue.pop()) {
      const at = entry.key;
      const right = next[at]!;
      const rank = ids[at]! < 0 || right >= ids.length ? undefined : rankAt(at);
      // What stood here may have been merged since it was queued.
      if (rank === undefined || this.#merged[rank] !== this.#merged[-entry.count]) continue;
      ids[at] = this.#merged[rank]!;
      ids[right] = gone;
      next[at] = next[right]!;
      if (next[at]! < ids.length) previous[next[at]!] = at;
      if (previous[at]! >= 0) offer(previous[at]!);
      offer(at);
    }
    return ids.filter((id) => id !== gone);
  }
}

const gone = -1;

/** Whether a value may be the id of a token. */
export const isId = (id: unknown) =>
  Number.isInteger(id) && (id as number) >= 0 && (id as number) < 2 ** 31;

const isObject = (value: unknown) =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A merge as it is written now, a pair, or as it was, with a space between. */
export function pairOf(merge: unknown): readonly string[] | undefined {
  const pair = typeof merge === 'string' ? merge.split(' ') : merge;
  return Array.isArray(pair) && pair.length === 2 ? pair : undefined;
}
