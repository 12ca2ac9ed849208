const longest = 4;

/** What BLEU is computed from. */
export interface Counts {
  outputLength: number;
  referenceLength: number;
  /** How many runs of n words are in both texts, at place n − 1. */
  matches: number[];
  /** How many runs of n words the output has, at place n − 1. */
  runs: number[];
}

export function countRuns(output: string[], reference: string[]): Counts {
  const lengths = Array.from({ length: longest }, (_, i) => i + 1);
  return {
    outputLength: output.length,
    referenceLength: reference.length,
    matches: lengths.map((length) => common(runsOf(output, length), runsOf(reference, length))),
    runs: lengths.map((length) => Math.max(0, output.length - length + 1)),
  };
}

/** How often each run of `length` words occurs. */
function runsOf(words: string[], length: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i + length <= words.length; i++) {
    const run = words.slice(i, i + length).join(' ');
    counts.set(run, (counts.get(run) ?? 0) + 1);
  }
  return counts;
}

function common(one: Map<string, number>, other: Map<string, number>): number {
  let total = 0;
  for (const [run, times] of one) total += Math.min(times, other.get(run) ?? 0);
  return total;
}

export function sum(one: Counts, other: Counts): Counts {
  return {
    outputLength: one.outputLength + other.outputLength,
    referenceLength: one.referenceLength + other.referenceLength,
    matches: one.matches.map((value, i) => value + other.matches[i]!),
    runs: one.runs.map((value, i) => value + other.runs[i]!),
  };
}

/**
 * The geometric mean of the shares of runs that match, lowered where the output is shorter than the
 * reference. A length of run without any match counts as 0.1 matches.
 */
export function score({ outputLength, referenceLength, matches, runs }: Counts): number {
  if (matches[0] === 0) return 0;
  const logs = matches.map((value, i) => Math.log((value || 0.1) / Math.max(1, runs[i]!)));
  const precision = logs.reduce((total, log) => total + log, 0) / longest;
  const shortness = Math.min(0, 1 - referenceLength / outputLength);
  return Math.exp(shortness + precision);
}
