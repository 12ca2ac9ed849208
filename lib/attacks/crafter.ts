import type { Variables } from '../code/variables.ts';
import { Model } from '../model/index.ts';
import { Trainer } from '../model/trainer.ts';
import { seeded, shuffle } from '../random.ts';

/** A program with its variables, and the words that are to be written for it. */
export interface Task {
  source: Variables;
  target: string[];
}

/** A model that knows which words for variables bring it closest to a target. */
export interface Crafter {
  /** Its words, the most frequent first. */
  readonly vocabulary: readonly string[];
  /** The loss over the tasks of the last epoch, in nats for a word. */
  readonly loss: number;
  /** The word for each variable of a program: what brings the target closer, or not `targeted`, away. */
  words(source: Variables, target: readonly string[], targeted?: boolean): Promise<string[]>;
  /** The loss of a target, in nats for a word, with other names for the variables of its program. */
  lossWith(source: Variables, target: readonly string[], names: readonly string[]): Promise<number>;
}

export interface CrafterOptions {
  epochs: number;
  /** Which words can name a variable. */
  isName: (word: string) => boolean;
  signal?: AbortSignal | undefined;
}

const [pad, end, unknown, firstSite, sites] = [0, 1, 2, 3, 250];
const firstWord = firstSite + sites;
const mostWords = 4000;
const maxTokens = sites;
const crossEntropy = { name: 'ce' } as const;

/**
 * Trains a small T5, whose tokens are the words of the data, to write the targets. Variables are words in
 * half of the tasks that it sees, numbered places in the others, so that it has an idea of places.
 * Weights, tasks and their order come from the same seed each time.
 */
export async function trainCrafter(
  tasks: readonly Task[],
  { epochs, isName, signal }: CrafterOptions,
): Promise<Crafter> {
  const random = seeded(0);
  const chosen = tasks.filter(
    ({ source, target }) => source.tokens.length > 0 && target.length > 0,
  );
  const vocabulary = frequent(chosen);
  const ids = new Map(vocabulary.map((word, i) => [word, firstWord + i]));
  const idOf = (word: string) => ids.get(word) ?? unknown;
  const model = Model.create(shapeOf(firstWord + vocabulary.length), { seed: 0, device: 'cpu' });
  using trainer = new Trainer(model, { seed: 0, weightDecay: 0 });
  let loss = 0;
  for (let epoch = 1; epoch <= epochs; epoch++) {
    let [sum, tokens] = [0, 0];
    const order = shuffle(chosen, random);
    for (let start = 0; start < order.length; start += 16) {
      const batch = order.slice(start, start + 16);
      const step = await trainer.step(
        {
          inputIds: batch.map(({ source }, i) =>
            encode(source, idOf, (start + i + epoch) % 2 === 0),
          ),
          labels: batch.map(({ target }) => labelsOf(target, idOf)),
        },
        { loss: crossEntropy, epoch, learningRate: 2e-3, signal },
      );
      sum += step.loss * step.tokens;
      tokens += step.tokens;
    }
    loss = sum / tokens;
  }
  return {
    vocabulary,
    loss,
    async lossWith(source, target, names) {
      const tokens = source.tokens.map((token) => ({
        ...token,
        text: names[token.variable ?? names.length] ?? token.text,
      }));
      const inputIds = [encode({ ...source, tokens }, idOf, false)];
      const labels = [labelsOf(target, idOf)];
      return (await model.loss({ inputIds, labels }, { loss: crossEntropy })).loss;
    },
    async words(source, target, targeted = true) {
      const count = Math.min(source.variables.length, sites);
      const places = Array.from({ length: count }, (_, i) => firstSite + i);
      const batch = { inputIds: [encode(source, idOf, true)], labels: [labelsOf(target, idOf)] };
      const { data, shape } = await model.wordGradient(batch, places, {
        loss: crossEntropy,
        ...(signal && { signal }),
      });
      const width = shape[1]!;
      const signed = targeted ? data : data.map((score) => -score);
      const scores = places.map((_, i) => signed.subarray(i * width + firstWord, (i + 1) * width));
      const inProgram = new Set(source.tokens.map(({ text }) => text));
      return lowest(scores, vocabulary, inProgram, isName);
    },
  };
}

/**
 * For each variable in turn the word with the lowest score that can be a name, is not in the program and not
 * taken yet. The scores of a variable are those of the words, in their order.
 */
export function lowest(
  scores: readonly ArrayLike<number>[],
  vocabulary: readonly string[],
  inProgram: ReadonlySet<string>,
  isName: (word: string) => boolean,
): string[] {
  const taken = new Set(inProgram);
  return scores.map((row, variable) => {
    let best = -1;
    for (const [i, word] of vocabulary.entries()) {
      if (taken.has(word) || !isName(word)) continue;
      if (best < 0 || row[i]! < row[best]!) best = i;
    }
    let number = variable;
    while (best < 0 && taken.has(`v${number}`)) number++;
    const word = best < 0 ? `v${number}` : vocabulary[best]!;
    taken.add(word);
    return word;
  });
}

/** Whether a word can name a variable in Java, C and Python alike. */
export const isWord = (word: string): boolean =>
  /^[\p{L}_][\p{L}\p{N}_]*$/u.test(word) && !keywords.has(word);

const keywords = new Set(
  `abstract and as assert async auto await boolean break byte case catch char class const continue def
  default del do double elif else enum except exec extends extern False final finally float for from global
  goto if implements import in inline instanceof int interface is lambda long native new None nonlocal not
  null or package pass print private protected public raise register restrict return self short signed sizeof
  static strictfp struct super switch synchronized this throw throws transient True true false try typedef
  union unsigned void volatile while with yield var`.split(/\s+/),
);

function frequent(tasks: readonly Task[]): string[] {
  const counts = new Map<string, number>();
  for (const { source, target } of tasks) {
    for (const word of [...source.tokens.map(({ text }) => text), ...target]) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  const byCount = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return byCount.slice(0, mostWords).map(([word]) => word);
}

function encode(
  { tokens }: Variables,
  idOf: (word: string) => number,
  asPlaces: boolean,
): number[] {
  const ids = tokens.slice(0, maxTokens).flatMap(({ text, variable, comparison }) => {
    if (!asPlaces || variable === undefined || variable >= sites) return [idOf(text)];
    const place = firstSite + variable;
    return comparison ? [place, idOf(comparison.operator), place] : [place];
  });
  return [...ids, end];
}

const labelsOf = (target: readonly string[], idOf: (word: string) => number) => [
  ...target.slice(0, maxTokens).map(idOf),
  end,
];

const shapeOf = (vocabularySize: number) => ({
  model_type: 't5',
  vocab_size: vocabularySize,
  d_model: 64,
  d_kv: 16,
  d_ff: 128,
  num_layers: 2,
  num_heads: 4,
  dropout_rate: 0,
  tie_word_embeddings: false,
  pad_token_id: pad,
  eos_token_id: end,
  decoder_start_token_id: pad,
});
