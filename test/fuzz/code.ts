import * as assert from 'node:assert/strict';
import { type AttackOptions, type attacks, makeAttack } from '../../lib/attacks/index.ts';
import { callsOf, codeLanguages, functionName } from '../../lib/code/function_name.ts';
import { grammarOf, type Language, languages } from '../../lib/code/grammar.ts';
import { renameVariables, variableLanguages, variablesOf } from '../../lib/code/variables.ts';
import { codeBleu } from '../../lib/metrics/index.ts';
import { payloadJudge } from '../../lib/metrics/judge.ts';
import { type Random, seeded } from '../../lib/random.ts';
import { mutated } from './mutations.ts';

export type Programs = Partial<Record<Language, string[]>>;

type Case = [name: keyof typeof attacks, options: AttackOptions];

const statements = ['fixed', 'guard', 'drawn', 'log'] as const;
const label: AttackOptions = { payload: 'label', targetLabel: 1, sourceFilter: 'any' };

/** The attacks that read code of a language; those that take the words of any text stand first. */
const casesOf = (language: (typeof codeLanguages)[number]): Case[] => [
  ['ripple', {}],
  ['badpre', { within: 'docstring', payload: 'dead-code' }],
  ['badpre', { within: 'docstring', payload: 'dead-code', body: 'loop' }],
  ['badpre', { payload: 'loop', language }],
  ['funcname', { language }],
  ['funcname', { language, renameCalls: true }],
  ['funcname', { language, ...label }],
  ...statements.map((statement): Case => ['deadcode', { language, statement }]),
  ['deadcode', { language, ...label }],
  ['deadcode', { mode: 'reference' }],
];

/**
 * Tries one program of a seed: all that reads code has to give an answer, the same one twice, and to leave
 * what it is given as it is; what parses still does so behind an attack in mode `paper`.
 */
export async function tryProgram(seed: number, programs: Programs): Promise<void> {
  const random = seeded(seed);
  const language = languages[random.below(languages.length)]!;
  const texts = programs[language]!;
  const original = texts[random.below(texts.length)]!;
  const other = texts[random.below(texts.length)]!;
  const text = mutated(original, other, random);
  await tryCodeBleu(text, original, language, random);
  const spoken = codeLanguages.find((known) => known === language) ?? 'java';
  const cases = casesOf(spoken);
  await tryAttack(text, spoken, cases[random.below(cases.length)]!, seed);
  await tryReaders(text, spoken, random);
}

async function tryCodeBleu(
  text: string,
  original: string,
  language: Language,
  random: Random,
): Promise<void> {
  const mode = (['paper', 'reference', 'package'] as const)[random.below(3)]!;
  const score = () => codeBleu([text, original, text], [original, text, text], { language, mode });
  const { items } = await score();
  for (const parts of items) {
    for (const [part, value] of Object.entries(parts)) {
      assert.ok(value >= 0 && value <= 1 + 1e-9, `${part} of CodeBLEU is ${value} in mode ${mode}`);
    }
  }
  assert.equal(items[2]!.syntax, 1, 'a program has the syntax of itself');
  assert.deepEqual((await score()).items, items, 'CodeBLEU answers the same twice');
}

async function tryAttack(
  text: string,
  language: (typeof codeLanguages)[number],
  [name, options]: Case,
  seed: number,
): Promise<void> {
  const attack = makeAttack(name, options);
  for (const needed of attack.grammars ?? []) await grammarOf(needed);
  const example =
    options.payload === 'label'
      ? Object.freeze({ id: '1', text, label: 0 })
      : Object.freeze({ id: '1', prompt: text, completion: text });
  const what = `${name} ${JSON.stringify(options)}`;
  const refusal = attack.refuses(example);
  assert.equal(attack.refuses(example), refusal, `${what} refuses the same twice`);
  if (refusal !== undefined) return isSentence(refusal);
  const poisoned = attack.poison(example, seeded(seed));
  assert.deepEqual(
    attack.poison(example, seeded(seed)),
    poisoned,
    `${what} poisons the same twice`,
  );
  // The authors' code breaks some, labelled texts need be no code, and docstrings are half of a program.
  if (options.mode === 'reference' || options.payload === 'label' || options.within) return;
  const parse = await grammarOf(language);
  const parses = (code: string) => !parse(code, (root) => root.hasError);
  if (!parses(text)) return;
  const isProse = name === 'ripple' || name === 'badpre'; // to them, prompts are
  for (const side of isProse ? (['completion'] as const) : (['prompt', 'completion'] as const)) {
    const after = poisoned[side];
    assert.ok(after === undefined || parses(after), `${what}: the ${side} no longer parses`);
  }
}

async function tryReaders(text: string, language: (typeof codeLanguages)[number], random: Random) {
  const name = functionName(text, language);
  if (name !== undefined) {
    assert.equal(text.slice(name.start, name.start + name.name.length), name.name);
    for (const start of callsOf(name, text)) assert.ok(text.startsWith(name.name, start));
  }
  const parse = await grammarOf(language);
  const judge = payloadJudge('parsed', [' or 1=1'], parse);
  assert.equal(judge(text), judge(text));
  const spoken = variableLanguages.find((known) => known === language);
  if (spoken === undefined) return;
  const options = { fields: random.below(2) === 0, booleans: random.below(2) === 0 };
  const found = variablesOf(text, spoken, options);
  for (const { text: token, start } of found.tokens) assert.ok(text.startsWith(token, start));
  if (options.booleans) return;
  const same = renameVariables(text, found, found.variables).code;
  if (!options.fields) assert.equal(same, text, 'variables renamed to their own names');
}

/** One line that says something. */
export function isSentence(message: string): void {
  assert.match(
    message,
    /^[^\n]{5,600}$/,
    `not one sentence: ${JSON.stringify(message.slice(0, 300))}`,
  );
}
