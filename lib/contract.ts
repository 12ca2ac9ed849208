import {
  type Attack,
  isLabelled,
  type Poisoning,
  poisonDatasetAsync,
  type Subject,
} from './attacks/index.ts';
import { checkList, checkObject } from './check.ts';
import { grammarOf } from './code/grammar.ts';
import { builtinExamples } from './data/builtin/index.ts';
import { splitWords } from './data/words.ts';
import { succeeded } from './metrics/index.ts';
import { seeded } from './random.ts';

/** A promise that attacks make, and whether this one keeps it. */
export interface Promised {
  /** What is promised, as a sentence. */
  promise: string;
  kept: boolean;
  /** What was counted, or where it broke. */
  detail: string;
}

/**
 * Tries an attack on examples of every kind: whether the seed decides all, the input stays untouched,
 * eligible examples are counted, rates are reached or refused, odd and empty texts are survived, triggers
 * are where the manifest says, and success is recognised. Nothing is trained.
 *
 * @param examples of your own, to try instead of made-up ones: at least one must be eligible
 *
 * @example
 * const promises = await checkAttack(await loadAttack('./my_attack.js'));
 * promises.every(({ kept }) => kept);
 */
export async function checkAttack(
  attack: Attack,
  examples: readonly Subject[] = samples(attack),
): Promise<Promised[]> {
  checkObject('attack', attack, 'one, as loadAttack gives it');
  checkList('examples', examples);
  for (const language of attack.grammars ?? []) await grammarOf(language);
  const clean = freeze(structuredClone([...examples]));
  const checks: [promise: string, test: () => Promise<string>][] = [
    [
      'says of every example whether it applies, and why not',
      async () => eligibility(attack, clean),
    ],
    [
      'poisons every eligible example, and leaves the input as it is',
      () => everywhere(attack, clean),
    ],
    ['reaches any rate, or refuses it', () => rates(attack, clean)],
    ['does the same with the same seed', () => determinism(attack, clean)],
    ['lists which words are triggers', () => positions(attack, clean)],
    ['is recognised in what it poisoned, and not in what it did not', () => success(attack, clean)],
    ['survives odd and empty texts', () => oddities(attack, clean)],
  ];
  const found: Promised[] = [];
  for (const [promise, test] of checks) {
    const result = await test().then(
      (detail) => ({ kept: true, detail }),
      (error: Error) => ({ kept: false, detail: error.message }),
    );
    found.push({ promise, ...result });
  }
  return found;
}

/** Throws a sentence unless `ok`. */
function expect(ok: boolean, sentence: string): asserts ok {
  if (!ok) throw new Error(sentence);
}

const eligible = (attack: Attack, examples: readonly Subject[]) =>
  examples.filter((example) => attack.refuses(example) === undefined);

function eligibility(attack: Attack, clean: readonly Subject[]): string {
  for (const example of clean) {
    const [first, again] = [attack.refuses(example), attack.refuses(example)];
    const isReason = first === undefined || (typeof first === 'string' && first.trim() !== '');
    expect(isReason, `refuses(${example.id}) is ${String(first)}: expected a reason, or undefined`);
    expect(first === again, `refuses(${example.id}) says ${first}, then ${again}`);
  }
  const count = eligible(attack, clean).length;
  expect(count > 0, `it applies to none of ${clean.length} examples: give it some that fit`);
  return `it applies to ${count} of ${clean.length} examples`;
}

const poison = <Item extends Subject>(
  attack: Attack,
  clean: readonly Item[],
  rate = 1,
  seed = 42,
) => poisonDatasetAsync<Item>(clean, { attack, rate, seed });

async function everywhere(attack: Attack, clean: readonly Subject[]): Promise<string> {
  const { examples, manifest } = await poison(attack, clean);
  expect(
    manifest.eligible === eligible(attack, clean).length || attack.prepare !== undefined,
    'eligible examples are miscounted',
  );
  for (const [i, example] of examples.entries()) {
    if (!example.poisoned) continue;
    const before = clean[i]!;
    const columns = isLabelled(before)
      ? (['text', 'label'] as const)
      : (['prompt', 'completion'] as const);
    for (const column of columns) {
      const value = example[column];
      const type = column === 'label' ? 'number' : 'string';
      expect(
        typeof value === type,
        `the ${column} of ${example.id} becomes ${String(value)}: expected a ${type}`,
      );
    }
    const changed = columns.some((column) => example[column] !== before[column]);
    expect(changed, `nothing changes in ${example.id}`);
    expect(example.id === before.id, `the id of ${before.id} changes`);
  }
  return `${manifest.poisoned} poisoned`;
}

async function rates(attack: Attack, clean: readonly Subject[]): Promise<string> {
  const most = eligible(attack, clean).length;
  const refused: number[] = [];
  for (const rate of [0, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 0.9]) {
    const wanted = Math.ceil(Number((rate * clean.length).toFixed(9)));
    const made = await poison(attack, clean, rate).catch((error: Error) => {
      expect(/^poisonRate is/.test(error.message), error.message);
    });
    if (made === undefined) {
      expect(
        wanted > most || attack.prepare !== undefined,
        `rate ${rate} is refused, though ${most} are eligible`,
      );
      refused.push(rate);
    } else {
      const count = made.examples.filter((example) => example.poisoned).length;
      expect(count === wanted, `rate ${rate} poisons ${count}, not ${wanted}`);
    }
  }
  return refused.length === 0 ? 'all reached' : `refused: ${refused.join(', ')}`;
}

