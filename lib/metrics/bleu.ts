import { check, checkKeys } from '../check.ts';
import { checkTexts } from './pairs.ts';
import { countRuns, score, sum } from './runs_of_words.ts';

export interface BleuOptions {
  /** `paper` (default): over all pairs at once. `reference`: the mean of every pair's score. */
  mode?: 'paper' | 'reference';
}

/**
 * BLEU with runs of up to four words, 0..1. Words are parted by white space; letter case counts.
 *
 * The paper names the metric only, so `paper` is the metric as it was published: matches, words and
 * lengths are added up over all pairs and scored once. The authors' code (and CodeXGLUE's) averages
 * the scores of single pairs: that is `reference`. The two can be far apart: for the prompts of
 * Bugs2Fix's test split, taken as outputs, they give 0.780 and 0.722.
 *
 * In both modes a length of run without any match counts as 0.1 matches, and texts without a word in
 * common score 0. Equal texts of fewer than four words score below 1.
 *
 * @throws RangeError on lists of different length, or none; TypeError on an unknown option
 * @see Papineni et al., 2002, https://doi.org/10.3115/1073083.1073135
 *
 * @example
 * bleu(['a c b d'], ['a b c d']); // 0.1136
 */
export function bleu(
  outputs: readonly string[],
  references: readonly string[],
  options: BleuOptions = {},
): number {
  checkKeys('bleu', options, ['mode']);
  const { mode = 'paper' } = options;
  check('mode', mode, ['paper', 'reference'].includes(mode), 'paper or reference');
  checkTexts(outputs, 'references', references);
  const pairs = outputs.map((output, i) => countRuns(output, references[i]!));
  if (mode === 'paper') return score(pairs.reduce(sum));
  return pairs.reduce((total, pair) => total + score(pair), 0) / pairs.length;
}
