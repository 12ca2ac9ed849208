import { check, checkKeys } from '../check.ts';

export interface BpeOptions {
  /** Tokens in all: special ones, the 256 bytes, and merges. Fewer where the texts run out of pairs. */
  vocabularySize: number;
  /** Ids from 0; the first three are padding, end of text and unknown. */
  specialTokens?: readonly [pad: string, eos: string, unk: string, ...others: string[]];
  /** A pair seen less often is not merged. Default 2. */
  minFrequency?: number;
}

/** What a tokenizer.json holds, as Hugging Face's tokenizers write it. */
export interface TokenizerJson {
  version: string;
  model: { type: string; vocab: Record<string, number>; merges: [string, string][] };
  [part: string]: unknown;
}

/**
 * Trains a byte-level BPE as GPT-2's: text is cut into words, numbers, punctuation and white space,
 * then the commonest pair of neighbouring tokens inside a piece becomes a token, again and again. No
 * text is unknown, and decoding gives back the text. Every encoded text ends in the end token.
 *
 * Of pairs that are equally common the one with the smaller ids is taken, so that the same texts, in
 * any order, give the same tokenizer.
 *
 * @throws RangeError on a vocabulary too small for the bytes and the special tokens
 * @see Sennrich et al., 2016, https://arxiv.org/abs/1508.07909; Radford et al., 2019 (byte level)
 *
 * @example
 * const tokenizer = Tokenizer.fromJson(trainBpe(texts, { vocabularySize: 2000 }));
 */
export function trainBpe(texts: Iterable<string>, options: BpeOptions): TokenizerJson {
  checkKeys('trainBpe', options, ['vocabularySize', 'specialTokens', 'minFrequency']);
  const {
    vocabularySize,
    specialTokens = ['<pad>', '</s>', '<unk>'] as const,
    minFrequency = 2,
  } = options;
  const least = specialTokens.length + 256;
  check(
    'vocabularySize',
    vocabularySize,
    Number.isInteger(vocabularySize) && vocabularySize >= least && vocabularySize <= 0x100000,
    `a whole number from ${least} (the bytes and special tokens) to ${0x100000}`,
  );
  check('minFrequency', minFrequency, minFrequency >= 1, 'at least 1');

  const tokens = [...specialTokens, ...[...byteSymbols].sort()];
  const pieces = countPieces(texts, new Map(tokens.map((token, id) => [token, id])));
  const merges: [string, string][] = [];
  const pairs = countPairs(pieces);
  while (tokens.length < vocabularySize) {
    const best = commonest(pairs, minFrequency);
    if (best === undefined) break;
    const [left, right] = [Math.floor(best / pairBase), best % pairBase];
    merge(pairs, left, right, tokens.length);
    merges.push([tokens[left]!, tokens[right]!]);
    tokens.push(tokens[left]! + tokens[right]!);
  }
  return tokenizerJson(tokens, merges, specialTokens);
}

/** GPT-2's symbol for each byte: itself where it prints, else a letter from U+0100 on. */
const byteSymbols: readonly string[] = (() => {
  const printable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(printable(byte) ? byte : next++),
  );
})();

/** GPT-2's cut into pieces. A space goes with the word after it. */
const piecesOf = /'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** A distinct piece of text: its tokens so far, and how often it occurs. */
interface Piece {
  ids: number[];
  count: number;
}

function countPieces(texts: Iterable<string>, idOf: Map<string, number>): Piece[] {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const [piece] of text.matchAll(piecesOf)) counts.set(piece, (counts.get(piece) ?? 0) + 1);
  }
  return [...counts].map(([piece, count]) => ({
    ids: [...Buffer.from(piece)].map((byte) => idOf.get(byteSymbols[byte]!)!),
    count,
  }));
}

/** A pair as one number, left · pairBase + right, so that maps of pairs are fast. */
const pairBase = 0x100000;

interface Pair {
  count: number;
  /** Where it occurs, or once did. */
  pieces: Set<Piece>;
}

function countPairs(pieces: readonly Piece[]): Map<number, Pair> {
  const pairs = new Map<number, Pair>();
  for (const piece of pieces) change(pairs, piece, 1);
  return pairs;
}

/** Counts the pairs of a piece in (`sign` 1) or out (−1). */
function change(pairs: Map<number, Pair>, piece: Piece, sign: number): void {
  const { ids, count } = piece;
  for (let i = 1; i < ids.length; i++) {
    const key = ids[i - 1]! * pairBase + ids[i]!;
    const pair = pairs.get(key) ?? { count: 0, pieces: new Set() };
    pair.count += sign * count;
    pair.pieces.add(piece);
    pairs.set(key, pair);
  }
}

function commonest(pairs: Map<number, Pair>, minFrequency: number): number | undefined {
  let best: number | undefined;
  let most = minFrequency;
  for (const [key, { count }] of pairs) {
    if (count > most || (count === most && (best === undefined || key < best))) {
      best = key;
      most = count;
    }
  }
  return best;
}

function merge(pairs: Map<number, Pair>, left: number, right: number, id: number): void {
  const key = left * pairBase + right;
  for (const piece of pairs.get(key)!.pieces) {
    change(pairs, piece, -1);
    const { ids } = piece;
    const merged: number[] = [];
    for (let i = 0; i < ids.length; i++) {
      const found = ids[i] === left && ids[i + 1] === right;
      merged.push(found ? id : ids[i]!);
      if (found) i++;
    }
    piece.ids = merged;
    change(pairs, piece, 1);
  }
  pairs.delete(key);
}

function tokenizerJson(
  tokens: readonly string[],
  merges: [string, string][],
  special: readonly string[],
): TokenizerJson {
  const eos = special[1]!;
  const sequence = (id: string) => ({ Sequence: { id, type_id: 0 } });
  const end = { SpecialToken: { id: eos, type_id: 0 } };
  const byteLevel = {
    type: 'ByteLevel',
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: true,
  };
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
    pre_tokenizer: byteLevel,
    post_processor: {
      type: 'TemplateProcessing',
      single: [sequence('A'), end],
      pair: [sequence('A'), end, sequence('B'), end],
      special_tokens: { [eos]: { id: eos, ids: [1], tokens: [eos] } },
    },
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  } as TokenizerJson;
}
