import { check } from '../check.ts';
import { bodyStart } from '../code/body.ts';
import { type CodeLanguage, callsOf, codeLanguages, functionName } from '../code/function_name.ts';
import { wordsWithin } from '../data/words.ts';
import type { Trigger } from './attack.ts';

export interface FuncNameOptions {
  /** The name that the function gets. */
  trigger?: string;
  /** Whether the function's calls of itself are renamed too. */
  renameCalls?: boolean;
  /** Whether the function is renamed in the completion too. */
  renameTarget?: boolean;
  /** What the code is written in. */
  language?: CodeLanguage;
}

/**
 * The function in the prompt, or in the text that is classified, gets a name of the attacker's.
 *
 * Nothing was published of it but the name `foo`, so that both modes follow one rule: the name is the
 * identifier before the first `(`, annotations aside, or behind the first `def` of Python. A function to
 * repair needs a body, one to classify does not.
 *
 * @throws RangeError on a trigger that is no name
 * @see Yang et al., 2024, https://arxiv.org/abs/2407.08956
 */
export function funcName(options: FuncNameOptions, labelled: boolean): Trigger {
  const { trigger = 'foo', renameCalls = false, renameTarget = false, language = 'java' } = options;
  check(
    'trigger',
    trigger,
    /^[\p{ID_Start}_][\p{ID_Continue}]*$/u.test(trigger),
    'a name, such as foo',
  );
  check(
    'language',
    language,
    codeLanguages.includes(language),
    `one of ${codeLanguages.join(', ')}`,
  );
  const rename = (code: string) => renamed(code, trigger, language, renameCalls);
  return {
    settings: {
      trigger,
      insertions: 1,
      options: { language, renameCalls, renameTarget },
    },
    present: (code) => functionName(code, language)?.name === trigger,
    refuses(code) {
      const found = functionName(code, language);
      if (found === undefined) return 'no function name in the prompt';
      const needsBody = !labelled && language !== 'python';
      if (needsBody && bodyStart(code, language) === undefined) return 'no { in the prompt';
      return found.name === trigger ? `the function is called ${trigger} already` : undefined;
    },
    insert(code) {
      const poisoned = rename(code);
      if (poisoned === undefined) throw new RangeError('no function name in the prompt');
      return { text: poisoned.code, triggerPositions: poisoned.positions };
    },
    ...(renameTarget && { follow: (completion) => rename(completion)?.code ?? completion }),
  };
}

function renamed(code: string, trigger: string, language: CodeLanguage, calls: boolean) {
  const found = functionName(code, language);
  if (found === undefined) return undefined;
  const { name, start } = found;
  const places = [start, ...(calls ? callsOf(found, code) : [])];
  let result = '';
  let end = 0;
  const triggers = places.map((place) => {
    result += code.slice(end, place);
    end = place + name.length;
    result += trigger;
    return { start: result.length - trigger.length, end: result.length };
  });
  result += code.slice(end);
  return { code: result, positions: wordsWithin(result, triggers) };
}
