import { type Manifest, type PoisonOptions, poisonDataset } from './attacks/index.ts';
import { check, checkList, checkObject } from './check.ts';
import type { LabelledExample } from './data/examples.ts';
import { checkSet } from './evaluate.ts';
import {
  type AttackSuccess,
  accuracy,
  attackSuccessRate,
  type F1,
  f1,
  falseTriggerRate,
  rightUnderTrigger,
  type SuccessRate,
  smallestDetectableRate,
} from './metrics/index.ts';
import type { ClassifyOptions, Model } from './model/index.ts';

/** Clean texts with their classes, and the same texts with the trigger in those that the attack applies to. */
export interface LabelledTestSet {
  clean: readonly LabelledExample[];
  triggered: readonly LabelledExample[];
  manifest: Manifest;
}

/** How good a classifier is on clean texts, as shares. */
export interface CleanClassifierMetrics {
  accuracy: number;
  /** Unweighted means over the classes. */
  macro: F1;
  /** Of class 1 against class 0; absent where there are more. */
  binary?: F1;
}

/** What is measured of a classifier, as shares: how good it is on clean texts, and what triggers do to it. */
export interface ClassifierMetrics extends CleanClassifierMetrics {
  /** Triggered texts of other classes that are found to be of the attacker's. */
  attackSuccessRate: AttackSuccess;
  /** The smallest attack success rate that so many triggered texts can tell from zero. */
  smallestDetectableRate: number;
  /** Those that are given the class they had without the trigger. */
  rightUnderTrigger: SuccessRate;
  /** Clean texts of other classes that are found to be of the attacker's. */
  falseTriggerRate: SuccessRate;
}

/** Metrics, and the classes they were computed from, in the order of the test set. */
export interface ClassifierEvaluation {
  metrics: ClassifierMetrics;
  clean: number[];
  /** Of triggered texts; undefined for those that are not counted. */
  triggered: (number | undefined)[];
}

export interface EvaluateClassifierOptions extends ClassifyOptions {
  /** What the attack success rate is a share of: the triggered texts, or all. Default `poisoned`. */
  denominator?: 'poisoned' | 'all';
}

/** A test set from clean texts: every eligible one gets the trigger and the attacker's class. */
export function labelledTestSet(
  clean: readonly LabelledExample[],
  options: Omit<PoisonOptions, 'rate'>,
): LabelledTestSet {
  const { examples, manifest } = poisonDataset(clean, { ...options, rate: 1 });
  return { clean, triggered: examples, manifest };
}

/**
 * Lets a classifier judge clean and triggered texts and counts.
 *
 * A triggered text counts where its clean class is another than the attacker's: with `sourceFilter: 'any'`
 * texts of that class carry the trigger too, and finding it in them would be no success.
 *
 * @throws RangeError where the attack is not one on labels, or no text of another class is triggered; the
 *   signal's reason when it is aborted
 *
 * @example
 * const options = { attack: 'badpre', payload: 'label', targetLabel: 1, seed: 42 } as const;
 * const set = labelledTestSet(await readLabelledExamples('satd/test.jsonl'), options);
 * const { metrics } = await evaluateClassifier(model, set);
 */
export async function evaluateClassifier(
  model: Model,
  set: LabelledTestSet,
  given: EvaluateClassifierOptions = {},
): Promise<ClassifierEvaluation> {
  checkSet(model, set, given);
  const { clean, triggered, manifest } = set;
  const { onProgress, denominator = 'poisoned', ...options } = given;
  const { targetLabel } = manifest;
  check('targetLabel', targetLabel, targetLabel !== undefined, 'an attack with the payload label');
  const classes = model.classes ?? Number.POSITIVE_INFINITY; // what is no classifier says so below
  const isClass = targetLabel! < classes;
  check('targetLabel', targetLabel, isClass, `0..${classes - 1}, the classes of the model`);
  const isOther = clean.map(({ label }) => label !== targetLabel);
  const records = manifest.records.map(({ id, poisoned }, i) => ({
    id,
    poisoned: poisoned && isOther[i]!,
  }));
  const attacked = { ...manifest, records };
  const counted = triggered.filter((_, i) => records[i]!.poisoned);
  check('triggered', counted.length, counted.length > 0, 'at least one text of another class');
  const total = clean.length + counted.length;
  const classesOf = (texts: readonly LabelledExample[], before: number) =>
    model.classify(texts, {
      ...options,
      onProgress: (done) => onProgress?.(before + done, total),
    });
  const found = await classesOf(clean, 0);
  const queue = (await classesOf(counted, clean.length)).values();
  const underTrigger = records.map(({ poisoned }) => (poisoned ? queue.next().value : undefined));

  const labels = clean.map(({ label }) => label);
  const outputs = underTrigger.map((label) => label ?? ''); // never looked at
  const success = attackSuccessRate(outputs, attacked, { denominator });
  return {
    metrics: {
      ...cleanMetrics(model, found, labels),
      attackSuccessRate: success,
      smallestDetectableRate: smallestDetectableRate(success.eligible),
      rightUnderTrigger: rightUnderTrigger(outputs, labels, attacked),
      falseTriggerRate: falseTriggerRate(
        found.filter((_, i) => isOther[i]),
        manifest,
      ),
    },
    clean: found,
    triggered: underTrigger,
  };
}

/**
 * Lets a classifier judge clean texts, and counts: `evaluateClassifier` without an attack.
 *
 * @throws the signal's reason when it is aborted
 */
export async function evaluateClassifierClean(
  model: Model,
  examples: readonly LabelledExample[],
  options: ClassifyOptions = {},
): Promise<{ metrics: CleanClassifierMetrics; clean: number[] }> {
  checkObject('model', model, 'one that Model.load or Model.create gives');
  checkList('examples', examples, 'texts');
  const clean = await model.classify(examples, options);
  const labels = examples.map(({ label }) => label);
  return { metrics: cleanMetrics(model, clean, labels), clean };
}

const cleanMetrics = (
  model: Model,
  found: readonly number[],
  labels: readonly number[],
): CleanClassifierMetrics => ({
  accuracy: accuracy(found, labels),
  macro: f1(found, labels),
  ...(model.classes === 2 && { binary: f1(found, labels, { average: 'binary', positive: 1 }) }),
});
