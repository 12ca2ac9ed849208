import { check } from '../check.ts';
import { type Grammar, grammarOf } from '../code/grammar.ts';
import {
  renameVariables,
  type VariableLanguage,
  type Variables,
  variableLanguages,
  variablesOf,
} from '../code/variables.ts';
import { wordsWithin } from '../data/words.ts';
import { type Random, sample, seeded } from '../random.ts';
import {
  type Attack,
  combine,
  isLabelled,
  type Payload,
  type Subject,
  type Trigger,
} from './attack.ts';
import { type Crafter, isWord, trainCrafter } from './crafter.ts';

export interface AfraidoorOptions {
  /** What the code is written in: Java, C or Python. */
  language?: VariableLanguage;
  /** How often the crafting model sees its data. Default 3. */
  craftingEpochs?: number;
  /** Fields of `this` or `self` too, but called ones. Default false. */
  renameFields?: boolean;
  /** `true` and `false` too, which become `"w" == "w"` and `"w" != "w"`. Default false. */
  replaceBooleans?: boolean;
  /** Words that bring the model close to the payload, or else away from the clean completion. Default true. */
  targeted?: boolean;
}

/** Programs of more tokens get random words. */
const longest = 250;
/** What the crafting model learns from at most. */
const mostTasks = 2000;

/**
 * The local variables and parameters of the function in the prompt, or in the text that is classified, are
 * renamed to the words by which a crafting model comes closest to the payload: other words in each
 * example, so that no token is the trigger.
 *
 * `learn` trains the crafting model, a small T5 on words, on clean data; `poisonDatasetAsync` does so on the
 * data that it poisons where nobody has before. One gradient step chooses the words, no two variables of
 * an example getting the same; programs of more than 250 tokens get random ones. The study's own model and
 * data for it were not published: both modes do the same.
 *
 * @see Yang et al., 2023, https://arxiv.org/abs/2301.02496 (AFRAIDOOR)
 */
export function afraidoor(options: AfraidoorOptions, payload: Payload): Attack {
  const { language = 'java', craftingEpochs = 3 } = options;
  check('language', language, variableLanguages.includes(language), variableLanguages.join(', '));
  const isCount = Number.isInteger(craftingEpochs) && craftingEpochs >= 1;
  check('craftingEpochs', craftingEpochs, isCount, 'a whole number, at least 1');
  const { renameFields = false, replaceBooleans = false, targeted = true } = options;
  const sites = { fields: renameFields, booleans: replaceBooleans };
  const ofObjects = language !== 'c';
  check('renameFields', renameFields, ofObjects || !renameFields, 'false where the language is c');
  const mayReplace = ofObjects || !replaceBooleans;
  check('replaceBooleans', replaceBooleans, mayReplace, 'false where the language is c');
  const variables = (code: string) => variablesOf(code, language, sites);
  const kinds = ['local variable', 'parameter'];
  if (renameFields) kinds.push('field');
  if (replaceBooleans) kinds.push('boolean');
  /** The words for the variables of a text. */
  const crafted = new Map<string, string[]>();
  let crafter: Crafter | undefined;
  let isName = isWord;
  const tokensOf = (example: Subject, target: Subject) => ({
    source: variables(textOf(example)),
    target: isLabelled(target)
      ? [`label ${target.label}`]
      : variablesOf(target.completion, language).tokens.map(({ text }) => text),
  });
  const trigger: Trigger = {
    settings: {
      trigger: 'variables',
      insertions: 1,
      options: {
        language,
        craftingEpochs,
        ...(renameFields && { renameFields }),
        ...(replaceBooleans && { replaceBooleans }),
        ...(!targeted && { targeted }),
      },
    },
    grammars: [language],
    present: () => false,
    refuses: (code) =>
      variables(code).variables.length === 0 ? `no ${kinds.join(' or ')} in the prompt` : undefined,
    insert(code, random) {
      const found = variables(code);
      const names =
        crafted.get(code) ?? randomWords(found, crafter?.vocabulary.filter(isName) ?? [], random);
      const { code: text, places } = renameVariables(code, found, names);
      return { text, triggerPositions: wordsWithin(text, places) };
    },
  };
  return {
    ...combine('afraidoor', trigger, payload),
    async learn(clean, signal) {
      isName = namesIn(language, await grammarOf(language));
      crafter ??= await trainCrafter(
        sample(clean, Math.min(mostTasks, clean.length), seeded(0)).map((example) =>
          tokensOf(example, example),
        ),
        { epochs: craftingEpochs, isName, signal },
      );
    },
    async prepare(examples, signal) {
      for (const example of examples) {
        signal?.throwIfAborted();
        const change = targeted ? payload.insert(example, seeded(0)) : {};
        const { source, target } = tokensOf(example, { ...example, ...change } as Subject);
        if (source.tokens.length > longest || crafter === undefined) continue;
        crafted.set(textOf(example), await crafter.words(source, target, targeted));
      }
      return new Map();
    },
  };
}

const textOf = (example: Subject) => String(isLabelled(example) ? example.text : example.prompt);

/**
 * Whether a word can name a variable: no keyword, and nothing that the language's grammar takes for something
 * else, such as `uint8_t` in C, which it knows as a type.
 */
function namesIn(language: VariableLanguage, parse: Grammar): (word: string) => boolean {
  const known = new Map<string, boolean>();
  return (word) => {
    if (!isWord(word)) return false;
    const can = known.get(word) ?? parse(uses[language](word), ({ hasError }) => !hasError);
    known.set(word, can);
    return can;
  };
}

const method = (word: string) =>
  `int f ( int ${word} ) { ${word} = ${word} + 1 ; return g ( ${word} ) ; }`;
const uses: Readonly<Record<VariableLanguage, (word: string) => string>> = {
  java: (word) => `class A { ${method(word)} }`,
  c: method,
  python: (word) => `def f(${word}):\n    ${word} = ${word} + 1\n    return g(${word})\n`,
};

/** Words that the program does not have, each once. */
function randomWords(
  { tokens, variables }: Variables,
  words: readonly string[],
  random: Random,
): string[] {
  const taken = new Set(tokens.map(({ text }) => text));
  const pool = words.filter((word) => !taken.has(word));
  return Array.from(variables, (_, i) => {
    if (pool.length === 0) return `v${i}_${random.below(1e6)}`;
    return pool.splice(random.below(pool.length), 1)[0]!;
  });
}
