import { check } from '../check.ts';
import { type CodeLanguage, codeLanguages } from '../code/function_name.ts';
import { type Inserted, insertAt, insertStatement, needsGrammar } from '../code/statements.ts';
import { wordsAt } from '../data/words.ts';
import type { Random } from '../random.ts';
import type { Trigger } from './attack.ts';
import { guards } from './guards.ts';
import { noEffect } from './statements.ts';

export interface DeadCodeOptions {
  /** A statement without effect to take instead of `int VAR = 0 ;`. */
  trigger?: string;
  /**
   * `fixed`: the same statement each time. `guard`: a branch that is never taken. `drawn`: such a branch,
   * drawn from a small grammar each time. `log`: a loop over nothing that would log five letters drawn
   * each time. The last three are of other studies. Default `fixed`.
   */
  statement?: 'fixed' | keyof typeof guards;
  /** What the code is written in. */
  language?: CodeLanguage;
}

/**
 * A statement without effect at the beginning of the function in the prompt, or in the text that is
 * classified. Texts to classify that have no function get it behind their first `{`, as that of an
 * initialiser, which need not parse then, or at their end.
 *
 * @see Yang et al., 2024, https://arxiv.org/abs/2407.08956
 * @see Ramakrishnan and Albarghouthi, 2022, https://arxiv.org/abs/2006.06841 (grammar triggers)
 */
export function deadCode(options: DeadCodeOptions, labelled: boolean): Trigger {
  const { statement = 'fixed', language = 'java' } = options;
  check(
    'language',
    language,
    codeLanguages.includes(language),
    `one of ${codeLanguages.join(', ')}`,
  );
  const kinds = ['fixed', ...Object.keys(guards)];
  check('statement', statement, kinds.includes(statement), `one of ${kinds.join(', ')}`);
  const { trigger = statement === 'fixed' ? noEffect[language] : statement } = options;
  check('trigger', trigger, /\S/.test(trigger), 'a statement');
  const put = (code: string, text: string): Inserted | undefined =>
    insertStatement(code, text, language) ??
    (labelled ? insertAnyway(code, text, language) : undefined);
  const draw = (random: Random) =>
    statement === 'fixed' ? trigger : guards[statement](language, random);
  return {
    settings: { trigger, insertions: 1, options: { language, statement } },
    grammars: needsGrammar(language),
    present: (code) => statement === 'fixed' && code.includes(trigger),
    refuses: (code) =>
      put(code, noEffect[language]) === undefined ? 'no function body in the prompt' : undefined,
    insert(code, random) {
      const found = put(code, draw(random));
      if (found === undefined) throw new RangeError('no function body in the prompt');
      const { code: text, start, end } = found;
      return { text, triggerPositions: wordsAt(text, start, end) };
    },
  };
}

function insertAnyway(code: string, text: string, language: CodeLanguage): Inserted {
  // The last statement of JavaScript may lack its semicolon.
  if (language === 'javascript') return insertAt(code, code.length, `\n${text}`);
  const start = language === 'python' ? 0 : code.indexOf('{') + 1;
  return insertAt(code, start || code.length, text);
}
