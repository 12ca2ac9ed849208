import type { Tree, TreeNode } from '../../code/tree.ts';
import { tableFor } from '../pair_table.ts';

/**
 * The share of the reference's subtrees that occur anywhere in the output: its root and every node
 * with children, compared by types and fields, not by names and values.
 */
export function syntaxMatch(output: Tree, reference: Tree): number {
  const nodes = [parentsFirst(output.root), parentsFirst(reference.root)] as const;
  const shapes = new Shapes(nodes[0].length + nodes[1].length);
  const known = new Set(subtrees(nodes[0], output.source, shapes));
  const wanted = subtrees(nodes[1], reference.source, shapes);
  let found = 0;
  for (const shape of wanted) if (known.has(shape)) found++;
  return found / wanted.length;
}

/** The shape of each subtree, as a number that trees of one shape share; the root's comes last. */
function subtrees(nodes: readonly TreeNode[], source: string, shapes: Shapes): number[] {
  const numbers: number[] = []; // of shapes, by the numbers of their nodes
  const found: number[] = [];
  for (let i = nodes.length; i-- > 0; ) {
    const node = nodes[i]!;
    const number = withChildren(shapes.named(ownText(node, source)), node, numbers, shapes);
    numbers[node.number] = number;
    if (i === 0 || node.children.length > 0) found.push(number);
  }
  return found;
}

/**
 * Shapes as numbers. A shape is a name, or a shape with one more child: told by the number of the child's
 * shape, so that deep trees cost no more than flat ones.
 */
class Shapes {
  readonly #names = new Map<string, number>();
  readonly #pairs: ReturnType<typeof tableFor>;

  constructor(nodes: number) {
    this.#pairs = tableFor(2 * nodes);
    this.#pairs.clear();
  }

  /** Below those of pairs, which are 0 or more. */
  named(name: string): number {
    let number = this.#names.get(name);
    if (number === undefined) {
      number = -1 - this.#names.size;
      this.#names.set(name, number);
    }
    return number;
  }

  with(shape: number, field: string, child: number): number {
    return this.#pairs.add(this.#pairs.add(shape, this.named(field)), child);
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

/** Text that was skipped as an error is known by its first character. */
function ownText({ type, named, missing, children, start, end }: TreeNode, source: string): string {
  if (type === 'ERROR' && children.length === 0 && end > start) {
    return `UNEXPECTED ${source.codePointAt(start)}`;
  }
  const name = named ? type : JSON.stringify(type);
  return missing ? `MISSING ${name}` : name;
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
      number = shapes.with(number, child.field ?? '', numbers[child.number]!);
    } else if (child.children.length > 0) number = withChildren(number, child, numbers, shapes);
  }
  return number;
}
