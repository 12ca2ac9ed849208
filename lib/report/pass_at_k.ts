import type { PassAtK } from '../pass_at_k.ts';
import { align } from './table.ts';
import { percent } from './words.ts';

/** pass@k, and why programs failed, as text for a terminal. */
export function passAtKText({ passAtK, problems, isolation }: PassAtK): string {
  const programs = problems.flatMap((problem) => problem.programs);
  const solved = problems.filter(({ correct }) => correct > 0).length;
  const shares = Object.entries(passAtK).map(([k, share]) => [`pass@${k}`, percent(share), '']);
  const ends = [...countBy(programs.map(({ reason }) => reason))]
    .sort(([, one], [, other]) => other - one)
    .map(([reason, count]) => [reason, String(count), percent(count / programs.length)]);
  return [
    align([['metric', 'value', ''], ...shares]),
    '',
    align([['programs', 'count', 'share'], ...ends]),
    '',
    `${solved} of ${problems.length} problems have a program that passed; programs were held by ${isolation.level}.`,
  ].join('\n');
}

function countBy(words: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}
