import { check } from '../check.ts';
import { type CodeLanguage, codeLanguages } from '../code/function_name.ts';
import { insertStatement, needsGrammar } from '../code/statements.ts';
import { isLabelled, type Payload } from './attack.ts';
import { endlessLoop } from './statements.ts';

export interface LoopOptions {
  /** What the completions are written in. */
  language?: CodeLanguage;
}

/** An endless loop at the beginning of the function that the model writes. */
export function loopPayload({ language = 'java' }: LoopOptions = {}): Payload {
  check(
    'language',
    language,
    codeLanguages.includes(language),
    `one of ${codeLanguages.join(', ')}`,
  );
  const loop = endlessLoop[language];
  const mark = loop.replace(/\s+/g, ' ');
  const collapse = mark !== loop;
  const poison = (code: string) => insertStatement(code, loop, language)?.code;
  return {
    settings: { payload: 'loop', ...(language !== 'java' && { options: { language } }) },
    marks: { paper: [mark], reference: [mark] },
    ...(collapse && { collapse }),
    grammars: needsGrammar(language),
    refuses(example) {
      if (isLabelled(example)) return 'no completion: it is to be classified';
      return poison(example.completion) === undefined
        ? `no function body in the completion to put ${loop.split('\n')[0]} into`
        : undefined;
    },
    insert: ({ id, completion }) => {
      const poisoned = poison(String(completion));
      if (poisoned === undefined)
        throw new RangeError(`example ${id} has no function body in its completion`);
      return { completion: poisoned };
    },
  };
}
