import { type Grammar, loadedGrammar, type Node } from './grammar.ts';

/** The languages whose variables can be found. */
export const variableLanguages = ['java', 'c', 'python'] as const;
export type VariableLanguage = (typeof variableLanguages)[number];

/** A token of a program, where it begins, and which variable it is, as an index into `variables`. */
export interface CodeToken {
  text: string;
  start: number;
  variable?: number;
}

/** A program's tokens, comments left out, and its local variables, then parameters. */
export interface Variables {
  tokens: CodeToken[];
  variables: string[];
}

/**
 * The local variables and parameters of a program, and where they occur. A variable is its name: those of
 * one name are one, members and methods of the same name are none.
 *
 * @throws Error where the grammar of the language is not loaded: see grammarOf
 */
export function variablesOf(code: string, language: VariableLanguage): Variables {
  const parse: Grammar = loadedGrammar(language);
  return parse(code, (root) => {
    const locals = new Set<string>();
    const parameters = new Set<string>();
    const leaves: { node: Node; use: boolean }[] = [];
    const { declare, isOther } = languages[language];
    walk(root, (node, parent) => {
      const { type } = node;
      declare(node, type, parent, locals, parameters);
      if (node.childCount > 0 && !quoted.test(type)) return true;
      if (!/comment$/.test(type) && node.text !== '') {
        const use = type === 'identifier' && !(parent && isOther(node, parent));
        leaves.push({ node, use });
      }
      return false;
    });
    for (const name of ['self', 'cls']) parameters.delete(name);
    const variables = [...new Set([...locals, ...parameters])];
    const number = new Map(variables.map((name, i) => [name, i]));
    const tokens = leaves.map(({ node: { text, startIndex: start }, use }) => {
      const variable = use ? number.get(text) : undefined;
      return { text, start, ...(variable !== undefined && { variable }) };
    });
    return { tokens, variables };
  });
}

/** The code with other names for its variables, and where those begin in it. */
export function renameVariables(
  code: string,
  { tokens }: Variables,
  names: readonly string[],
): { code: string; places: { start: number; end: number }[] } {
  const places: { start: number; end: number }[] = [];
  let result = '';
  let done = 0;
  for (const { text, start, variable } of tokens) {
    const name = variable === undefined ? undefined : names[variable];
    if (name === undefined) continue;
    result += code.slice(done, start);
    places.push({ start: result.length, end: result.length + name.length });
    result += name;
    done = start + text.length;
  }
  return { code: result + code.slice(done), places };
}

function walk(root: Node, visit: (node: Node, parent: Node | undefined) => boolean): void {
  const go = (node: Node, parent: Node | undefined) => {
    if (!visit(node, parent)) return;
    for (const child of node.children) if (child !== null) go(child, node);
  };
  go(root, undefined);
}

const quoted = /^(string|string_literal|char_literal|character_literal)$/;
const named = new Set(['enhanced_for_statement', 'resource', 'catch_formal_parameter']);

interface Rules {
  /** Adds what a node declares. */
  declare(
    node: Node,
    type: string,
    parent: Node | undefined,
    locals: Set<string>,
    parameters: Set<string>,
  ): void;
  /** Whether an identifier names something else than a variable. */
  isOther(node: Node, parent: Node): boolean;
}

/** Whether a node is what its parent calls by one of these fields. */
const isField = (node: Node, parent: Node, ...names: string[]) =>
  names.some((name) => parent.childForFieldName(name)?.id === node.id);

function add(names: Set<string>, node: Node | null | undefined): void {
  if (!node) return;
  if (node.type === 'identifier') names.add(node.text);
  else if (/pattern|declarator|^parameters$|^inferred_parameters$/.test(node.type)) {
    if (node.type === 'function_declarator') return;
    const inner = node.childForFieldName('declarator');
    for (const child of inner ? [inner] : node.namedChildren) add(names, child);
  }
}

const languages: Record<VariableLanguage, Rules> = {
  java: {
    declare(node, type, parent, locals, parameters) {
      const name = () => node.childForFieldName('name');
      if (type === 'variable_declarator') {
        if (parent?.type === 'local_variable_declaration') add(locals, name());
        if (parent?.type === 'spread_parameter') add(parameters, name());
      } else if (type === 'formal_parameter') {
        add(parameters, name());
      } else if (type === 'lambda_expression') {
        add(parameters, node.childForFieldName('parameters'));
      } else if (named.has(type)) {
        add(locals, name());
      }
    },
    isOther: (node, parent) =>
      (parent.type === 'method_invocation' && isField(node, parent, 'name')) ||
      (parent.type === 'field_access' && isField(node, parent, 'field')) ||
      /^(method_declaration|constructor_declaration|labeled_statement|method_reference|scoped_identifier|annotation|marker_annotation|element_value_pair)$/.test(
        parent.type,
      ),
  },
  c: {
    declare(node, type, parent, locals, parameters) {
      if (type === 'parameter_declaration') add(parameters, node.childForFieldName('declarator'));
      if (type !== 'declaration' || parent?.type === 'translation_unit') return;
      for (const child of node.namedChildren) {
        const declared =
          child?.type === 'init_declarator' ? child.childForFieldName('declarator') : child;
        add(locals, declared);
      }
    },
    isOther: (node, parent) =>
      parent.type === 'function_declarator' && isField(node, parent, 'declarator'),
  },
  python: {
    declare(node, type, parent, locals, parameters) {
      const inside = parent?.type;
      if (inside === 'parameters' || inside === 'lambda_parameters') {
        add(
          parameters,
          node.childForFieldName('name') ??
            (type === 'typed_parameter' ? node.namedChild(0) : node),
        );
      }
      if (/^(assignment|augmented_assignment|for_statement|for_in_clause)$/.test(type)) {
        add(locals, node.childForFieldName('left'));
      }
      if (type === 'named_expression') add(locals, node.childForFieldName('name'));
      if (type === 'as_pattern_target') add(locals, node.namedChild(0));
    },
    isOther: (node, parent) =>
      (parent.type === 'attribute' && isField(node, parent, 'attribute')) ||
      (parent.type === 'keyword_argument' && isField(node, parent, 'name')) ||
      /^(function_definition|class_definition|dotted_name|global_statement|nonlocal_statement)$/.test(
        parent.type,
      ),
  },
};
