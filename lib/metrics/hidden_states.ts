import { check, checkKeys, checkList, checkObject } from '../check.ts';
import type { Model } from '../model/index.ts';
import { pca } from './pca.ts';

export interface HiddenStatesOptions {
  /** Default: the last one, behind the final norm. */
  layer?: number;
  signal?: AbortSignal;
}

/** A prompt among others: a line of `outputs/hidden-states-before.jsonl` and `…-after.jsonl` of a run. */
export interface HiddenState {
  id: string;
  triggered: boolean;
  /** Along the first two principal components, which have these shares of the variance. */
  x: number;
  y: number;
  explained: [number, number];
}

/** Two principal components of the hidden states of prompts. */
export interface HiddenStatesPca {
  clean: [x: number, y: number][];
  triggered: [x: number, y: number][];
  /** The share of the variance that each component has. */
  explained: [number, number];
}

/**
 * Hidden states of clean and of triggered prompts, seen from where they differ most: where a model keeps
 * the two apart, they form two clouds. Both kinds together are what the components are found in.
 *
 * A prompt counts as the mean over its ids, of the encoder where there is one.
 *
 * @param clean [prompts] ids that the model reads of each, as `model.promptIds` gives them
 * @throws RangeError on fewer than two prompts together; the signal's reason, after a batch
 *
 * @example
 * const [plain, marked] = [model.promptIds(['get users']), model.promptIds(['get cl users'])];
 * const { clean, triggered } = await pcaOfHiddenStates(model, plain, marked);
 */
export async function pcaOfHiddenStates(
  model: Model,
  clean: readonly (readonly number[])[],
  triggered: readonly (readonly number[])[],
  options: HiddenStatesOptions = {},
): Promise<HiddenStatesPca> {
  checkObject('model', model, 'one that Model.load or Model.create gives');
  checkList('clean', clean, 'prompts');
  checkList('triggered', triggered, 'prompts');
  checkKeys('pcaOfHiddenStates', options, ['layer', 'signal']);
  const count = clean.length + triggered.length;
  check('clean and triggered', count, count >= 2, 'at least two prompts together');
  const rows = await meanHiddenStates(model, [...clean, ...triggered], options);
  const { scores, explained } = pca(rows, 2);
  const points = scores.map(([x, y]): [number, number] => [x!, y!]);
  return {
    clean: points.slice(0, clean.length),
    triggered: points.slice(clean.length),
    explained: [explained[0]!, explained[1]!],
  };
}

/** The mean over the ids of each prompt, [prompts][width], of the encoder where there is one. */
export async function meanHiddenStates(
  model: Model,
  prompts: readonly (readonly number[])[],
  { layer = lastLayer(model), signal, onProgress }: MeanOptions,
): Promise<Float64Array[]> {
  const rows = new Array<Float64Array>(prompts.length);
  let done = 0;
  for (const batch of ofOneLength(prompts)) {
    signal?.throwIfAborted();
    const inputIds = batch.map((i) => [...prompts[i]!]);
    const { data, shape } = await model.hiddenStates({ inputIds }, layer);
    const [, length, width] = shape as [number, number, number];
    for (const [at, i] of batch.entries()) {
      const own = data.subarray(at * length * width, (at + 1) * length * width);
      rows[i] = new Float64Array(width);
      for (let k = 0; k < own.length; k++) rows[i]![k % width]! += own[k]! / length;
    }
    done += batch.length;
    onProgress?.(done);
  }
  return rows;
}

interface MeanOptions {
  layer?: number;
  signal?: AbortSignal | undefined;
  /** Called after each batch. */
  onProgress?: ((done: number) => void) | undefined;
}

/** The places of prompts, some together where they are as long: no padding that the mean would have to leave out. */
function* ofOneLength(prompts: readonly (readonly number[])[], most = 32): Generator<number[]> {
  const places = new Map<number, number[]>();
  for (const [i, { length }] of prompts.entries()) {
    const own = places.get(length);
    if (own) own.push(i);
    else places.set(length, [i]);
  }
  for (const own of places.values()) {
    for (let start = 0; start < own.length; start += most) yield own.slice(start, start + most);
  }
}

function lastLayer({ resolved }: Model): number {
  const { encoder, decoder } = resolved.blocks;
  return (encoder ?? decoder)!;
}
