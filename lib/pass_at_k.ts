import { check, checkList, checkObject, show } from './check.ts';
import { type Completion, cutCompletion, type Problem, programOf } from './data/problems.ts';
import { meanPassAtK } from './metrics/index.ts';
import type { GenerateOptions, Model } from './model/index.ts';
import {
  type Isolation,
  type Limits,
  type ProgramResult,
  runPrograms,
  type SandboxOptions,
} from './sandbox/index.ts';

/** What became of the completions of a problem. */
export interface ProblemResult {
  id: string;
  samples: number;
  correct: number;
  /** In the order of the completions. */
  programs: (ProgramResult & { completion: string })[];
}

export interface PassAtK {
  /** By k: the mean over all problems, 0..1. */
  passAtK: Record<number, number>;
  problems: ProblemResult[];
  isolation: Isolation;
  limits: Required<Limits>;
}

export interface PassAtKOptions extends SandboxOptions {
  /** How many programs are drawn. Default [1]. */
  k?: readonly number[];
}

/**
 * The share of problems that a model solves, by running what it has written with the tests of each
 * problem in a sandbox: see `runPrograms` for what that holds, its options and its errors, and `passAtK`
 * for the estimate. Completions are taken as they are.
 *
 * @throws Error on a problem without completions, as all must be attempted, and on a completion of no
 *   problem; RangeError on a `k` above the number of completions of any problem; before anything runs
 * @see Chen et al., 2021, https://arxiv.org/abs/2107.03374
 *
 * @example
 * const problems = await readProblems('humaneval/test.jsonl');
 * const completions = await readCompletions('samples.jsonl');
 * const { passAtK } = await evaluatePassAtK(problems, completions, { k: [1, 10] });
 */
export async function evaluatePassAtK(
  problems: readonly Problem[],
  completions: readonly Completion[],
  given: PassAtKOptions = {},
): Promise<PassAtK> {
  checkList('problems', problems);
  checkList('completions', completions);
  checkObject('options', given);
  const { k = [1], ...options } = given;
  const written = groups(problems, completions);
  const counts = written.map(({ length }) => ({ samples: length, correct: 0 }));
  for (const drawn of k) checkDrawn(drawn, problems, counts);
  const programs = problems.flatMap((problem, i) =>
    written[i]!.map((completion) => programOf(problem, completion)),
  );
  const { isolation, limits, results } = await runPrograms(programs, options);

  const queue = results.values();
  const judged = problems.map(({ id }, i) => {
    const own = written[i]!.map((completion) => ({ completion, ...queue.next().value! }));
    const correct = own.filter(({ reason }) => reason === 'passed').length;
    return { id, samples: own.length, correct, programs: own };
  });
  const means = k.map((drawn) => [drawn, meanPassAtK(judged, drawn)]);
  return { passAtK: Object.fromEntries(means), problems: judged, isolation, limits };
}

/**
 * Lets a model write a completion for each problem, and cuts what goes beyond the function.
 *
 * @throws the signal's reason when it is aborted
 *
 * @example
 * await evaluatePassAtK(problems, await completeProblems(model, problems));
 */
export async function completeProblems(
  model: Model,
  problems: readonly Problem[],
  options: GenerateOptions = {},
): Promise<Completion[]> {
  checkList('problems', problems);
  checkObject('model', model, 'one that Model.load or Model.create gives');
  const prompts = problems.map(({ prompt }) => prompt);
  const outputs = await model.generate(prompts, options);
  return problems.map((problem, i) => ({
    id: problem.id,
    completion: cutCompletion(problem, outputs[i]!),
  }));
}

/** Refuses what could not be estimated afterwards. */
function checkDrawn(
  k: number,
  problems: readonly Problem[],
  counts: readonly { samples: number }[],
) {
  for (const [i, { samples }] of counts.entries()) {
    const own = `${show(problems[i]!.id)} has ${samples} ${samples === 1 ? 'completion' : 'completions'}`;
    const drawable = Number.isInteger(k) && k >= 1 && k <= samples;
    check('k', k, drawable, `a whole number, 1..${samples}, as ${own}`);
  }
}

/** The completions of each problem. */
function groups(problems: readonly Problem[], completions: readonly Completion[]): string[][] {
  const byId = new Map<string, string[]>(problems.map(({ id }) => [id, []]));
  for (const [i, { id, completion }] of completions.entries()) {
    const own = byId.get(id);
    if (own === undefined) {
      throw new Error(`completions[${i}] is for ${show(id)}: expected the id of a problem`);
    }
    own.push(completion);
  }
  for (const [id, { length }] of byId) {
    if (length === 0) {
      throw new Error(`there is no completion for ${show(id)}: expected one for every problem`);
    }
  }
  return [...byId.values()];
}
