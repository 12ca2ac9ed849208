import type { Tree } from '../../code/tree.ts';
import { type Edge, Flow, type Rules, Unreadable } from './flow.ts';
import { merged } from './statements.ts';

/**
 * The edges of a program's data flow, one text each, with variables named by the order in which they
 * appear; empty where no value flows. Code that its rules cannot read, or nested without end, has none
 * either.
 */
export function dataFlow(tree: Tree, rules: Rules): string[] {
  const flow = new Flow(tree, rules);
  try {
    flow.follow(tree.root);
  } catch (error) {
    if (error instanceof Unreadable) return [];
    throw error;
  }
  const inOrder = flow.edges.sort((one, other) => one.number - other.number);
  return renamed(merged(connected(inOrder), ({ number }) => number));
}

/** Edges with parents, and those that are parents. */
function connected(edges: readonly Edge[]): Edge[] {
  const flows = new Set<number>();
  for (const { number, parents } of edges) {
    if (parents.length > 0) flows.add(number);
    for (const parent of parents) flows.add(parent);
  }
  return edges.filter(({ number }) => flows.has(number));
}

function renamed(edges: readonly Edge[]): string[] {
  const names = new Map<string, number>();
  const rename = (name: string) => {
    if (!names.has(name)) names.set(name, names.size);
    return names.get(name)!;
  };
  return edges.map(({ text, relation, parentNames }) => {
    const parents = parentNames.map(rename);
    return `${rename(text)} ${relation} ${parents.join(' ')}`;
  });
}

/** How many of the reference's edges the output has too, each counted once. */
export function commonEdges(output: readonly string[], reference: readonly string[]): number {
  const left = new Map<string, number>();
  for (const edge of output) left.set(edge, (left.get(edge) ?? 0) + 1);
  return reference.filter((edge) => {
    const count = left.get(edge) ?? 0;
    left.set(edge, count - 1);
    return count > 0;
  }).length;
}
