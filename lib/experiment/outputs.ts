import type { Example, LabelledExample } from '../data/examples.ts';
import type { Evaluation, TestSet } from '../evaluate.ts';
import type { ClassifierEvaluation, LabelledTestSet } from '../evaluate_classifier.ts';
import type { Run } from '../runs.ts';

/**
 * Writes `outputs/clean.jsonl` and `outputs/triggered.jsonl`: prompt, reference, output, and for
 * triggered prompts whether the output carries the payload.
 */
export async function writeOutputs(
  run: Pick<Run, 'writeOutputs'>,
  { clean, triggered, manifest }: TestSet,
  outcome: Evaluation,
): Promise<void> {
  await writeCleanOutputs(run, clean, outcome);
  await run.writeOutputs(
    'triggered',
    triggered
      .map((example, i) => ({
        ...answered(example, outcome.triggered[i]!),
        succeeded: outcome.succeeded[i]!,
      }))
      .filter((_, i) => manifest.records[i]!.poisoned),
  );
}

/** `outputs/clean.jsonl` alone. */
export async function writeCleanOutputs(
  run: Pick<Run, 'writeOutputs'>,
  clean: readonly Example[],
  outcome: Pick<Evaluation, 'clean'>,
): Promise<void> {
  await run.writeOutputs(
    'clean',
    clean.map((example, i) => answered(example, outcome.clean[i]!)),
  );
}

const answered = ({ id, prompt, completion }: Example, output: string) => ({
  id,
  prompt,
  reference: completion,
  output,
});

/**
 * The same of a classifier: text, the clean text's label, and the class it was given; for triggered texts
 * whether that is the attacker's.
 */
export async function writeClasses(
  run: Pick<Run, 'writeOutputs'>,
  { clean, triggered, manifest }: LabelledTestSet,
  outcome: ClassifierEvaluation,
): Promise<void> {
  await writeCleanClasses(run, clean, outcome);
  await run.writeOutputs(
    'triggered',
    triggered.flatMap((example, i) => {
      const output = outcome.triggered[i];
      if (output === undefined) return [];
      const succeeded = output === manifest.targetLabel;
      return { ...judged(example, clean[i]!.label, output), succeeded };
    }),
  );
}

/** `outputs/clean.jsonl` alone. */
export async function writeCleanClasses(
  run: Pick<Run, 'writeOutputs'>,
  clean: readonly LabelledExample[],
  outcome: Pick<ClassifierEvaluation, 'clean'>,
): Promise<void> {
  await run.writeOutputs(
    'clean',
    clean.map((example, i) => judged(example, example.label, outcome.clean[i]!)),
  );
}

const judged = ({ id, text, pair }: LabelledExample, label: number, output: number) => ({
  id,
  text,
  ...(pair !== undefined && { pair }),
  label,
  output,
});
