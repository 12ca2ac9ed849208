import type { Tree, TreeNode } from '../../code/tree.ts';

/**
 * A leaf of the tree: its place in the order of the text, and its text. Leaves without text that the parser
 * put in at one place share a number.
 */
export interface Leaf {
  number: number;
  text: string;
}

/** That the value of a leaf comes, or is computed, from those of others. */
export interface Edge extends Leaf {
  relation: 'comesFrom' | 'computedFrom';
  parentNames: readonly string[];
  parents: readonly number[];
}

export type Rule = (node: TreeNode, flow: Flow) => void;

/** What is done at nodes of a type. At all others, their children are followed in turn. */
export interface Rules {
  at: ReadonlyMap<string, Rule>;
  /** A type of children that are followed before the others. */
  first?: string;
}

/** Thrown where a rule finds a node other than it expects, and on code that would take forever. */
export class Unreadable extends Error {}

const mostSteps = 500_000; // loops in loops are followed twice each: 2 ** depth
const deepest = 500; // rules in rules, which take the stack; other nodes do not

const none: never[] = [];

/** All keywords and punctuation, whose text is their type: no value flows through them. */
const sign: Leaf = { number: -1, text: '' };

const texts = new Set(['string_literal', 'string', 'character_literal']);

/** A walk through a program, which notes where each name was last given a value. */
export class Flow {
  /** The numbers of the leaves that gave each name its value. */
  definitions = new Map<string, readonly number[]>();
  edges: Edge[] = [];
  readonly #rules: Rules;
  readonly #source: string;
  readonly #agenda: TreeNode[] = []; // what is to be followed, last first
  #steps = 0;
  #depth = 0;

  constructor(tree: Tree, rules: Rules) {
    this.#rules = rules;
    this.#source = tree.source;
  }

  /** Goes through a node, whose nesting is no matter, and adds its edges. */
  follow(node: TreeNode): void {
    if (++this.#depth > deepest) throw new Unreadable();
    const agenda = this.#agenda;
    const before = agenda.length;
    agenda.push(node);
    while (agenda.length > before) {
      const next = agenda.pop()!;
      this.#spend(1);
      if (isLeaf(next)) {
        this.#use(next);
        continue;
      }
      const rule = this.#rules.at.get(next.type);
      if (rule !== undefined) {
        rule(next, this);
        continue;
      }
      const children = this.#ordered(next.children);
      for (let i = children.length; i-- > 0; ) agenda.push(children[i]!);
    }
    this.#depth--;
  }

  /** The leaves below a node that are no keywords or punctuation: names, but also numbers and strings. */
  variables(node: TreeNode): Leaf[] {
    const variables: Leaf[] = [];
    const leaves = leavesOf(node);
    this.#spend(leaves.length);
    for (const node of leaves) {
      const leaf = this.#leafOf(node);
      if (leaf !== sign) variables.push(leaf);
    }
    return variables;
  }

  add({ number, text }: Leaf, relation: Edge['relation'], from: readonly Leaf[]): void {
    const parentNames = from.map((leaf) => leaf.text);
    const parents = from.map((leaf) => leaf.number);
    this.#spend(1 + parents.length);
    this.edges.push({ number, text, relation, parentNames, parents });
  }

  define({ number, text }: Leaf): void {
    this.definitions.set(text, [number]);
  }

  #use(node: TreeNode): void {
    const leaf = this.#leafOf(node);
    if (leaf === sign) return;
    const parents = this.definitions.get(leaf.text);
    this.#spend(parents?.length ?? 0);
    if (parents === undefined && node.type === 'identifier') this.define(leaf);
    const { number, text } = leaf;
    const parentNames = parents === undefined ? none : [text];
    this.edges.push({ number, text, relation: 'comesFrom', parentNames, parents: parents ?? none });
  }

  #leafOf({ type, start, end }: TreeNode): Leaf {
    if (end - start === type.length && type !== '\n' && this.#source.startsWith(type, start)) {
      return sign;
    }
    const number = 2 * start + Number(end > start);
    return { number, text: withoutLineEnds(this.#source.slice(start, end)) };
  }

  #ordered(children: readonly TreeNode[]): readonly TreeNode[] {
    const { first } = this.#rules;
    if (first === undefined || !children.some(({ type }) => type === first)) return children;
    const isFirst = (child: TreeNode) => child.type === first;
    return [...children.filter(isFirst), ...children.filter((child) => !isFirst(child))];
  }

  #spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > mostSteps) throw new Unreadable();
  }
}

/** A string counts as one leaf, a comment as none. */
const isLeaf = (node: TreeNode) =>
  node.children.length === 0 ? node.type !== 'comment' : isText(node);

export const isText = ({ type }: TreeNode) => texts.has(type);

function leavesOf(root: TreeNode): TreeNode[] {
  const leaves: TreeNode[] = [];
  const agenda = [root];
  for (let node = agenda.pop(); node !== undefined; node = agenda.pop()) {
    if (isLeaf(node)) leaves.push(node);
    else for (let i = node.children.length; i-- > 0; ) agenda.push(node.children[i]!);
  }
  return leaves;
}

const withoutLineEnds = (text: string) => (text.includes('\n') ? text.replaceAll('\n', '') : text);
