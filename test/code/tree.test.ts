import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Cursor, compiled, cursorAt } from '../../lib/code/cursor.ts';
import { grammarOf, type Language, type Node } from '../../lib/code/grammar.ts';
import { readTree, type TreeNode } from '../../lib/code/tree.ts';

const file = new URL('../fixtures/code_bleu_programs.json', import.meta.url);
const programs = JSON.parse(readFileSync(file, 'utf8')) as Record<Language, string[]>;

const test = suite('readTree');

/** What the parser's own nodes say. */
const asked = (node: Node): unknown[] => [
  node.type,
  node.isNamed,
  node.isMissing,
  node.childCount === 0 && [node.startIndex, node.endIndex],
  node.children.map((child) => asked(child!)),
];

const copied = ({ type, named, missing, start, end, children }: TreeNode): unknown[] => [
  type,
  named,
  missing,
  children.length === 0 && [start, end],
  children.map(copied),
];

for (const [language, texts] of Object.entries(programs)) {
  test(`copies what the parser says of ${language}`, async () => {
    const parse = await grammarOf(language as Language);
    for (const text of texts) {
      const own = parse(text, asked);
      const copy = copied(readTree(parse, text).root);
      assert.equal(copy.at(-1), own.at(-1), text);
    }
  });
}

test('gives each pair of a type and a kind of name a number of its own', async () => {
  for (const [language, texts] of Object.entries(programs)) {
    const kinds = new Map<number, string>();
    const names = new Map<string, number>();
    for (const text of texts) {
      const { root, size } = readTree(await grammarOf(language as Language), text);
      const nodes = [root];
      for (const node of nodes) {
        nodes.push(...node.children);
        const { kind, type, named } = node;
        if (!kinds.has(kind)) kinds.set(kind, `${named} ${type}`);
        if (!names.has(`${named} ${type}`)) names.set(`${named} ${type}`, kind);
        assert.is(kinds.get(kind), `${named} ${type}`);
        assert.is(names.get(`${named} ${type}`), kind);
      }
      assert.is(nodes.length, size);
    }
  }
});

test('numbers nodes in the order of the text, and names fields', async () => {
  const { root } = readTree(await grammarOf('python'), 'x = y');
  const [assignment] = root.children[0]!.children;
  assert.equal(
    assignment!.children.map(({ number, field, type }) => [number, field, type]),
    [
      [3, 'left', 'identifier'],
      [4, undefined, '='],
      [5, 'right', 'identifier'],
    ],
  );
});

test('walks as the cursor of web-tree-sitter does, with its own', async () => {
  const parse = await grammarOf('javascript');
  const steps = (cursor: Cursor) => {
    const found: unknown[] = [];
    const note = () =>
      found.push([cursor.nodeTypeId, cursor.currentFieldName, cursor.startIndex, cursor.endIndex]);
    for (let open = true; open; ) {
      note();
      if (cursor.gotoFirstChild()) continue;
      while (!cursor.gotoNextSibling()) {
        open = cursor.gotoParent();
        if (!open) break;
      }
    }
    cursor.delete();
    return found;
  };
  const source = 'for (let i = 0; i < 9; i++) { f("é", `ü`); } if (a) b else {'.repeat(20);
  assert.ok('_ts_tree_cursor_new_wasm' in compiled, 'the parser says where its functions are');
  const own = parse(source, (root) => steps(cursorAt(root)));
  assert.ok(own.length > 800, `${own.length}`);
  assert.equal(
    own,
    parse(source, (root) => steps(root.walk())),
  );
});

test('reads code nested to any depth', async () => {
  const source = `x = ${'['.repeat(10_000)}${']'.repeat(10_000)}`;
  const { root, hasError } = readTree(await grammarOf('python'), source);
  assert.is(hasError, false);
  let depth = 0;
  for (let node: TreeNode | undefined = root; node !== undefined; depth++) {
    node = node.children.find(({ named, field }) => named && field !== 'left');
  }
  assert.ok(depth > 10_000, `${depth}`);
});

test.run();
