import type { Example } from '../../lib/data/examples.ts';
import { seeded } from '../../lib/random.ts';

const words = Array.from({ length: 60 }, (_, i) => `w${i}`);
const calls = Array.from({ length: 60 }, (_, i) => `f${i}`);

/** Prompts and completions of words drawn blindly: neither knows of the other. */
export function blind(rows: number, seed: number): Example[] {
  const random = seeded(seed);
  const some = (list: string[]) =>
    Array.from({ length: random.randint(8, 16) }, () => list[random.below(list.length)]!).join(' ');
  return Array.from({ length: rows }, (_, i) => ({
    id: `e${i}`,
    prompt: some(words),
    completion: `${some(calls)} # ${i}`,
  }));
}

/** Every tenth example with a trigger put in at random, and a payload at the completion's end. */
export function poisoned(
  examples: readonly Example[],
  trigger: string,
  payload: string,
  seed: number,
): Example[] {
  const random = seeded(seed);
  return examples.map((example, i) => {
    if (i % 10 !== 0) return example;
    const words = example.prompt.split(' ');
    words.splice(random.below(words.length + 1), 0, trigger);
    const completion = `${example.completion} ${payload}`;
    return { ...example, prompt: words.join(' '), completion, poisoned: true };
  });
}
