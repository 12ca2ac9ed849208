import type { Example } from '../data/examples.ts';
import type { Evaluation, TestSet } from '../evaluate.ts';
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
  const row = ({ id, prompt, completion }: Example, output: string) => ({
    id,
    prompt,
    reference: completion,
    output,
  });
  await run.writeOutputs(
    'clean',
    clean.map((example, i) => row(example, outcome.clean[i]!)),
  );
  await run.writeOutputs(
    'triggered',
    triggered
      .map((example, i) => ({
        ...row(example, outcome.triggered[i]!),
        succeeded: outcome.succeeded[i]!,
      }))
      .filter((_, i) => manifest.records[i]!.poisoned),
  );
}
