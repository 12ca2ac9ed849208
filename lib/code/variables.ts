import { type Grammar, loadedGrammar, type Node } from './grammar.ts';

/** The languages whose variables can be found. */
export const variableLanguages = ['java', 'c', 'python'] as const;
export type VariableLanguage = (typeof variableLanguages)[number];

/** A token of a program, where it begins, and which variable it is, as an index into `variables`. */
export interface CodeToken {
  text: string;
  start: number;
  variable?: number;
  /** Of a variable that is `true` or `false`: the comparison of a word with itself to put there. */
  comparison?: { operator: '==' | '!='; open: string; close: string };
}

/** What counts as a variable beside local variables and parameters. */
export interface VariableOptions {
  /** Members of `this` (Java) and `self` (Python), but those that are called. Default false. */
  fields?: boolean;
  /** Each `true` and each `false` of Java and Python, a variable of its own. Default false. */
  booleans?: boolean;
}

/** A program's tokens, comments left out, and its local variables, then parameters, fields and booleans. */
export interface Variables {
  tokens: CodeToken[];
  variables: string[];
}

/**
 * The local variables and parameters of a program, and where they occur. A variable is its name: those of
 * one name are one, members and methods of the same name are none. Python's global names are none either.
 *
 * @throws Error where the grammar of the language is not loaded: see grammarOf
 */
export function variablesOf(
  code: string,
  language: VariableLanguage,
  options: VariableOptions = {},
): Variables {
  const parse: Grammar = loadedGrammar(language);
  return parse(code, (root) => {
    const names: Names = { locals: new Set(), parameters: new Set(), others: new Set() };
    const fields = new Set<string>();
    const leaves: { node: Node; key?: string | undefined; comparison?: Comparison }[] = [];
    const { declare, isOther, fieldOf } = languages[language];
    walk(root, (node, parent) => {
      const { type } = node;
      declare(node, type, parent, names);
      if (node.childCount > 0 && !quoted.test(type)) return true;
      if (/comment$/.test(type) || node.text === '') return false;
      const field = options.fields && parent && type === 'identifier' && fieldOf?.(node, parent);
      if (field) fields.add(field);
      const use = type === 'identifier' && !(parent && isOther(node, parent));
      const comparison = options.booleans && parent && comparisonFor(type, parent);
      leaves.push({
        node,
        key: field || (use ? node.text : undefined),
        ...(comparison && { comparison }),
      });
      return false;
    });
    const { locals, parameters, others } = names;
    for (const name of ['self', 'cls']) parameters.delete(name);
    const variables = [...new Set([...locals, ...parameters, ...fields])].filter(
      (name) => !others.has(name),
    );
    const number = new Map(variables.map((name, i) => [name, i]));
    const tokens = leaves.map(({ node: { text, startIndex: start }, key, comparison }) => {
      // In Java, what is no local name can be a field without its `this`.
      let variable = key && (number.get(key) ?? number.get(`this.${key}`));
      if (comparison) variable = variables.push(text) - 1;
      return {
        text,
        start,
        ...(typeof variable === 'number' && { variable }),
        ...(comparison && { comparison }),
      };
    });
    return { tokens, variables };
  });
}

type Comparison = NonNullable<CodeToken['comparison']>;

/** Where a comparison needs no parentheses. */
const whole =
  /^(return_statement|variable_declarator|assignment|assignment_expression|argument_list|parenthesized_expression|keyword_argument|default_parameter|element_value_pair|if_statement|while_statement)$/;

/** For a boolean, as 'true', under its parent; a pattern has to stay a value. */
function comparisonFor(type: string, { type: parent }: Node): Comparison | undefined {
  if ((type !== 'true' && type !== 'false') || parent === 'case_pattern') return undefined;
  const [open, close] = whole.test(parent) ? ['', ''] : ['( ', ' )'];
  return { operator: type === 'true' ? '==' : '!=', open, close };
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
  for (const { text, start, variable, comparison } of tokens) {
    const word = variable === undefined ? undefined : names[variable];
    if (word === undefined) continue;
    const name = comparison ? compared(word, comparison) : word;
    result += code.slice(done, start);
    places.push({ start: result.length, end: result.length + name.length });
    result += name;
    done = start + text.length;
  }
  return { code: result + code.slice(done), places };
}

const compared = (word: string, { operator, open, close }: Comparison) =>
  `${open}"${word}" ${operator} "${word}"${close}`;

/** Visits nodes in the order of the text, nested to any depth; children where `visit` says so. */
function walk(root: Node, visit: (node: Node, parent: Node | undefined) => boolean): void {
  const agenda: { node: Node; parent?: Node }[] = [{ node: root }];
  for (let next = agenda.pop(); next !== undefined; next = agenda.pop()) {
    const { node, parent } = next;
    if (!visit(node, parent)) continue;
    const { children } = node;
    for (let i = children.length; i-- > 0; ) agenda.push({ node: children[i]!, parent: node });
  }
}

const quoted = /^(string|string_literal|char_literal|character_literal)$/;
const named = new Set(['enhanced_for_statement', 'resource', 'catch_formal_parameter']);

interface Names {
  locals: Set<string>;
  parameters: Set<string>;
  /** What is declared elsewhere, or is called as a method. */
  others: Set<string>;
}

interface Rules {
  /** Adds what a node declares. */
  declare(node: Node, type: string, parent: Node | undefined, names: Names): void;
  /** What to call an identifier that is a member of the object that the method belongs to. */
  fieldOf?(node: Node, parent: Node): string | undefined;
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
    declare(node, type, parent, { locals, parameters }) {
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
    fieldOf: (node, parent) =>
      parent.type === 'field_access' &&
      isField(node, parent, 'field') &&
      parent.childForFieldName('object')?.type === 'this'
        ? `this.${node.text}`
        : undefined,
    isOther: (node, parent) =>
      (parent.type === 'method_invocation' && isField(node, parent, 'name')) ||
      (parent.type === 'field_access' && isField(node, parent, 'field')) ||
      /^(method_declaration|constructor_declaration|labeled_statement|method_reference|scoped_identifier|annotation|marker_annotation|element_value_pair)$/.test(
        parent.type,
      ),
  },
  c: {
    declare(node, type, parent, { locals, parameters }) {
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
    declare(node, type, parent, { locals, parameters, others }) {
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
      if (type === 'global_statement' || type === 'nonlocal_statement') {
        for (const child of node.namedChildren) add(others, child);
      }
      if (type === 'call') {
        const called = node.childForFieldName('function');
        if (called?.type === 'attribute') others.add(called.text);
      }
    },
    fieldOf: (node, parent) =>
      parent.type === 'attribute' &&
      isField(node, parent, 'attribute') &&
      parent.childForFieldName('object')?.text === 'self'
        ? `self.${node.text}`
        : undefined,
    isOther: (node, parent) =>
      (parent.type === 'attribute' && isField(node, parent, 'attribute')) ||
      (parent.type === 'keyword_argument' && isField(node, parent, 'name')) ||
      /^(function_definition|class_definition|dotted_name|global_statement|nonlocal_statement)$/.test(
        parent.type,
      ),
  },
};
