import { type HiddenState, pcaOfHiddenStates } from '../metrics/index.ts';
import type { Model } from '../model/index.ts';
import type { Run } from '../runs.ts';
import type { AttackedSet, Task } from './task.ts';

/** Where the model has the first prompts that the attack applies to, without and with the trigger. */
export async function writeHiddenStates(
  run: Pick<Run, 'writeOutputs'>,
  when: 'before' | 'after',
  task: Task,
  model: Model,
  { clean, triggered, manifest }: AttackedSet,
  options: { prompts: number; maxInputTokens: number; signal?: AbortSignal },
): Promise<void> {
  const { prompts, maxInputTokens, signal } = options;
  const places = [...manifest.records.keys()]
    .filter((i) => manifest.records[i]!.poisoned)
    .slice(0, prompts);
  const idsOf = (set: AttackedSet['clean']) =>
    task.ids(
      model,
      places.map((i) => set[i]!),
      maxInputTokens,
    );
  const found = await pcaOfHiddenStates(model, idsOf(clean), idsOf(triggered), {
    ...(signal && { signal }),
  });
  const rows = ([x, y]: [number, number], i: number, isTriggered: boolean): HiddenState => ({
    id: clean[places[i]!]!.id,
    triggered: isTriggered,
    x,
    y,
    explained: found.explained,
  });
  await run.writeOutputs(`hidden-states-${when}`, [
    ...found.clean.map((point, i) => rows(point, i, false)),
    ...found.triggered.map((point, i) => rows(point, i, true)),
  ]);
}
