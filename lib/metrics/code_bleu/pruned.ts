import type { Tree, TreeNode } from '../../code/tree.ts';

const comments = /^(line_|block_)?comment$/;

/** A tree without comments, and without the strings that document Python's modules and functions. */
export function pruned(tree: Tree): Tree {
  prune(tree.root);
  return tree;
}

function prune(root: TreeNode): void {
  const agenda = [root];
  for (let node = agenda.pop(); node !== undefined; node = agenda.pop()) {
    if (node.children.length === 0) continue;
    const kept = node.children.filter(({ type }) => !comments.test(type));
    const isDocumented = isBlock(node) && kept[0] !== undefined && isText(kept[0]);
    node.children = isDocumented ? kept.slice(1) : kept;
    // A block of a docstring alone is none.
    for (const child of node.children) agenda.push(child);
  }
}

const isBlock = ({ type }: TreeNode) => type === 'module' || type === 'block';

const isText = ({ type, children }: TreeNode) =>
  type === 'expression_statement' && children.length === 1 && children[0]!.type === 'string';
