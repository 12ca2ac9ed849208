import { check, checkKeys, show } from '../check.ts';

export interface BpeOptions {
  /** How many ids there are at most, the 3 special ones and the 256 of single bytes included. */
  vocabularySize: number;
  /**
   * A token `<s>`, id 3, before every text: what a classifier looks at. Pairs are framed as RoBERTa does.
   * Default false.
   */
  classToken?: boolean;
}

/** The content of a `tokenizer.json`. */
export type TokenizerJson = Readonly<Record<string, unknown>>;

const specialTokens = ['<pad>', '</s>', '<unk>'];

/**
 * What is never merged across: a word with the space before it, digits, signs, white space. This is
 * GPT-2's expression with `\s` spelt out, as JavaScript's own differs on U+0085 and U+FEFF.
 */
export const pieces =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\p{White_Space}\\p{L}\\p{N}]+|" +
  '\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+';

/**
 * A tokenizer learnt from texts: byte-level byte pair encoding, as the content of a `tokenizer.json`
 * that this package and Python's `tokenizers` load and encode alike.
 *
 * Ids are 0 `<pad>`, 1 `</s>`, 2 `<unk>`, then the 256 bytes, then merges, the commonest pair first and
 * of two as common the one of smaller ids: Python's trainer gives the same with `min_frequency=2`.
 * Pairs seen once are not merged, so that few texts give fewer ids than asked for. Encoding adds
 * `</s>` at the end. No text is unknown, and decoding gives the text back.
 *
 * @throws RangeError on a size below 259; TypeError on a text that is none
 * @see Sennrich et al., 2016, https://arxiv.org/abs/1508.07909
 *
 * @example
 * const tokenizer = Tokenizer.fromJson(trainBpe(texts, { vocabularySize: 1024 }));
 */
export function trainBpe(texts: Iterable<string>, options: BpeOptions): TokenizerJson {
  if (typeof texts?.[Symbol.iterator] !== 'function') {
    throw new TypeError(`texts is ${show(texts)}: expected a list of texts`);
  }
  checkKeys('trainBpe', options, ['vocabularySize', 'classToken']);
  const { vocabularySize, classToken = false } = options;
  check('classToken', classToken, typeof classToken === 'boolean', 'true or false');
  const special = classToken ? [...specialTokens, '<s>'] : specialTokens;
  const smallest = special.length + 256;
  check(
    'vocabularySize',
    vocabularySize,
    Number.isInteger(vocabularySize) && vocabularySize >= smallest && vocabularySize <= 2 ** 24,
    `a whole number, ${smallest}..16777216`,
  );
  const tokens = [...special, ...byteCharacters.toSorted()];
  const merges = learnMerges(wordsOf(texts, tokens), tokens, vocabularySize);
  return tokenizerJson(special, tokens, merges);
}

/** A piece of text as ids, and how often it occurs. Merging shortens the ids in place. */
interface Word {
  ids: number[];
  count: number;
}

function wordsOf(texts: Iterable<string>, tokens: readonly string[]): Word[] {
  const pattern = new RegExp(pieces, 'gu');
  const counts = new Map<string, number>();
  let index = 0;
  for (const text of texts) {
    if (typeof text !== 'string') {
      throw new TypeError(`texts[${index}] is ${show(text)}: expected text`);
    }
    for (const piece of text.match(pattern) ?? []) counts.set(piece, (counts.get(piece) ?? 0) + 1);
    index++;
  }
  const idOf = new Map(tokens.map((token, id) => [token, id]));
  return Array.from(counts, ([piece, count]) => ({
    ids: Array.from(Buffer.from(piece), (byte) => idOf.get(byteCharacters[byte]!)!),
    count,
  }));
}

/** Appends to `tokens` what is merged, until there are `size`, and gives the merges in their order. */
function learnMerges(words: readonly Word[], tokens: string[], size: number): [string, string][] {
  const pairs = new Pairs(words);
  const idOf = new Map(tokens.map((token, id) => [token, id]));
  const merges: [string, string][] = [];
  while (tokens.length < size) {
    const pair = pairs.commonest();
    if (pair === undefined) break;
    const [left, right] = pair;
    const token = tokens[left]! + tokens[right]!;
    // Two ways to the same text share one id.
    const id = idOf.get(token) ?? tokens.push(token) - 1;
    idOf.set(token, id);
    merges.push([tokens[left]!, tokens[right]!]);
    pairs.merge(left, right, id);
  }
  return merges;
}

interface Entry {
  key: number;
  count: number;
}

/** How often two ids stand side by side, and in which words. */
class Pairs {
  readonly #words: readonly Word[];
  readonly #counts = new Map<number, number>();
  /** By pair: the words that have it, or had it once. */
  readonly #places = new Map<number, Set<number>>();
  readonly #queue = new Queue();

