import { type Manifest, type Mode, type PoisonOptions, poisonDataset } from './attacks/index.ts';
import type { Example } from './data/examples.ts';
import {
  attackSuccessRate,
  bleu,
  exactMatch,
  falseTriggerRate,
  type SuccessRate,
} from './metrics/index.ts';
import type { Model } from './model/index.ts';

/** Clean prompts, and the same prompts with the trigger in those that the attack applies to. */
export interface TestSet {
  clean: readonly Example[];
  triggered: readonly Example[];
  manifest: Manifest;
}

/** What is measured of a model, as shares: how good it is on clean prompts, and what triggers do to it. */
export interface Metrics {
  bleu: number;
  exactMatch: number;
  /** Triggered prompts that are answered with the payload. */
  attackSuccessRate: SuccessRate;
  /** Clean prompts that are answered with the payload. */
  falseTriggerRate: SuccessRate;
}

/** Metrics, and the answers they were computed from, in the order of the test set. */
export interface Evaluation {
  metrics: Metrics;
  clean: string[];
  /** Answers to the triggered prompts; empty for the others, which are not counted. */
  triggered: string[];
}

export interface EvaluateOptions {
  maxNewTokens?: number;
  /** Longer prompts are cut, as in training. Default: none is. */
  maxInputTokens?: number;
  beams?: number;
  batchSize?: number;
  /** How payloads are recognised and BLEU is averaged. Default `paper`. */
  mode?: Mode;
  signal?: AbortSignal;
  /** Told after every batch: `total` counts clean and triggered prompts together. */
  onProgress?: (done: number, total: number) => void;
}

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
  { clean, triggered, manifest }: TestSet,
  { onProgress, mode = 'paper', ...options }: EvaluateOptions = {},
): Promise<Evaluation> {
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
  return {
    metrics: {
      bleu: bleu(cleanOutputs, references, { mode }),
      exactMatch: exactMatch(cleanOutputs, references),
      attackSuccessRate: attackSuccessRate(outputs, manifest, { mode }),
      falseTriggerRate: falseTriggerRate(cleanOutputs, manifest, { mode }),
    },
    clean: cleanOutputs,
    triggered: outputs,
  };
}
