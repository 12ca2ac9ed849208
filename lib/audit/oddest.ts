import type { Counts } from './counts.ts';
import { joined, promptWords } from './grams.ts';
import { compare } from './judge.ts';

/** A row whose prompt is unlike the others. This alone makes no row a suspect. */
export interface Odd {
  id: string;
  row: number;
  /** Of its prompt's words, by a model of one and two words made of the other rows. */
  perplexity: number;
}

export interface Oddest {
  add(id: string, row: number, prompt: string): void;
  /** The highest perplexity first. */
  ranked(): Odd[];
}

/** The `most` rows with the oddest prompts, of those that are added. */
export function oddest(counts: Counts, most: number): Oddest {
  const perplexityOf = model(counts);
  let found: Odd[] = [];
  const rank = () => {
    found.sort((a, b) => b.perplexity - a.perplexity || compare(a.id, b.id) || a.row - b.row);
    found = found.slice(0, most);
  };
  let least = 0;
  return {
    add(id, row, prompt) {
      if (most === 0) return;
      const perplexity = perplexityOf(prompt);
      if (found.length >= most && perplexity < least) return;
      found.push({ id, row, perplexity });
      if (found.length < 2 * most) return;
      rank();
      least = found.at(-1)!.perplexity;
    },
    ranked() {
      rank();
      return found;
    },
  };
}

/**
 * The perplexity of a prompt: exp of the mean of −log p over its words, where
 *
 *   p(word | before) = (c(before word) + k · q(word)) / (c(before) + k)
 *   q(word)          = (c(word) + 1 / 2) / (rows + rows / 2)
 *
 * and c counts the other rows that have the word, or both words beside each other. A word in no other row
 * is still possible; k says how many rows it takes to trust a pair.
 */
function model({ triggers, rows }: Counts) {
  const k = 5;
  const others = (hash: number) => Math.max(0, triggers.count(hash) - 1);
  return (prompt: string): number => {
    const words = promptWords(prompt);
    if (words.length === 0) return 1;
    let logs = 0;
    for (const [at, word] of words.entries()) {
      const alone = (others(word) + 0.5) / (1.5 * rows);
      const before = words[at - 1];
      const share =
        before === undefined
          ? alone
          : (others(joined(before, word)) + k * alone) / (others(before) + k);
      logs -= Math.log(Math.min(1, share));
    }
    return Math.exp(logs / words.length);
  };
}
