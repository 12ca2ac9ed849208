import type { Node, TreeCursor, Tree as TreeOfParser } from 'web-tree-sitter';

/** What is asked of a cursor, under the names of web-tree-sitter's own. */
export type Cursor = Pick<
  TreeCursor,
  | 'nodeTypeId'
  | 'nodeIsMissing'
  | 'currentFieldName'
  | 'startIndex'
  | 'endIndex'
  | 'gotoFirstChild'
  | 'gotoNextSibling'
  | 'gotoParent'
  | 'delete'
>;

type Call = (tree: number) => number;

/** The parser's compiled code; `Parser.init` puts its functions into the object that it is given. */
interface Compiled {
  _ts_tree_root_node_wasm: Call;
  _ts_tree_cursor_new_wasm: Call;
  _ts_tree_cursor_delete_wasm: Call;
  _ts_tree_cursor_goto_first_child_wasm: Call;
  _ts_tree_cursor_goto_next_sibling_wasm: Call;
  _ts_tree_cursor_goto_parent_wasm: Call;
  _ts_tree_cursor_current_node_type_id_wasm: Call;
  _ts_tree_cursor_current_node_is_missing_wasm: Call;
  _ts_tree_cursor_current_field_id_wasm: Call;
  _ts_tree_cursor_start_index_wasm: Call;
  _ts_tree_cursor_end_index_wasm: Call;
}

/** For `Parser.init`. It stays empty where someone else in the process has called that before. */
export const compiled = {} as Compiled;

/**
 * A cursor at the root of a tree, to be used without a call to the parser in between, and deleted.
 *
 * The cursor of web-tree-sitter writes four numbers into the parser's memory before each question and reads
 * them again after it, which takes several times as long as the answer. This one leaves them there.
 */
export function cursorAt(root: Node): Cursor {
  return '_ts_tree_cursor_new_wasm' in compiled ? new DirectCursor(root.tree) : root.walk();
}

class DirectCursor implements Cursor {
  readonly #tree: number;
  readonly #fields: readonly (string | null)[];

  constructor(tree: TreeOfParser) {
    this.#tree = (tree as unknown as [number])[0];
    this.#fields = tree.language.fields;
    // The one leaves a node where the other looks for it, and that a cursor where all others do.
    compiled._ts_tree_root_node_wasm(this.#tree);
    compiled._ts_tree_cursor_new_wasm(this.#tree);
  }

  get nodeTypeId(): number {
    return compiled._ts_tree_cursor_current_node_type_id_wasm(this.#tree);
  }

  get nodeIsMissing(): boolean {
    return compiled._ts_tree_cursor_current_node_is_missing_wasm(this.#tree) === 1;
  }

  get currentFieldName(): string | null {
    return this.#fields[compiled._ts_tree_cursor_current_field_id_wasm(this.#tree)] ?? null;
  }

  get startIndex(): number {
    return compiled._ts_tree_cursor_start_index_wasm(this.#tree);
  }

  get endIndex(): number {
    return compiled._ts_tree_cursor_end_index_wasm(this.#tree);
  }

  gotoFirstChild(): boolean {
    return compiled._ts_tree_cursor_goto_first_child_wasm(this.#tree) === 1;
  }

  gotoNextSibling(): boolean {
    return compiled._ts_tree_cursor_goto_next_sibling_wasm(this.#tree) === 1;
  }

  gotoParent(): boolean {
    return compiled._ts_tree_cursor_goto_parent_wasm(this.#tree) === 1;
  }

  delete(): void {
    compiled._ts_tree_cursor_delete_wasm(this.#tree);
  }
}
