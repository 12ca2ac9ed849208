import type { Tree, TreeNode } from '../../code/tree.ts';
import { tableFor } from '../pair_table.ts';

/**
 * The share of the reference's subtrees that occur anywhere in the output: its root and every node
 * with children, compared by types and fields, not by names and values.
 */
export function syntaxMatch(output: Tree, reference: Tree): number {
  const nodes = [parentsFirst(output.root), parentsFirst(reference.root)] as const;
  const shapes = new Shapes(nodes[0].length + nodes[1].length);
  const known = new Set(subtrees(nodes[0], output, shapes));
  const wanted = subtrees(nodes[1], reference, shapes);
  let found = 0;
  for (const shape of wanted) if (known.has(shape)) found++;
  return found / wanted.length;
}

/** The shape of each subtree, as a number that trees of one shape share; the root's comes last. */
function subtrees(nodes: readonly TreeNode[], { source, size }: Tree, shapes: Shapes): number[] {
  const numbers = new Array<number>(size); // of shapes, by the numbers of their nodes
  const found: number[] = [];
  for (let i = nodes.length; i-- > 0; ) {
    const node = nodes[i]!;
    const name = ownName(node, source);
    const isLeaf = node.children.length === 0;
    const number = isLeaf ? name : withChildren(name, node, numbers, shapes);
    numbers[node.number] = number;
    if (i === 0 || !isLeaf) found.push(number);
  }
  return found;
}

/**
 * Shapes as numbers. A shape is a name, below 0, or a shape with one more child, 0 or more: told by the
 * number of the child's shape, so that deep trees cost no more than flat ones.
 */
class Shapes {
  readonly #fields = new Map<string, number>();
  readonly #pairs: ReturnType<typeof tableFor>;

  constructor(nodes: number) {
    this.#pairs = tableFor(2 * nodes);
    this.#pairs.clear();
  }

  with(shape: number, field: string | undefined, child: number): number {
    if (field === undefined) return this.#pairs.add(shape, child);
    let name = this.#fields.get(field);
    if (name === undefined) {
      name = firstField - this.#fields.size;
      this.#fields.set(field, name);
    }
    return this.#pairs.add(this.#pairs.add(shape, name), child);
  }
}

/** All nodes but keywords and punctuation, which do not belong to a shape unless the parser put them in. */
function parentsFirst(root: TreeNode): TreeNode[] {
  const nodes = [root];
  for (let i = 0; i < nodes.length; i++) {
    for (const child of nodes[i]!.children) {
      if (child.named || child.missing || child.children.length > 0) nodes.push(child);
    }
  }
  return nodes;
}

// Names of nodes without children, and of fields: numbers below 0 that do not meet.
const firstMissing = -1 - 0x10000;
const firstUnexpected = -1 - 0x20000;
const firstField = -1 - 0x200000;

/** Text that was skipped as an error is known by its first character. */
function ownName({ type, kind, missing, children, start, end }: TreeNode, source: string): number {
  if (type === 'ERROR' && children.length === 0 && end > start) {
    return firstUnexpected - source.codePointAt(start)!;
  }
  return missing ? firstMissing - kind : -1 - kind;
}

function withChildren(
  shape: number,
  { children }: TreeNode,
  numbers: readonly number[],
  shapes: Shapes,
): number {
  let number = shape;
  for (const child of children) {
    if (child.named || child.missing) {
      number = shapes.with(number, child.field, numbers[child.number]!);
    } else if (child.children.length > 0) number = withChildren(number, child, numbers, shapes);
  }
  return number;
}
