import type { Language } from '../../code/grammar.ts';
import type { TreeNode } from '../../code/tree.ts';
import type { Flow, Rule, Rules } from './flow.ts';
import {
  afterFirst,
  assignment,
  branches,
  definition,
  field,
  forEach,
  found,
  increment,
  loop,
  pairwise,
  sides,
  wholeTwice,
} from './statements.ts';

const at = (rules: Record<string, Rule>) => new Map(Object.entries(rules));

const named = (name: string, value: string) => definition(field(name), field(value));

const python: Rules = {
  first: 'for_in_clause',
  at: at({
    default_parameter: named('name', 'value'),
    assignment: assignPython,
    augmented_assignment: assignPython,
    for_in_clause: (node, flow) =>
      pairwise([[found(field('left')(node))], [node.children.at(-1)!]], flow),
    if_statement: branches({ clauses: ['elif_clause', 'else_clause'] }),
    for_statement: loop((node, flow) => {
      pairwise(sides(node), flow);
      const body = node.children.at(-1)!;
      if (body.type === 'block') flow.follow(body);
    }),
    while_statement: wholeTwice,
  }),
};

/** `x: int` alone gives no value. */
function assignPython(node: TreeNode, flow: Flow): void {
  if (field('right')(node) !== undefined) pairwise(sides(node), flow);
}

const java: Rules = {
  at: at({
    variable_declarator: named('name', 'value'),
    assignment_expression: assignment,
    update_expression: increment,
    if_statement: branches({ clauses: ['if_statement', 'else'], onwards: true }),
    for_statement: afterFirst('local_variable_declaration'),
    enhanced_for_statement: forEach(field('name'), field('value')),
    while_statement: wholeTwice,
  }),
};

/** Made for an old grammar of C#, which had no `=` in a declarator and called loops otherwise. */
const cSharp: Rules = {
  at: at({
    variable_declarator: definition(
      ({ children }) => children[0],
      ({ children }) => (children.length === 2 ? children[1] : undefined),
    ),
    assignment_expression: assignment,
    postfix_unary_expression: increment,
    if_statement: branches({ clauses: ['if_statement', 'else'], onwards: true }),
    for_statement: afterFirst('local_variable_declaration'),
    for_each_statement: forEach(field('left'), field('right')),
    while_statement: wholeTwice,
  }),
};

const javascript: Rules = {
  at: at({
    variable_declarator: named('name', 'value'),
    assignment_pattern: assignment,
    augmented_assignment_expression: assignment,
    update_expression: increment,
    if_statement: branches({ clauses: ['if_statement', 'else'], onwards: true, keep: true }),
    for_statement: afterFirst('variable_declaration'),
    while_statement: wholeTwice,
  }),
};

const go: Rules = {
  at: at({
    var_spec: named('name', 'value'),
    assignment_statement: assignment,
    inc_statement: increment,
    if_statement: branches({ clauses: ['if_statement', 'else'], onwards: true, keep: true }),
    for_statement: afterFirst('for_clause', (clause, flow) => {
      const update = field('update')(clause);
      if (update !== undefined) flow.follow(update);
    }),
  }),
};

const variable =
  (place: number) =>
  ({ children }: TreeNode) =>
    children.filter(({ type }) => type === 'variable_name')[place];

const php: Rules = {
  at: at({
    simple_parameter: named('name', 'default_value'),
    assignment_expression: assignment,
    augmented_assignment_expression: assignment,
    update_expression: increment,
    if_statement: branches({
      clauses: ['if_statement', 'else_clause'],
      onwards: true,
      keep: true,
    }),
    for_statement: afterFirst('assignment_expression'),
    foreach_statement: forEach(variable(1), variable(0)),
    while_statement: wholeTwice,
  }),
};

const rubyBranches = branches({ clauses: ['if', 'elsif', 'else', 'unless', 'when'] });

const ruby: Rules = {
  at: at({
    keyword_parameter: named('name', 'value'),
    assignment: (node, flow) => pairwise(sides(node), flow),
    operator_assignment: (node, flow) => {
      const { children } = node;
      pairwise([[children[0]!], [children.at(-1)!]], flow);
    },
    if: rubyBranches,
    elsif: rubyBranches,
    else: rubyBranches,
    unless: rubyBranches,
    when: rubyBranches,
    for: loop((node, flow) => {
      const parts = ['pattern', 'value', 'body'].map((name) => found(field(name)(node)));
      pairwise([[parts[0]!], [parts[1]!]], flow);
      flow.follow(parts[2]!);
    }),
    while_modifier: wholeTwice,
    until: wholeTwice,
  }),
};

/** How data flows in each language. The rules of C and C++ are those of C#, as in the original. */
export const rules: Readonly<Record<Language, Rules>> = {
  python,
  java,
  javascript,
  c: cSharp,
  cpp: cSharp,
  go,
  php,
  ruby,
  'c-sharp': cSharp,
};
