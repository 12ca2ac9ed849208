import { check, checkList } from '../check.ts';
import type { ModelHandle } from './native.ts';

/** Which blocks BAdam goes through, and how. */
export interface BlockOptions {
  /** Steps on one block before the next has its turn; the first block gets one less. 50. */
  switchBlockEvery?: number;
  /** Order of the blocks; `random`, the default, is a fresh shuffle for each pass, `fixed` stays. */
  switchMode?: SwitchMode;
  /** The first block, counted from 0. Default: the last where descending, else the first. */
  startBlock?: number;
  /** How names begin, one for each block: `transformer.h.0.`. Default: a block for each layer. */
  blockPrefixes?: readonly string[];
  /** Whether the embedding is a block, before the layers. Else it is frozen. false. */
  includeEmbedding?: boolean;
  /**
   * Whether head, final norm and all that is left are a block, behind the layers. A head that is the
   * embedding goes with that one. false.
   */
  includeHead?: boolean;
  /** How names begin that change in every step, besides those of the block. None. */
  activeModules?: readonly string[];
}

export type SwitchMode = (typeof switchModes)[number];

/** In the order of BlockOrder in native/trainer/blocks.h. */
export const switchModes = ['random', 'ascending', 'descending', 'fixed'] as const;

export const blockKeys = [
  ...['switchBlockEvery', 'switchMode', 'startBlock', 'blockPrefixes'],
  ...['includeEmbedding', 'includeHead', 'activeModules'],
] as const;

/** native/trainer/blocks.h; blocks hold the places of parameters. */
export interface BlockPlan {
  blocks: number[][];
  switchEvery: number;
  order: number;
  start: number;
  seed: number;
}

/** The names of what training changes, in their order. */
export const namesOf = ({ trained }: Pick<ModelHandle, 'trained'>) =>
  trained.map(({ name }) => name);

/** All of so many parameters in every step. */
export function wholeModel(count: number): BlockPlan {
  const all = Array.from({ length: count }, (_, i) => i);
  return { blocks: [all], switchEvery: 0, order: switchModes.indexOf('fixed'), start: 0, seed: 0 };
}

/**
 * The blocks of a model by the names of its parameters: one for each layer, whatever its architecture
 * calls them (the authors' code knows `layers` alone, and finds none in a CodeGen).
 *
 * @param seed of the random order
 * @throws RangeError that names the option that is out of range
 */
export function blockPlan(
  names: readonly string[],
  options: BlockOptions,
  seed: number,
): BlockPlan {
  const { switchBlockEvery = 50, switchMode = 'random', activeModules = [] } = options;
  const everyOk = Number.isSafeInteger(switchBlockEvery) && switchBlockEvery >= 1;
  check('switchBlockEvery', switchBlockEvery, everyOk, 'a whole number, at least 1');
  const order = switchModes.indexOf(switchMode);
  check('switchMode', switchMode, order >= 0, `one of ${switchModes.join(', ')}`);
  checkList('activeModules', activeModules, 'begins of names');
  const active = activeModules.flatMap((begin, i) => placesOf(names, begin, `activeModules[${i}]`));
  const blocks = blocksOf(names, options);
  return {
    blocks: blocks.map((block) => [...new Set([...block, ...active])].sort((a, b) => a - b)),
    switchEvery: switchBlockEvery,
    order,
    start: startOf(options, blocks.length),
    seed,
  };
}

function blocksOf(names: readonly string[], options: BlockOptions): number[][] {
  const { includeEmbedding = false, includeHead = false } = options;
  check('includeEmbedding', includeEmbedding, typeof includeEmbedding === 'boolean', trueOrFalse);
  check('includeHead', includeHead, typeof includeHead === 'boolean', trueOrFalse);
  const { blockPrefixes = layersOf(names) } = options;
  checkList('blockPrefixes', blockPrefixes, 'begins of names');
  const found = blockPrefixes.map((begin, i) => placesOf(names, begin, `blockPrefixes[${i}]`));
  const taken = new Set(found.flat());
  const left = [...names.keys()].filter((i) => !taken.has(i));
  const [embedding, rest] = [true, false].map((is) =>
    left.filter((i) => embeddingName.test(names[i]!) === is),
  );
  const blocks = [
    ...(includeEmbedding ? [embedding!] : []),
    ...found,
    ...(includeHead ? [rest!] : []),
  ].filter(({ length }) => length > 0);
  check('blockPrefixes', `[${blockPrefixes}]`, blocks.length > 0, beginsOf(names));
  return blocks;
}

function startOf({ switchMode, startBlock }: BlockOptions, count: number): number {
  const random = (switchMode ?? 'random') === 'random';
  const none = 'none, as the order is random';
  check('startBlock', startBlock, !random || startBlock === undefined, none);
  const start = startBlock ?? (switchMode === 'descending' ? count - 1 : 0);
  check(
    'startBlock',
    start,
    Number.isInteger(start) && start >= 0 && start < count,
    `0..${count - 1}`,
  );
  return start;
}

/** What the names of each layer begin with, in their order. */
export function layersOf(names: readonly string[]): string[] {
  return [...new Set(names.flatMap((name) => layerName.exec(name)?.[0] ?? []))];
}

const layerName = /^(?:\w+\.)*?(?:layers|layer|block|h)\.\d+\./;
const embeddingName = /(?:^|\.)(?:shared|wte|wpe|\w*embed\w*)\./;
const trueOrFalse = 'true or false';

/** The places of names with a begin; `layers.1` is not the begin of `layers.10.`. */
function placesOf(names: readonly string[], begin: string, option: string): number[] {
  const whole = begin.endsWith('.') ? begin : `${begin}.`;
  const places = [...names.keys()].filter((i) => names[i] === begin || names[i]!.startsWith(whole));
  check(option, begin, places.length > 0, beginsOf(names));
  return places;
}

const beginsOf = (names: readonly string[]) =>
  `what names of parameters begin with, such as ${layersOf(names)[0] ?? names[0]}`;