  constructor(words: readonly Word[]) {
    this.#words = words;
    for (const index of words.keys()) this.#add(index);
    for (const [key, count] of this.#counts) this.#queue.push({ key, count });
  }

  /** The commonest pair; none where no pair occurs twice. */
  commonest(): [left: number, right: number] | undefined {
    for (let entry = this.#queue.pop(); entry !== undefined; entry = this.#queue.pop()) {
      const count = this.#counts.get(entry.key) ?? 0;
      if (count < 2) continue;
      if (count === entry.count) return [Math.floor(entry.key / pairBase), entry.key % pairBase];
      // An entry is not found again to be changed: it comes back with what is true now.
      if (count < entry.count) this.#queue.push({ key: entry.key, count });
    }
    return undefined;
  }

  merge(left: number, right: number, id: number): void {
    const key = left * pairBase + right;
    const grown = new Set<number>();
    for (const index of this.#places.get(key) ?? []) {
      const word = this.#words[index]!;
      for (const pair of pairsOf(word))
        this.#counts.set(pair, this.#counts.get(pair)! - word.count);
      replacePair(word.ids, left, right, id);
      for (const pair of this.#add(index)) grown.add(pair);
    }
    this.#counts.delete(key);
    this.#places.delete(key);
    for (const pair of grown) {
      if (Math.floor(pair / pairBase) !== id && pair % pairBase !== id) continue;
      this.#queue.push({ key: pair, count: this.#counts.get(pair)! });
    }
  }

  #add(index: number): number[] {
    const word = this.#words[index]!;
    const pairs = pairsOf(word);
    for (const pair of pairs) {
      this.#counts.set(pair, (this.#counts.get(pair) ?? 0) + word.count);
      const places = this.#places.get(pair);
      if (places === undefined) this.#places.set(pair, new Set([index]));
      else places.add(index);
    }
    return pairs;
  }
}

/** A pair of ids is one number, left · pairBase + right: maps of numbers are fast. */
export const pairBase = 2 ** 25;

function pairsOf({ ids }: Word): number[] {
  const pairs: number[] = [];
  for (let i = 1; i < ids.length; i++) pairs.push(ids[i - 1]! * pairBase + ids[i]!);
  return pairs;
}

function replacePair(ids: number[], left: number, right: number, id: number): void {
  let length = 0;
  for (let i = 0; i < ids.length; i++) {
    const found = ids[i] === left && ids[i + 1] === right;
    ids[length++] = found ? id : ids[i]!;
    if (found) i++;
  }
  ids.length = length;
}

/** Gives the commonest pair first, and of two as common the one of smaller ids: a binary heap. */
export class Queue {
  readonly #heap: Entry[] = [];

  push(entry: Entry): void {
    let place = this.#heap.push(entry) - 1;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!comesBefore(entry, this.#heap[parent]!)) break;
      this.#heap[place] = this.#heap[parent]!;
      place = parent;
    }
    this.#heap[place] = entry;
  }

  pop(): Entry | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let place = 0;
    for (let child = 1; child < heap.length; child = 2 * place + 1) {
      if (child + 1 < heap.length && comesBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!comesBefore(heap[child]!, last)) break;
      heap[place] = heap[child]!;
      place = child;
    }
    heap[place] = last;
    return first;
  }
}

const comesBefore = (one: Entry, other: Entry) =>
  one.count > other.count || (one.count === other.count && one.key < other.key);

/**
 * The character that stands for each byte in a vocabulary: itself where it can be seen, else the next
 * one from U+0100. GPT-2's table, which every byte-level tokenizer shares.
 */
export const byteCharacters: readonly string[] = (() => {
  const visible = (byte: number) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(visible(byte) ? byte : next++),
  );
})();

function tokenizerJson(
  special: readonly string[],
  tokens: readonly string[],
  merges: [string, string][],
): TokenizerJson {
  const [, end, , first] = special;
  const byteLevel = { type: 'ByteLevel', trim_offsets: true };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: pieces }, behavior: 'Isolated', invert: false },
        { ...byteLevel, add_prefix_space: false, use_regex: false },
      ],
    },
    post_processor: frame(end!, first),
    decoder: { ...byteLevel, add_prefix_space: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: '<unk>',
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}

/** What is put before and behind a text, and a pair of texts. */
function frame(end: string, first: string | undefined) {
  const sequence = (id: string) => ({ Sequence: { id, type_id: 0 } });
  const token = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  const before = first === undefined ? [] : [token(first)];
  const between = first === undefined ? [token(end)] : [token(end), token(end)];
  const ids = Object.entries({ [end]: 1, ...(first !== undefined && { [first]: 3 }) });
  return {
    type: 'TemplateProcessing',
    single: [...before, sequence('A'), token(end)],
    pair: [...before, sequence('A'), ...between, sequence('B'), token(end)],
    special_tokens: Object.fromEntries(
      ids.map(([id, number]) => [id, { id, ids: [number], tokens: [id] }]),
    ),
  };
}
