import { bodyStart } from './body.ts';
import type { CodeLanguage } from './function_name.ts';
import { type Grammar, type Language, loadedGrammar, type Node } from './grammar.ts';

/** Code with a statement put in, and where that begins and ends. */
export interface Inserted {
  code: string;
  start: number;
  end: number;
}

/** The languages for whose code insertStatement needs a syntax tree. */
export const needsGrammar = (language: CodeLanguage): Language[] =>
  language === 'python' || language === 'javascript' ? [language] : [];

/**
 * The code with a statement at the beginning of its first function's body, or undefined where there is
 * no body. Everything else stays as it is, white space too.
 *
 * In Java and C the body is what follows the first `{` outside of parentheses that is not of a type, an
 * initialiser or a switch, which needs no syntax tree. In Python the statement goes behind a docstring,
 * in a text that parses and has no function before its first statement, and its lines are indented alike.
 *
 * @throws Error where the grammar of Python or JavaScript is not loaded: see grammarOf
 */
export function insertStatement(
  code: string,
  statement: string,
  language: CodeLanguage,
): Inserted | undefined {
  if (language === 'python') return intoPython(code, statement, loadedGrammar(language));
  const start =
    language === 'javascript'
      ? scriptBody(code, loadedGrammar(language))
      : bodyStart(code, language);
  return start === undefined ? undefined : insertAt(code, start, statement);
}

/** The code with a text at a place, and a space between it and what is not white space. */
export function insertAt(code: string, place: number, text: string): Inserted {
  const [before, after] = [code.slice(0, place), code.slice(place)];
  const left = before === '' || /\s$/.test(before) ? before : `${before} `;
  const gap = after === '' || /^\s/.test(after) ? '' : ' ';
  return { code: left + text + gap + after, start: left.length, end: left.length + text.length };
}

function scriptBody(code: string, parse: Grammar): number | undefined {
  return parse(code, (root) => {
    const body = root
      .descendantsOfType('statement_block')
      .find((node) => /function|method|arrow/.test(node?.parent?.type ?? ''));
    return body && body.startIndex + 1;
  });
}

function intoPython(code: string, statement: string, parse: Grammar): Inserted | undefined {
  return parse(code, (root) => {
    const definition = root.descendantsOfType('function_definition')[0];
    if (!definition && root.hasError) return undefined; // prose, as far as one can tell
    const body = definition ? definition.childForFieldName('body') : root;
    if (!body) return undefined;
    const statements = body.namedChildren.filter(
      (node) => node !== null && node.type !== 'comment',
    );
    const [first, second] = statements as Node[];
    const indentation = (node: Node) => lineBefore(code, node.startIndex);
    if (first === undefined) return definition ? undefined : insertAt(code, code.length, statement);
    if (/\S/.test(indentation(first))) {
      if (definition === undefined) return undefined; // behind what is no statement
      const indent = `${/^\s*/.exec(lineBefore(code, definition!.startIndex))![0]}    `;
      return spread(code, first, isText(first), statement, indent);
    }
    const next = isText(first) ? second : first;
    if (next === undefined)
      return place(code, first.endIndex, '\n', statement, indentation(first), '');
    const indent = indentation(next);
    if (/\S/.test(indent)) return undefined; // behind a semicolon
    return place(code, next.startIndex, '', statement, indent, '\n');
  });
}

const isText = (node: Node) =>
  node.type === 'expression_statement' && node.namedChild(0)?.type === 'string';

const lineBefore = (code: string, place: number) =>
  code.slice(code.lastIndexOf('\n', place - 1) + 1, place);

/** A body on the line of its `def` gets lines of its own. */
function spread(
  code: string,
  body: Node,
  isDoc: boolean,
  statement: string,
  indent: string,
): Inserted {
  const { startIndex: start, endIndex: end } = body;
  const head = code.slice(0, start).trimEnd();
  if (!isDoc) {
    return place(
      `${head}\n${indent}${code.slice(start)}`,
      head.length + 1 + indent.length,
      '',
      statement,
      indent,
      '\n',
    );
  }
  const text = `${head}\n${indent}${code.slice(start, end)}`;
  return place(text + code.slice(end), text.length, '\n', statement, indent, '');
}

/** Puts the lines of a statement at a place, between `before` and `after`, all indented alike. */
function place(
  code: string,
  at: number,
  before: '' | '\n',
  statement: string,
  indent: string,
  after: '' | '\n',
): Inserted {
  const lines = statement.replaceAll('\n', `\n${indent}`);
  const left = code.slice(0, at) + (before && before + indent);
  const right = (after && after + indent) + code.slice(at);
  return { code: left + lines + right, start: left.length, end: left.length + lines.length };
}
