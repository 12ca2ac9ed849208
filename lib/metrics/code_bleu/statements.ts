import type { TreeNode } from '../../code/tree.ts';
import { type Edge, type Flow, isText, type Leaf, type Rule, Unreadable } from './flow.ts';

type Find = (node: TreeNode) => TreeNode | undefined;

/** The child that the grammar calls so. */
export const field =
  (name: string): Find =>
  ({ children }) =>
    children.find((child) => child.field === name);

/** Throws where the code lacks what its statement needs. */
export function found(node: TreeNode | undefined): TreeNode {
  if (node === undefined) throw new Unreadable();
  return node;
}

/** `name = value`, or a name alone. */
export function definition(name: Find, value: Find): Rule {
  return (node, flow) => {
    const names = flow.variables(found(name(node)));
    const from = value(node);
    if (from !== undefined) return derive(names, from, 'comesFrom', flow);
    for (const leaf of names) {
      flow.add(leaf, 'comesFrom', []);
      flow.define(leaf);
    }
  };
}

/** `left = right`, with an edge for each leaf of the left and each of the right. */
export const assignment: Rule = (node, flow) => {
  const names = flow.variables(found(leftOf(node)));
  derive(names, found(rightOf(node)), 'computedFrom', flow);
};

function derive(names: Leaf[], value: TreeNode, relation: Edge['relation'], flow: Flow): void {
  const values = flow.variables(value);
  flow.follow(value);
  for (const name of names) {
    for (const leaf of values) flow.add(name, relation, [leaf]);
    flow.define(name);
  }
}

/** `i++`: every leaf from every leaf. */
export const increment: Rule = (node, flow) => {
  const leaves = flow.variables(node);
  for (const name of leaves) {
    for (const leaf of leaves) flow.add(name, 'computedFrom', [leaf]);
    flow.define(name);
  }
};

const leftOf = field('left');
const rightOf = field('right');
const isPart = ({ type }: TreeNode) => type !== ',';

/**
 * Sides of an assignment: `a, b = b, a` is taken apart where both have as many parts. Of a string, which
 * is a leaf as a whole, nothing can be said then.
 */
export function sides(node: TreeNode): [TreeNode[], TreeNode[]] {
  const left = found(leftOf(node));
  const right = found(rightOf(node));
  if (left.children.length === 0 || right.children.length === 0) return [[left], [right]];
  const lefts = left.children.filter(isPart);
  const rights = right.children.filter(isPart);
  if (lefts.length !== rights.length || lefts.length === 0) return [[left], [right]];
  if (isText(left) || isText(right)) throw new Unreadable();
  return [lefts, rights];
}

/** Parts of the left from the parts of the right at their place, with one edge for each leaf on the left. */
export function pairwise([lefts, rights]: [TreeNode[], TreeNode[]], flow: Flow): void {
  for (const right of rights) flow.follow(right);
  for (const [i, left] of lefts.entries()) {
    const values = flow.variables(rights[i]!);
    for (const name of flow.variables(left)) {
      flow.add(name, 'computedFrom', values);
      flow.define(name);
    }
  }
}

export interface Branches {
  /** Children of these types start from what was defined before the statement. */
  clauses: readonly string[];
  /** Whether all children after the first such one do. */
  onwards?: boolean;
  /** Whether what was defined before lasts even where there is an `else`. */
  keep?: boolean;
}

/** `if`: what any of the branches has defined may hold afterwards. */
export function branches({ clauses, onwards = false, keep = false }: Branches): Rule {
  return (node, flow) => {
    const before = flow.definitions;
    let current = new Map(before);
    let inClauses = false;
    const ends: Flow['definitions'][] = [];
    for (const child of node.children) {
      const isClause: boolean = clauses.includes(child.type) || inClauses;
      inClauses = isClause && onwards;
      flow.definitions = isClause ? new Map(before) : current;
      flow.follow(child);
      if (isClause) ends.push(flow.definitions);
      else current = flow.definitions;
    }
    ends.push(current);
    const hasElse = [node, ...node.children].some(({ type }) => type.includes('else'));
    if (keep || !hasElse) ends.push(before);
    flow.definitions = union(ends);
  };
}

function union(tables: readonly Flow['definitions'][]): Flow['definitions'] {
  const all = new Map<string, readonly number[]>();
  for (const table of tables) {
    for (const [name, numbers] of table) {
      const known = all.get(name);
      if (known === numbers) continue;
      const merged = known === undefined ? numbers : [...new Set([...known, ...numbers])];
      all.set(name, merged);
    }
  }
  return all;
}

/** A loop: what its body defines flows into it again. Equal edges of its rounds become one. */
export function loop(round: (node: TreeNode, flow: Flow, number: number) => void): Rule {
  return (node, flow) => {
    const outer = flow.edges;
    flow.edges = [];
    for (const number of [1, 2]) round(node, flow, number);
    for (const edge of merged(flow.edges)) outer.push(edge);
    flow.edges = outer;
  };
}

/** Edges of one kind to one leaf become one, with the parents of all, in the order of their appearance. */
function merged(edges: readonly Edge[]): Iterable<Edge> {
  const all = new Map<number, Edge>();
  for (const edge of edges) {
    const key = 2 * edge.number + Number(edge.relation === 'comesFrom');
    const known = all.get(key);
    all.set(key, known === undefined ? edge : joined(known, edge));
  }
  return all.values();
}

/** The first edge, with the parents of both. */
export function joined(one: Edge, other: Edge): Edge {
  const { number, text, relation } = one;
  const parentNames = distinct(one.parentNames, other.parentNames);
  return { number, text, relation, parentNames, parents: distinct(one.parents, other.parents) };
}

function distinct<Value>(some: readonly Value[], others: readonly Value[]): readonly Value[] {
  const isFew = some.length < 2 && others.length < 2;
  if (isFew && (others.length === 0 || some[0] === others[0])) return some;
  return isFew && some.length === 0 ? others : [...new Set([...some, ...others])];
}

function followAll(nodes: readonly TreeNode[], flow: Flow): void {
  for (const node of nodes) flow.follow(node);
}

/** `while`: all of it, twice. */
export const wholeTwice = loop((node, flow) => followAll(node.children, flow));

/** `for (first; …)`: all of it, then what comes after the child that gives the first value. */
export function afterFirst(
  type: string,
  again: (first: TreeNode, flow: Flow) => void = () => {},
): Rule {
  return loop((node, flow, round) => {
    const { children } = node;
    if (round === 1) return followAll(children, flow);
    const start = children.findIndex((child) => child.type === type);
    if (start < 0) return;
    again(children[start]!, flow);
    followAll(children.slice(start + 1), flow);
  });
}

/** `for (name : value) body`. */
export function forEach(name: Find, value: Find, body: Find = field('body')): Rule {
  return loop((node, flow) => {
    const from = found(value(node));
    const names = flow.variables(found(name(node)));
    derive(names, from, 'computedFrom', flow);
    flow.follow(found(body(node)));
  });
}
