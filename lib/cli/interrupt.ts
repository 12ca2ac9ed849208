/** What a command throws that was stopped by Ctrl-C: the message says how to go on. */
export class Interrupted extends Error {
  override name = 'Interrupted';
}

/**
 * Does `work` with a signal that Ctrl-C aborts. A second Ctrl-C ends the process at once.
 *
 * @param resume how to go on afterwards, as a command; without it there is nothing to go on with
 * @throws Interrupted where the work was stopped
 */
export async function interruptible<Result>(
  resume: string | undefined,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(130);
    process.stderr.write('\nstopping; press Ctrl-C again to stop at once\n');
    controller.abort();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  try {
    return await work(controller.signal);
  } catch (error) {
    // What fails while it stops, such as the last checkpoint, is told as it is.
    if (!controller.signal.aborted || error !== controller.signal.reason) throw error;
    const then = resume === undefined ? '' : ` What is done is kept; go on with\n  ${resume}`;
    throw new Interrupted(`stopped.${then}`, { cause: error });
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}

/** A command line as it was called, through npm or npx; blanks and quotes are quoted for a shell. */
export function commandLine(args: readonly string[]): string {
  const called = process.env.npm_lifecycle_event;
  const quoted = args.map((arg) =>
    /^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", `'\\''`)}'`,
  );
  if (called === 'demo') {
    const rest = quoted.slice(1);
    return rest.length === 0 ? 'npm run demo' : `npm run demo -- ${rest.join(' ')}`;
  }
  return [called === 'dece' ? 'npm run dece --' : 'npx dece', ...quoted].join(' ');
}
