/** A piece of a SentencePiece model: a token, and how likely, in nats; merges go by that. */
export interface Piece {
  text: string;
  score: number;
  kind: 'normal' | 'unknown' | 'control' | 'user' | 'unused' | 'byte';
}

/** What a SentencePiece model does to a text before it is cut into pieces. */
export interface Normalization {
  /** Of the rule that replaces letters; `identity` has none. */
  name: string;
  /** Whether it has such a rule. */
  replaces: boolean;
  addsPrefix: boolean;
  removesSpaces: boolean;
}

interface SentencePieceModel {
  /** In the order of their ids. */
  pieces: Piece[];
  /** The name of the unknown one. */
  unknown: string;
  normalization: Normalization;
}

/**
 * What a tokenizer.model holds.
 *
 * @throws RangeError where the bytes are no such model; Error where it is not byte pair encoding
 * @see https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto
 */
export function piecesOf(bytes: Buffer): SentencePieceModel {
  const pieces: Piece[] = [];
  let kind = 1;
  let unknown = '<unk>';
  let normalization = normalizationOf(Buffer.alloc(0));
  for (const { field, value } of fieldsOf(bytes)) {
    if (field === 1) pieces.push(pieceOf(bytesOf(value)));
    if (field === 3) normalization = normalizationOf(bytesOf(value));
    if (field !== 2) continue;
    for (const setting of fieldsOf(bytesOf(value))) {
      if (setting.field === 3) kind = setting.value as number;
      if (setting.field === 45) unknown = bytesOf(setting.value).toString();
    }
  }
  if (pieces.length === 0) throw new RangeError('it has no pieces: expected a SentencePiece model');
  if (kind !== 2) throw new Error('it is not byte pair encoding');
  return { pieces, unknown, normalization };
}

function normalizationOf(bytes: Buffer): Normalization {
  const found = { name: '', replaces: false, addsPrefix: true, removesSpaces: true };
  for (const { field, value } of fieldsOf(bytes)) {
    if (field === 1) found.name = bytesOf(value).toString();
    if (field === 2) found.replaces = bytesOf(value).length > 0;
    if (field === 3) found.addsPrefix = value !== 0;
    if (field === 4) found.removesSpaces = value !== 0;
  }
  return found;
}

/**
 * Ids by piece, and merges: every way to put a piece together of two others, the likeliest piece
 * first, and of one piece the longest left part first.
 */
export function vocabularyOf(pieces: readonly Piece[]) {
  const vocab = new Map(pieces.map(({ text }, id) => [text, id]));
  const merges = pieces.flatMap(({ text, score }, id) => {
    // The first three are special, whatever they are called.
    const rank = id < 3 ? 0 : score;
    const letters = Array.from(text);
    const ways = letters.slice(1).flatMap((_, i) => {
      const left = letters.slice(0, i + 1).join('');
      const right = text.slice(left.length);
      return vocab.has(left) && vocab.has(right)
        ? [{ left, right, rank, lengths: [i + 1, letters.length - i - 1] as const }]
        : [];
    });
    return ways.toSorted(
      (a, b) =>
        vocab.get(a.left)! - vocab.get(b.left)! || vocab.get(a.right)! - vocab.get(b.right)!,
    );
  });
  merges.sort(
    (a, b) => b.rank - a.rank || b.lengths[0] - a.lengths[0] || b.lengths[1] - a.lengths[1],
  );
  return {
    vocab: Object.fromEntries(vocab),
    merges: merges.map(({ left, right }) => [left, right] as const),
  };
}

const kinds = ['normal', 'normal', 'unknown', 'control', 'user', 'unused', 'byte'] as const;

function pieceOf(bytes: Buffer): Piece {
  const piece: Piece = { text: '', score: 0, kind: 'normal' };
  for (const { field, value } of fieldsOf(bytes)) {
    if (field === 1) piece.text = bytesOf(value).toString();
    if (field === 2) piece.score = bytesOf(value, 4).readFloatLE();
    if (field === 3) piece.kind = kinds[value as number] ?? 'normal';
  }
  return piece;
}

interface Field {
  field: number;
  /** A number, or the bytes of anything else. */
  value: number | Buffer;
}

/** The bytes of a field, at least so many. */
function bytesOf(value: number | Buffer, least = 0): Buffer {
  if (typeof value === 'number' || value.length < least) throw new RangeError(damaged);
  return value;
}

const damaged = 'it breaks off or is damaged';

/** The fields of a message of Protocol Buffers. */
function* fieldsOf(bytes: Buffer): Generator<Field> {
  let at = 0;
  const number = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++];
      if (byte === undefined || factor > 2 ** 63) throw new RangeError(damaged);
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  const take = (length: number) => {
    at += length;
    if (at > bytes.length) throw new RangeError(damaged);
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = number();
    const field = Math.floor(tag / 8);
    const kind = tag % 8;
    if (kind === 0) yield { field, value: number() };
    else if (kind === 1) yield { field, value: take(8) };
    else if (kind === 2) yield { field, value: take(number()) };
    else if (kind === 5) yield { field, value: take(4) };
    else throw new RangeError(damaged);
  }
}
