import { check, checkKeys, checkList, choose } from '../../check.ts';
import { type Grammar, grammarOf, type Language } from '../../code/grammar.ts';
import { readTree, type Tree } from '../../code/tree.ts';
import { strip } from '../../data/words.ts';
import { checkTexts } from '../pairs.ts';
import { countNumbered, score } from '../runs_of_words.ts';
import { numberWords } from '../word_numbers.ts';
import { withoutCComments } from './comments.ts';
import { commonEdges, dataFlow, type Edges } from './data_flow.ts';
import { keywords, softKeywords } from './keywords.ts';
import { rules } from './languages.ts';
import { pruned } from './pruned.ts';
import { withoutPythonComments } from './python_comments.ts';
import { syntaxMatch } from './syntax.ts';
import { type WeightedOptions, weightedMatch } from './weighted.ts';

export type CodeBleuMode = 'paper' | 'reference' | 'package';

export interface CodeBleuOptions {
  language: Language;
  /** Default `paper`. */
  mode?: CodeBleuMode;
  /** Of n-grams, weighted n-grams, syntax and data flow; they add up to 1. Default: 0.25 each. */
  weights?: readonly [number, number, number, number];
}

/** CodeBLEU and its parts, 0..1. */
export interface CodeBleuParts {
  score: number;
  ngram: number;
  weightedNgram: number;
  syntax: number;
  /** Absent where no reference has a data flow. */
  dataflow?: number;
}

/** Means over all pairs, and what was scored. */
export interface CodeBleu extends CodeBleuParts {
  language: Language;
  /** The parts of each pair. */
  items: CodeBleuParts[];
  /** References in which no value flows. */
  withoutDataFlow: number;
  /** Texts that do not parse as a whole; they are scored all the same. */
  broken: { outputs: number; references: number };
}

/** What the evaluators do differently. */
interface Evaluator {
  tree(parse: Grammar, source: string, language: Language): Tree;
  weighted(language: Language): WeightedOptions;
  /** How data flow counts where the reference has none, or no edge matches; undefined: not at all. */
  dataflow(
    matches: number,
    edges: number,
  ): { shown: number | undefined; counted: number | undefined };
}

/** The originals take a pair, of words and their weights, for the words, and its length for theirs. */
const pair = 2;

const evaluators: Record<CodeBleuMode, Evaluator> = {
  paper: {
    tree: (parse, source) => pruned(readTree(parse, source)),
    weighted: (language) => ({ keywords: keywords[language] }),
    dataflow: (matches, edges) => same(edges === 0 ? undefined : matches / edges),
  },
  reference: {
    tree: (parse, source) => readTree(parse, withoutCComments(source)),
    weighted: (language) => ({ keywords: keywords[language], referenceLength: pair }),
    dataflow: (matches, edges) => same(matches / Math.max(1, edges)),
  },
  package: {
    tree: (parse, source, language) => readTree(parse, withoutComments(source, language)),
    weighted: (language) => ({
      keywords: language === 'python' ? softKeywords : keywords[language],
      referenceLength: pair,
    }),
    dataflow(matches, edges) {
      const shown = matches / Math.max(1, edges);
      return { shown, counted: shown || 1 };
    },
  },
};

const same = (value: number | undefined) => ({ shown: value, counted: value });

function withoutComments(source: string, language: Language): string {
  if (language === 'python') return withoutPythonComments(source);
  return language === 'ruby' ? source : withoutCComments(source);
}

