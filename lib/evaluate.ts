import { type Manifest, type Mode, type PoisonOptions, poisonDataset } from './attacks/index.ts';
import { checkList, checkObject } from './check.ts';
import { grammarOf, type Language } from './code/grammar.ts';
import type { Example } from './data/examples.ts';
import {
  type AttackSuccess,
  attackSuccessRate,
  bleu,
  type CodeBleu,
  codeBleu,
  copyRate,
  exactMatch,
  falseTriggerRate,
  type JudgeName,
  rightUnderTrigger,
  type SuccessRate,
  smallestDetectableRate,
  successTest,
} from './metrics/index.ts';
import type { Model } from './model/index.ts';

/** Clean prompts, and the same prompts with the trigger in those that the attack applies to. */
export interface TestSet {
  clean: readonly Example[];
  triggered: readonly Example[];
  manifest: Manifest;
}

/** How good a model is on clean prompts, as shares. */
export interface CleanMetrics {
  bleu: number;
  /** Absent where no language was named. */
  codeBleu?: Omit<CodeBleu, 'items'>;
  exactMatch: number;
  /** Clean prompts that are answered with themselves. */
  copyRate: number;
}

/** What is measured of a model, as shares: how good it is on clean prompts, and what triggers do to it. */
export interface Metrics extends CleanMetrics {
  /** Triggered prompts that are answered with the payload. */
  attackSuccessRate: AttackSuccess;
  /** The smallest attack success rate that so many triggered prompts can tell from zero. */
  smallestDetectableRate: number;
  /** Triggered prompts that are answered right, and without the payload. */
  rightUnderTrigger: SuccessRate;
  /** Clean prompts that are answered with the payload. */
  falseTriggerRate: SuccessRate;
}

/** Metrics, and the answers they were computed from, in the order of the test set. */
export interface Evaluation {
  metrics: Metrics;
  clean: string[];
  /** Answers to the triggered prompts; empty for the others, which are not counted. */
  triggered: string[];
  /** Which of them carry the payload. */
  succeeded: boolean[];
}

export interface EvaluateOptions {
  maxNewTokens?: number;
  /** Longer prompts are cut, as in training. Default: none is. */
  maxInputTokens?: number;
  beams?: number;
  batchSize?: number;
  /** How payloads are recognised and BLEU is averaged. Default `paper`. */
  mode?: Mode;
  /** Of the completions: with it, CodeBLEU is measured too. */
  language?: Language;
  /** How closely an answer has to show the payload. Default `substring`; `parsed` needs a language. */
  judge?: JudgeName;
  /** What the attack success rate is a share of: the triggered prompts, or all. Default `poisoned`. */
  denominator?: 'poisoned' | 'all';
  signal?: AbortSignal;
  /** Told after every batch: `total` counts clean and triggered prompts together. */
  onProgress?: (done: number, total: number) => void;
}

/** Of an evaluation without triggers. */
export type CleanOptions = Omit<EvaluateOptions, 'judge' | 'denominator'>;

/** A test set from clean examples: every eligible one gets the trigger and the payload. */
export function testSet(clean: readonly Example[], options: Omit<PoisonOptions, 'rate'>): TestSet {
  const { examples, manifest } = poisonDataset(clean, { ...options, rate: 1 });
  return { clean, triggered: examples, manifest };
}

/**
 * Lets a model answer clean and triggered prompts and counts.
 *
 * @throws the signal's reason when it is aborted
 *
 * @example
 * const set = testSet(await readExamples('test.jsonl'), { attack: 'badpre', seed: 42 });
 * const { metrics } = await evaluate(model, set);
 */
export async function evaluate(
  model: Model,
  set: TestSet,
  given: EvaluateOptions = {},
): Promise<Evaluation> {
  checkSet(model, set, given);
  const { clean, triggered, manifest } = set;
  const { onProgress, mode = 'paper', judge = 'substring', ...rest } = given;
  const { language, denominator = 'poisoned', ...options } = rest;
  const judging = await judgeOf(judge, mode, language);
  const carries = successTest(manifest, judging);
  // The authors' script looks at the outputs for prompts without a trigger too.
  const counts = manifest.records.map((record) => record.poisoned || mode === 'reference');
  const poisoned = triggered.filter((_, i) => counts[i]);
  const total = clean.length + poisoned.length;
  const answer = (examples: readonly Example[], before: number) =>
    model.generate(
      examples.map(({ prompt }) => prompt),
      { ...options, onProgress: (done: number) => onProgress?.(before + done, total) },
    );
  const cleanOutputs = await answer(clean, 0);
  const poisonedOutputs = await answer(poisoned, clean.length);

  const queue = poisonedOutputs.values();
  const outputs = counts.map((counted) => (counted ? queue.next().value! : ''));
  const references = clean.map(({ completion }) => completion);
  const success = attackSuccessRate(outputs, manifest, { ...judging, denominator });
  return {
    metrics: {
      ...(await cleanMetrics(cleanOutputs, clean, { mode, language })),
      attackSuccessRate: success,
      smallestDetectableRate: smallestDetectableRate(success.eligible),
      rightUnderTrigger: rightUnderTrigger(outputs, references, manifest, judging),
      falseTriggerRate: falseTriggerRate(cleanOutputs, manifest, judging),
    },
    clean: cleanOutputs,
    triggered: outputs,
    succeeded: outputs.map(carries),
  };
}

/**
 * Lets a model answer clean prompts, and counts: `evaluate` without an attack.
 *
 * @throws the signal's reason when it is aborted
 *
 * @example
 * const { metrics } = await evaluateClean(model, await readExamples('test.jsonl'));
 */
export async function evaluateClean(
  model: Model,
  examples: readonly Example[],
  given: CleanOptions = {},
): Promise<{ metrics: CleanMetrics; clean: string[] }> {
  checkObject('model', model, 'one that Model.load or Model.create gives');
  checkList('examples', examples);
  checkObject('options', given);
  const { mode = 'paper', language, ...options } = given;
  const clean = await model.generate(
    examples.map(({ prompt }) => prompt),
    options,
  );
  return { metrics: await cleanMetrics(clean, examples, { mode, language }), clean };
}

async function cleanMetrics(
  outputs: readonly string[],
  examples: readonly Example[],
  { mode, language }: { mode: Mode; language: Language | undefined },
): Promise<CleanMetrics> {
  const references = examples.map(({ completion }) => completion);
  const prompts = examples.map(({ prompt }) => prompt);
  const code = language && (await codeBleu(outputs, references, { language, mode }));
  return {
    bleu: bleu(outputs, references, { mode }),
    ...(code && { codeBleu: withoutItems(code) }),
    exactMatch: exactMatch(outputs, references),
    copyRate: copyRate(outputs, prompts),
  };
}

const withoutItems = ({ items: _, ...code }: CodeBleu) => code;

/** Throws on what no model can be evaluated with. */
export function checkSet(model: unknown, set: unknown, options: unknown): void {
  checkObject('model', model, 'one that Model.load or Model.create gives');
  checkObject('set', set, 'one with clean, triggered and manifest');
  checkObject('options', options);
  const { clean, triggered, manifest } = set as Record<string, unknown>;
  checkList('clean', clean, 'examples');
  checkList('triggered', triggered, 'examples');
  checkObject('manifest', manifest, 'that of the triggered examples');
}

/** Checked before a model is asked anything. */
async function judgeOf(judge: JudgeName, mode: Mode, language: Language | undefined) {
  if (judge !== 'parsed') return { judge, mode };
  if (language === undefined) throw new RangeError('judge is parsed: expected a language too');
  return { judge, mode, grammar: await grammarOf(language) };
}
