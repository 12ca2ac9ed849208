import type { Tree, TreeNode } from '../../code/tree.ts';

/**
 * The share of the reference's subtrees that occur anywhere in the output: its root and every node
 * with children, compared by types and fields, not by names and values.
 */
export function syntaxMatch(output: Tree, reference: Tree): number {
  const shapes = new Map<string, number>();
  const known = new Set(subtrees(output, shapes));
  const wanted = subtrees(reference, shapes);
  return wanted.filter((shape) => known.has(shape)).length / wanted.length;
}

/**
 * The shape of each subtree, as a number that trees of one shape share. A shape is told by the numbers
 * of the shapes below it, so that deep trees cost no more than flat ones.
 */
function subtrees({ source, root }: Tree, shapes: Map<string, number>): number[] {
  const nodes = parentsFirst(root);
  const numbers: number[] = []; // of shapes, by the numbers of their nodes
  const found: number[] = [];
  for (let i = nodes.length; i-- > 0; ) {
    const node = nodes[i]!;
    const text = ownText(node, source) + childrenText(node, numbers);
    const number = shapes.get(text) ?? shapes.size;
    shapes.set(text, number);
    numbers[node.number] = number;
    if (node === root || node.children.length > 0) found.push(number);
  }
  return found;
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

function childrenText(node: TreeNode, numbers: readonly number[]): string {
  let text = '';
  for (const child of node.children) {
    if (child.named || child.missing) text += ` ${child.field ?? ''}:${numbers[child.number]}`;
    else if (child.children.length > 0) text += childrenText(child, numbers);
  }
  return text;
}
