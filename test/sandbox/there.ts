import { runPrograms } from '../../lib/sandbox/index.ts';

/** Why programs cannot be held fully here, in a sentence; undefined where they can. */
export const notHere: string | undefined = await runPrograms(['pass'], { workers: 1 }).then(
  () => undefined,
  (error: Error) => error.message,
);