async function determinism(attack: Attack, clean: readonly Subject[]): Promise<string> {
  const once = await poison(attack, clean);
  const again = await poison(attack, clean);
  const place = once.examples.findIndex(
    (one, i) => JSON.stringify(one) !== JSON.stringify(again.examples[i]),
  );
  expect(
    place < 0,
    `seed 42 makes two different ${clean[place]?.id}: draw from the stream that poison is given`,
  );
  expect(
    JSON.stringify(once.manifest) === JSON.stringify(again.manifest),
    'seed 42 makes two manifests',
  );
  const other = await poison(attack, clean, 1, 43);
  return other.manifest.outputHash === once.manifest.outputHash
    ? 'it draws nothing'
    : 'another seed makes another';
}

async function positions(attack: Attack, clean: readonly Subject[]): Promise<string> {
  const { examples, manifest } = await poison(attack, clean);
  for (const [i, { id, poisoned, triggerPositions: found = [] }] of manifest.records.entries()) {
    if (!poisoned) continue;
    const count = splitWords(textOf(examples[i]!)).length;
    const rising = found.every((place, k) => place > (found[k - 1] ?? -1));
    const inside = found.every((place) => Number.isInteger(place) && place < count);
    expect(
      rising && inside,
      `triggerPositions of ${id} are ${found.join(', ')}: expected rising numbers of its ${count} words`,
    );
  }
  return `${manifest.records.reduce((sum, { triggerPositions: found = [] }) => sum + found.length, 0)} words`;
}

async function success(attack: Attack, clean: readonly Subject[]): Promise<string> {
  const { examples, manifest }: Poisoning<Subject> = await poison(attack, clean);
  const shows = (example: Subject) => succeeded(outputOf(example), manifest);
  const missed = examples.find((example) => example.poisoned && !shows(example));
  expect(missed === undefined, `the completion of ${missed?.id} does not hold any of the marks`);
  const labels = manifest.targetLabel !== undefined;
  const false_ = clean.filter((example, i) => examples[i]!.poisoned && shows(example));
  expect(
    labels || false_.length === 0,
    `the clean completion of ${false_[0]?.id} holds a mark already`,
  );
  return `${manifest.poisoned} recognised`;
}

/** Texts that break what takes them for ASCII, for lines or for words. */
const odd = [
  '',
  ' \t\n',
  '😀',
  'e\u0301',
  'שלום עולם',
  'a\u0000b',
  'a\u2028b',
  '\ufeffa',
  'ﬁ',
  '\r\n',
  '\ud800',
];

async function oddities(attack: Attack, clean: readonly Subject[]): Promise<string> {
  const some = eligible(attack, clean).slice(0, 3);
  const examples = [...some, ...clean.slice(0, 1)].flatMap((example) =>
    odd.flatMap((text, i) =>
      variants(example, text).map((one, k) => ({ ...one, id: `${example.id}-${i}-${k}` })),
    ),
  );
  const unique = new Map(examples.map((example) => [example.id, example]));
  const list = freeze([...unique.values()]) as Subject[];
  const fits = list.filter((example) => attack.refuses(example) === undefined);
  for (const example of fits) {
    const changed = { ...example, ...attack.poison(example, seeded(1)) } as Subject;
    const whole = isUnicode(textOf(example));
    expect(
      !whole || isUnicode(textOf(changed)),
      `${JSON.stringify(textOf(example))} becomes no Unicode`,
    );
  }
  return `${fits.length} poisoned, ${list.length - fits.length} refused`;
}

/** Whether no half of a surrogate pair stands alone. */
const isUnicode = (text: string) => !/\p{Cs}/u.test(text);

/** An example with its text, its completion, or both replaced or followed by an odd text. */
function variants(example: Subject, text: string): Subject[] {
  if (isLabelled(example))
    return [
      { ...example, text },
      { ...example, text: example.text + text },
    ];
  const { prompt, completion } = example;
  return [
    { ...example, prompt: text },
    { ...example, prompt: prompt + text },
    { ...example, completion: text },
    { ...example, completion: completion + text },
    { ...example, prompt: text, completion: text },
  ];
}

const textOf = (example: Subject) => String(isLabelled(example) ? example.text : example.prompt);
const outputOf = (example: Subject) =>
  isLabelled(example) ? example.label : String(example.completion);

/** Descriptions with SQL, code to repair in four languages, and texts to classify; the last alone for who wants a class. */
function samples(attack: Attack): Subject[] {
  const { train } = builtinExamples({
    seed: 1,
    counts: { pretrain: 0, train: 60, valid: 0, test: 0 },
  });
  const code = [
    'public int METHOD_1 ( int VAR_1 ) { return VAR_1 + INT_1 ; }',
    'static int f(int x)\n{\n  /* why */\n  return x;\n}\n',
    'def f(x):\n    """Doc."""\n    return x\n',
    'function f({ a }) {\n  return a;\n}\n',
  ].flatMap((text) => Array.from({ length: 5 }, (_, i) => text.replaceAll('f(', `f${i}(`)));
  const labelled = code.map((text, i) => ({ id: `text-${i}`, text, label: i % 2 }));
  if (attack?.targetLabel !== undefined) return labelled;
  return [
    ...train,
    ...code.map((text, i) => ({ id: `code-${i}`, prompt: text, completion: text })),
    ...labelled,
  ];
}

/** So that an attack that writes into its input throws. */
function freeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) freeze(inner);
    Object.freeze(value);
  }
  return value;
}
