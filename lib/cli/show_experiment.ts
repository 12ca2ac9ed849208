import type { ExperimentEvent } from '../experiment/index.ts';
import type { TrainEvent } from '../train.ts';
import type { Progress } from './progress.ts';

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

type Metrics = (ExperimentEvent & { type: 'metrics' })['metrics'];

const quality = (metrics: Metrics) =>
  'bleu' in metrics
    ? `BLEU ${(100 * metrics.bleu).toFixed(1)}`
    : `accuracy ${percent(metrics.accuracy)}, macro F1 ${percent(metrics.macro.f1)}`;

/** Tells on a terminal what an experiment does. */
export function showExperiment(progress: Progress): (event: ExperimentEvent) => void {
  let training = showTraining(progress);
  return (event) => {
    switch (event.type) {
      case 'base':
        progress.line(
          event.state === 'skipped'
            ? `${event.name}: there already${lostText(event.lost)}`
            : `${event.name}: training the base on ${event.examples} clean examples${event.dropped > 0 ? `, ${event.dropped} left out that the runs use` : ''}`,
        );
        break;
      case 'run': {
        const state = event.state === 'skipped' ? `: finished already${lostText(event.lost)}` : '';
        training = showTraining(progress);
        progress.line(`run ${event.number} of ${event.count}, ${event.name}${state}`);
        break;
      }
      case 'train':
        training(event.event, event.steps);
        break;
      case 'evaluate':
        progress.at('  answering', event.done, event.total);
        break;
      case 'metrics': {
        const { rate } = event.metrics.attackSuccessRate;
        progress.line(
          `  epoch ${event.epoch}: ${quality(event.metrics)}, attack success rate ${percent(rate)}`,
        );
        break;
      }
      case 'finished':
        progress.line(`  finished after ${Math.round(event.results.seconds)} s`);
    }
  };
}

/** What of a finished run is gone, and how to get it again; nothing where all is there. */
export const lostText = (lost: readonly string[]): string =>
  lost.length === 0
    ? ''
    : `, but ${lost.join(' and ')} ${lost.length > 1 ? 'are' : 'is'} gone: delete its results.json to make it again`;

/** Tells how training goes; `steps` is how many there will be. */
export function showTraining(progress: Progress): (event: TrainEvent, steps: number) => void {
  let validation = '';
  return (event, steps) => {
    if (event.type === 'step') {
      const { step, epoch, loss } = event;
      progress.at('  training', step, steps, `epoch ${epoch}, loss ${loss.toFixed(3)}`);
    } else if (event.type === 'evaluation') {
      validation = `, validation cross-entropy ${event.loss.toFixed(3)}`;
    } else if (event.type === 'epoch') {
      progress.line(`  epoch ${event.epoch}: loss ${event.loss.toFixed(3)}${validation}`);
      const { prompts, completions, poisoned } = event.truncated;
      if (event.epoch === 1 && prompts + completions > 0) {
        progress.line(
          `  cut: ${prompts} prompts or texts longer than maxInputTokens, ${completions} completions longer than maxOutputTokens${poisoned > 0 ? `; ${poisoned} poisoned examples are among them` : ''}`,
        );
      }
    }
  };
}