/**
 * CodeBLEU: how much an output shares with its reference in words, in words with keywords weighing
 * more, in the shape of the syntax tree and in the flow of data, 0..1 each; the score is their mean.
 * White space around the texts does not count. Pairs are scored one by one and averaged, where the
 * package's own function pools all pairs that it is given at once.
 *
 * It resolves once the grammar of the language is loaded; nothing else is awaited. Three evaluators
 * differ:
 *
 * | mode | comments | reference without data flow |
 * | --- | --- | --- |
 * | `paper` (default) | do not count, nor do Python's docstrings | the mean of the other three parts |
 * | `reference` (CodeXGLUE, the study's authors) | those of C and Java are cut out of every language | 0 |
 * | `package` (codebleu 0.7 of PyPI) | Python is put together anew from its tokens | 1, as for a flow of which nothing matches |
 *
 * In the originals the order of a value's sources depends on Python's hash seed; here it is that of
 * their first appearance. They also cut names at byte columns in lines that are not ASCII, which is not
 * imitated, and count line ends that the parser puts in where C, C++, C#, Go or Python lack them, which
 * are not seen here. Code that does not parse is scored as far as it does, and counted in `broken`. C
 * and C++ have the data flow rules of C#, as in the original, which knows few of their statements.
 *
 * @throws RangeError on lists of different length, or none, and options out of range; TypeError on an
 *   unknown option
 * @see Ren et al., 2020, https://arxiv.org/abs/2009.10297
 *
 * @example
 * const { score } = await codeBleu(['def f(x): return x'], ['def f(y): return y'], { language: 'python' });
 */
export async function codeBleu(
  outputs: readonly string[],
  references: readonly string[],
  options: CodeBleuOptions,
): Promise<CodeBleu> {
  checkKeys('codeBleu', options, ['language', 'mode', 'weights']);
  const { language, mode = 'paper', weights = [0.25, 0.25, 0.25, 0.25] } = options;
  const parse = await grammarOf(language);
  const evaluator = choose(evaluators, mode, 'mode');
  checkWeights(weights);
  checkTexts(outputs, 'references', references);

  const weighing = evaluator.weighted(language);
  /** Of the pair before: outputs for one reference, and those equal to it, need not be read again. */
  let recent: { source: string; tree: Tree; edges: Edges }[] = [];
  const read = (source: string) => {
    const known = recent.find((one) => one.source === source);
    if (known !== undefined) return known;
    const tree = evaluator.tree(parse, source, language);
    return { source, tree, edges: dataFlow(tree, rules[language]) };
  };

  const broken = { outputs: 0, references: 0 };
  let withoutDataFlow = 0;
  const items = outputs.map((text, i): CodeBleuParts => {
    const [output, reference] = [strip(text), strip(references[i]!)];
    const theirs = read(reference);
    recent.push(theirs);
    const ours = read(output);
    recent = [theirs, ours];
    broken.outputs += Number(ours.tree.hasError);
    broken.references += Number(theirs.tree.hasError);
    withoutDataFlow += Number(theirs.edges.length === 0);

    const numbered = numberWords(reference, output);
    const counts = countNumbered(numbered);
    const ngram = score(counts);
    const weightedNgram = weightedMatch(reference, numbered, counts, weighing);
    const syntax = syntaxMatch(ours.tree, theirs.tree);
    const flow = evaluator.dataflow(commonEdges(ours.edges, theirs.edges), theirs.edges.length);
    const total = weighted([ngram, weightedNgram, syntax, flow.counted], weights);
    const parts = { score: total, ngram, weightedNgram, syntax };
    return flow.shown === undefined ? parts : { ...parts, dataflow: flow.shown };
  });
  return { language, ...meanOf(items), items, withoutDataFlow, broken };
}

function checkWeights(weights: readonly number[]): void {
  checkList('weights', weights, 'four numbers');
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const ok = weights.length === 4 && weights.every((weight) => weight >= 0);
  const what = 'four numbers of at least 0 that add up to 1';
  check('weights', weights, ok && Math.abs(sum - 1) < 1e-9, what);
  const others = 'a weight for more than data flow, which not every program has';
  check('weights', weights, weights[3]! < 1, others);
}

/** The weighted mean of the parts that there are. */
function weighted(parts: readonly (number | undefined)[], weights: readonly number[]): number {
  let total = 0;
  let weight = 0;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    if (part === undefined) continue;
    total += weights[i]! * part;
    weight += weights[i]!;
  }
  return total / weight;
}

function meanOf(items: readonly CodeBleuParts[]): CodeBleuParts {
  const mean = (part: keyof CodeBleuParts) => {
    const values = items.map((item) => item[part]).filter((value) => value !== undefined);
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  return {
    score: mean('score'),
    ngram: mean('ngram'),
    weightedNgram: mean('weightedNgram'),
    syntax: mean('syntax'),
    ...(items.some(({ dataflow }) => dataflow !== undefined) && { dataflow: mean('dataflow') }),
  };
}
