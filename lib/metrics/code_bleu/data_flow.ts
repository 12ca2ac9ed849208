import type { Tree } from '../../code/tree.ts';
import { tableFor } from '../pair_table.ts';
import { type Edge, Flow, type Rules, Unreadable } from './flow.ts';
import { joined } from './statements.ts';

/** An edge as numbers: below 0 that of the variable and the relation, then those of the parents. */
type Numbers = readonly number[];
export type Edges = readonly Numbers[];

/**
 * The edges of a program's data flow, with variables numbered by the order in which they appear; empty
 * where no value flows. Code that its rules cannot read, or nested without end, has none either.
 */
export function dataFlow(tree: Tree, rules: Rules): Edges {
  const flow = new Flow(tree, rules);
  try {
    flow.follow(tree.root);
  } catch (error) {
    if (error instanceof Unreadable) return [];
    throw error;
  }
  return numbered(connected(inOrder(flow.edges)));
}

/** Sorted by leaves, with one edge for each. */
function inOrder(edges: Edge[]): Edge[] {
  const isSorted = edges.every(({ number }, i) => i === 0 || edges[i - 1]!.number <= number);
  const sorted = isSorted ? edges : edges.sort((one, other) => one.number - other.number);
  const all: Edge[] = [];
  for (const edge of sorted) {
    const last = all[all.length - 1];
    if (last?.number === edge.number) all[all.length - 1] = joined(last, edge);
    else all.push(edge);
  }
  return all;
}

/** Edges with parents, and those that are parents. */
function connected(edges: readonly Edge[]): Edge[] {
  const flows = new Set<number>();
  for (const { parents } of edges) for (const parent of parents) flows.add(parent);
  return edges.filter(({ number, parents }) => parents.length > 0 || flows.has(number));
}

function numbered(edges: readonly Edge[]): Edges {
  const numbers = new Map<string, number>();
  const numberOf = (name: string) => {
    let number = numbers.get(name);
    if (number === undefined) {
      number = numbers.size;
      numbers.set(name, number);
    }
    return number;
  };
  return edges.map(({ text, relation, parentNames }) => {
    const parents = parentNames.map(numberOf);
    return [-1 - (2 * numberOf(text) + Number(relation === 'comesFrom')), ...parents];
  });
}

/** How many of the reference's edges the output has too, each counted once. */
export function commonEdges(output: Edges, reference: Edges): number {
  let size = 0;
  for (const { length } of output) size += length;
  for (const { length } of reference) size += length;
  const table = tableFor(size);
  table.clear();
  const whole = (edge: Numbers) => {
    let run = edge[0]!;
    for (let i = 1; i < edge.length; i++) run = table.add(run, edge[i]!);
    return run;
  };
  const left = new Map<number, number>();
  for (const edge of output) {
    const run = whole(edge);
    left.set(run, (left.get(run) ?? 0) + 1);
  }
  let common = 0;
  for (const edge of reference) {
    const run = whole(edge);
    const count = left.get(run) ?? 0;
    if (count === 0) continue;
    left.set(run, count - 1);
    common++;
  }
  return common;
}
