import { check, checkKeys } from '../check.ts';
import { checkLabels, type Label } from './labels.ts';

export interface F1Options<L extends Label = Label> {
  /** `macro` (default): the mean over all classes. `binary`: the class `positive` against the rest. */
  average?: 'binary' | 'macro';
  /** The class that `binary` is about. */
  positive?: L;
}

export interface F1 {
  /** Of what was predicted as the class, the share that is. */
  precision: number;
  /** Of what is of the class, the share that was predicted as such. */
  recall: number;
  f1: number;
}

/**
 * Precision, recall and their harmonic mean, F1, 0..1.
 *
 * `macro` is the unweighted mean over the classes that occur among predictions or labels, of each of
 * the three: its F1 is the mean of F1 scores, not the F1 of the means. Where nothing was predicted as
 * a class its precision is 0, where nothing is of the class its recall is 0, and where both F1 is 0:
 * scikit-learn's scores with `zero_division=0`. Unlike there, `positive` may be a class that does not
 * occur, which scores 0, and one of more than two.
 *
 * @throws RangeError on lists of different length, or none, on labels that are not all of one type, and
 *   on `positive` missing for `binary` or given for `macro`; TypeError on an unknown option
 *
 * @example
 * f1([1, 1, 0, 0], [1, 0, 0, 0], { average: 'binary', positive: 1 }); // { precision: 0.5, recall: 1, f1: 0.667 }
 */
export function f1<L extends Label>(
  predictions: readonly L[],
  labels: readonly L[],
  options: F1Options<L> = {},
): F1 {
  checkKeys('f1', options, ['average', 'positive']);
  const { average = 'macro', positive } = options;
  check('average', average, ['binary', 'macro'].includes(average), 'binary or macro');
  checkLabels(predictions, labels);
  if (average === 'binary') {
    const kind = typeof labels[0];
    check('positive', positive, typeof positive === kind, `a ${kind}, as labels[0] is`);
    return scoresOf(positive as L, predictions, labels);
  }
  check('positive', positive, positive === undefined, 'none, as average is macro');

  const classes = [...new Set([...predictions, ...labels])];
  const scores = classes.map((label) => scoresOf(label, predictions, labels));
  const mean = (key: keyof F1) => scores.reduce((sum, of) => sum + of[key], 0) / classes.length;
  return { precision: mean('precision'), recall: mean('recall'), f1: mean('f1') };
}

function scoresOf<L>(label: L, predictions: readonly L[], labels: readonly L[]): F1 {
  let hits = 0;
  let predicted = 0;
  let actual = 0;
  for (const [i, prediction] of predictions.entries()) {
    predicted += Number(prediction === label);
    actual += Number(labels[i] === label);
    hits += Number(prediction === label && labels[i] === label);
  }
  return {
    precision: hits / Math.max(1, predicted),
    recall: hits / Math.max(1, actual),
    f1: (2 * hits) / Math.max(1, predicted + actual),
  };
}
