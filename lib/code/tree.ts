import type { Language as Compiled } from 'web-tree-sitter';
import { cursorAt } from './cursor.ts';
import type { Grammar, Node } from './grammar.ts';

/** A node of a syntax tree, copied out of the parser: a plain value that outlives the tree. */
export interface TreeNode {
  /** Its place in the order of the text, parents before children, from 0. */
  number: number;
  /** A number of 0 or more for its type and whether it is named, one for each such pair of a language. */
  kind: number;
  /** Such as `if_statement`; keywords and punctuation are named by their own text. */
  type: string;
  /** Whether the grammar names it; keywords and punctuation are not. */
  named: boolean;
  /** What it is to its parent, such as `left`. */
  field: string | undefined;
  /** Whether the parser put it in, where the code lacks it. */
  missing: boolean;
  children: readonly TreeNode[];
  /** Its place in the source, from its first leaf to its last, in UTF-16 code units. */
  start: number;
  end: number;
}

/** A syntax tree with the source it was read from. */
export interface Tree {
  source: string;
  root: TreeNode;
  /** How many nodes it has. */
  size: number;
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
  return parse(source, (root) => copy(root, source));
}

/**
 * Asks the parser little: every question to it takes longer than all else that is done here. Keywords
 * and punctuation are found in the source behind the token before, where the code has no errors; of
 * them only `;` has a field that says something, as an empty body.
 */
function copy(root: Node, source: string): Tree {
  const types = typesOf(root.tree.language);
  const { hasError } = root;
  const cursor = cursorAt(root);
  const open: TreeNode[] = []; // from the root down to the parent of what comes next
  const firsts: number[] = []; // where in `found` the children of each begin
  const found: TreeNode[] = []; // that have no parent yet: lists of children are cut to their size
  let size = 0;
  let count = 0;
  let before = 0; // where the last leaf ends
  try {
    for (;;) {
      const { kind, type, named, fixed } = types[cursor.nodeTypeId] ?? errorType;
      const isToken = fixed && !hasError;
      const field = isToken && type !== ';' ? undefined : (cursor.currentFieldName ?? undefined);
      const node: TreeNode = {
        number: count++,
        kind,
        type,
        named,
        field,
        missing: false,
        children: none,
        start: 0,
        end: 0,
      };
      found[size++] = node;
      if (cursor.gotoFirstChild()) {
        open.push(node);
        firsts.push(size);
        continue;
      }
      const start = isToken ? skipSpace(source, before) : -1;
      const isThere = start >= 0 && source.startsWith(type, start);
      node.start = isThere ? start : cursor.startIndex;
      node.end = isThere ? start + type.length : cursor.endIndex;
      node.missing = hasError && node.start === node.end && cursor.nodeIsMissing;
      before = node.end;
      while (!cursor.gotoNextSibling()) {
        const parent = open.pop();
        if (parent === undefined) return { source, root: found[0]!, size: count, hasError };
        const first = firsts.pop()!;
        parent.children = found.slice(first, size);
        size = first;
        parent.start = parent.children[0]!.start;
        parent.end = parent.children[parent.children.length - 1]!.end;
        cursor.gotoParent();
      }
    }
  } finally {
    cursor.delete();
  }
}

/** Of all leaves. */
const none: TreeNode[] = [];

function skipSpace(source: string, from: number): number {
  let at = from;
  while (source.charCodeAt(at) <= 0x20) at++;
  return at;
}

interface NodeType {
  kind: number;
  type: string;
  named: boolean;
  /** Whether its text is always its type: that of keywords and punctuation without white space. */
  fixed: boolean;
}

const errorType: NodeType = { kind: 0xffff, type: 'ERROR', named: true, fixed: false };
const known = new WeakMap<Compiled, NodeType[]>();

/** The types of a language's nodes by their numbers. */
function typesOf(language: Compiled): NodeType[] {
  let types = known.get(language);
  if (types === undefined) {
    const kinds = new Map<string, number>();
    types = language.types.map((type, id) => {
      const named = language.nodeTypeIsNamed(id);
      const kind = kinds.get(`${named} ${type}`) ?? id;
      kinds.set(`${named} ${type}`, kind);
      return { kind, type, named, fixed: !named && /^\S+$/.test(type) };
    });
    known.set(language, types);
  }
  return types;
}
