import { check, checkKeys, checkList, show } from '../check.ts';
import type { ResolvedConfig } from './config/index.ts';
import { ignoredLabel } from './texts.ts';

/** Token ids: ragged rows, padded and masked for the caller, or a row-major array with its shape. */
export type Ids =
  | readonly (readonly number[])[]
  | { data: Int32Array | BigInt64Array; shape: readonly [number, number] };

export interface Batch {
  /** [batch, length]: what a decoder-only model or an encoder reads. */
  inputIds: Ids;
  /** The same shape: 1 is read, 0 is padding. Absent: padding of ragged rows is masked. */
  attentionMask?: Ids;
  /** [batch, target length], of encoder-decoders; absent: `labels` shifted right behind the start token. */
  decoderInputIds?: Ids;
  /**
   * What counts as right; ignoredLabel is not counted. Of an encoder-decoder, [batch, target length]; of a
   * decoder-only model, as inputIds, where position t predicts labels[t + 1]; of a masked-LM head, as
   * inputIds; of a classifier, [batch, 1].
   */
  labels?: Ids;
}

/** What native/trainer/model_binding.h reads. */
export interface NativeIds {
  data: Int32Array;
  shape: [number, number];
}

export interface NativeBatch {
  inputIds: NativeIds;
  attentionMask?: NativeIds;
  decoderInputIds?: NativeIds;
  labels?: NativeIds;
}

/**
 * A batch as native code takes it: rectangular, in 32 bits, with the mask and the decoder's input
 * that follow from the rest. Native code checks ids and shapes; what is checked here is what would
 * be lost on the way: numbers that are no 32-bit integers, and empty rows.
 */
export function nativeBatch(batch: Batch, config: ResolvedConfig): NativeBatch {
  checkKeys('batch', batch, ['inputIds', 'attentionMask', 'decoderInputIds', 'labels']);
  const { attentionMask, decoderInputIds, labels } = batch;
  const inputIds = pack('inputIds', batch.inputIds, config.pad_token_id);
  const mask = attentionMask === undefined ? maskOf(batch.inputIds) : attentionMask;
  const result: NativeBatch = { inputIds };
  if (mask !== undefined) result.attentionMask = pack('attentionMask', mask, 0);
  if (labels !== undefined) result.labels = pack('labels', labels, ignoredLabel);
  for (const [name, ids] of Object.entries(result)) {
    if (ids.shape[0] === result.inputIds.shape[0]) continue;
    throw new RangeError(
      `${name} has ${ids.shape[0]} rows: expected ${result.inputIds.shape[0]}, as inputIds has`,
    );
  }
  checkLength('inputIds', inputIds, config);
  if (config.labels !== 'decoder ids') {
    check(
      'decoderInputIds',
      decoderInputIds,
      decoderInputIds === undefined,
      'none: there is no decoder',
    );
    return result;
  }
  if (decoderInputIds !== undefined) {
    result.decoderInputIds = pack('decoderInputIds', decoderInputIds, config.pad_token_id);
  } else if (result.labels !== undefined) {
    result.decoderInputIds = shiftRight(result.labels, config);
  }
  if (result.decoderInputIds) checkLength('decoderInputIds', result.decoderInputIds, config);
  return result;
}

/** A batch to learn from: one with labels. */
export function labelledBatch(batch: Batch, config: ResolvedConfig): NativeBatch {
  if (batch.labels === undefined) {
    throw new TypeError('labels is undefined: expected the ids or classes to learn');
  }
  return nativeBatch(batch, config);
}

/**
 * @param more ids that are to come
 * @param remedy what would do
 */
export function checkLength(
  name: string,
  { shape }: Pick<NativeIds, 'shape'>,
  { longest }: Pick<ResolvedConfig, 'longest'>,
  more = 0,
  remedy = more === 0 ? 'take shorter texts' : 'lower maxNewTokens, or maxInputTokens',
): void {
  if (longest === undefined || shape[1] + more <= longest) return;
  const size = more === 0 ? `${shape[1]} columns` : `${shape[1]} columns, and ${more} are to come`;
  throw new RangeError(
    `${name} has ${size}: expected at most ${longest}, the positions that the model knows; ${remedy}`,
  );
}

/** Which ids of ragged rows are not padding; nothing where no row is shorter than another. */
function maskOf(ids: Ids): Ids | undefined {
  if (!isRagged(ids) || ids.every((row) => row.length === ids[0]!.length)) return undefined;
  return ids.map((row) => row.map(() => 1));
}

function pack(name: string, ids: Ids, padding: number): NativeIds {
  if (!isRagged(ids)) {
    const data = toInt32(name, ids?.data);
    checkList(`${name}.shape`, ids.shape, 'two numbers: rows and columns');
    return { data, shape: [...ids.shape] };
  }
  for (const [i, row] of ids.entries()) checkList(`${name}[${i}]`, row, 'token ids');
  const columns = ids.reduce((longest, row) => Math.max(longest, row.length), 0);
  const data = new Int32Array(ids.length * columns).fill(padding);
  ids.forEach((row, i) => {
    if (row.length === 0) throw new RangeError(`${name}[${i}] is empty: expected at least one id`);
    row.forEach((id, j) => {
      if (!Number.isInteger(id) || (id | 0) !== id) {
        throw new RangeError(`${name}[${i}][${j}] is ${show(id)}: expected a token id`);
      }
    });
    data.set(row, i * columns);
  });
  return { data, shape: [ids.length, columns] };
}

function toInt32(name: string, data: Int32Array | BigInt64Array): Int32Array {
  // By its tag, as an array may come from another realm, where instanceof is false.
  const kind = data?.[Symbol.toStringTag];
  if (kind === 'Int32Array') return data as Int32Array;
  if (kind !== 'BigInt64Array') {
    throw new TypeError(
      `${name} holds ${show(kind)}: expected rows of ids, or { data, shape } with an Int32Array or BigInt64Array`,
    );
  }
  return Int32Array.from(data as BigInt64Array, (id, i) => {
    if (BigInt.asIntN(32, id) !== id) {
      throw new RangeError(`${name}.data[${i}] is ${id}: expected a token id`);
    }
    return Number(id);
  });
}

/** The start token and all but the last label, with padding for ignored ones, as transformers. */
function shiftRight({ data, shape }: NativeIds, config: ResolvedConfig): NativeIds {
  const shifted = data.map((_, i) => {
    if (i % shape[1] === 0) return config.decoder_start_token_id!;
    const before = data[i - 1]!;
    return before === ignoredLabel ? config.pad_token_id : before;
  });
  return { data: shifted, shape };
}

const isRagged = (ids: Ids): ids is readonly (readonly number[])[] => Array.isArray(ids);
