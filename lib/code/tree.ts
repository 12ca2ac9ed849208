import type { Language as Compiled } from 'web-tree-sitter';
import type { Grammar, Node } from './grammar.ts';

/** A node of a syntax tree, copied out of the parser: a plain value that outlives the tree. */
export interface TreeNode {
  /** Such as `if_statement`; keywords and punctuation are named by their own text. */
  type: string;
  /** Whether the grammar names it; keywords and punctuation are not. */
  named: boolean;
  /** What it is to its parent, such as `left`. */
  field: string | undefined;
  /** Whether the parser put it in, where the code lacks it. */
  missing: boolean;
  children: TreeNode[];
  /** Its place in the source, in UTF-16 code units. */
  start: number;
  end: number;
}

/** A syntax tree with the source it was read from. */
export interface Tree {
  source: string;
  root: TreeNode;
  /** Whether the source did not parse as a whole: such a tree has `ERROR` or missing nodes. */
  hasError: boolean;
}

/**
 * Copies the whole syntax tree of a text, which may be nested to any depth.
 *
 * @example
 * const { root } = readTree(await grammarOf('python'), 'x = 1');
 * root.children[0]!.type; // 'expression_statement'
 */
export function readTree(parse: Grammar, source: string): Tree {
  return parse(source, (root) => ({ source, root: copy(root), hasError: root.hasError }));
}

/** Asks the parser little: every question to it takes longer than all else that is done here. */
function copy(root: Node): TreeNode {
  const cursor = root.walk();
  const names = root.tree.language.types;
  const named = namedTypes(root.tree.language);
  const open: TreeNode[] = []; // from the root down to the parent of what comes next
  let top: TreeNode | undefined;
  try {
    for (;;) {
      const id = cursor.nodeTypeId;
      const node: TreeNode = {
        type: names[id] ?? 'ERROR',
        named: named[id] ?? true,
        field: cursor.currentFieldName ?? undefined,
        missing: false,
        children: [],
        start: 0,
        end: 0,
      };
      top ??= node;
      open.at(-1)?.children.push(node);
      if (cursor.gotoFirstChild()) {
        open.push(node);
        continue;
      }
      node.start = cursor.startIndex;
      node.end = cursor.endIndex;
      node.missing = node.start === node.end && cursor.nodeIsMissing;
      while (!cursor.gotoNextSibling()) {
        const parent = open.pop();
        if (parent === undefined) return top;
        parent.start = parent.children[0]!.start;
        parent.end = parent.children.at(-1)!.end;
        cursor.gotoParent();
      }
    }
  } finally {
    cursor.delete();
  }
}

const named = new WeakMap<Compiled, boolean[]>();

/** Whether the nodes of each type have names, by the number of the type. */
function namedTypes(language: Compiled): boolean[] {
  const types = named.get(language) ?? language.types.map((_, id) => language.nodeTypeIsNamed(id));
  named.set(language, types);
  return types;
}
