import * as assert from 'uvu/assert';

/** Throws unless the promise is rejected with an Error whose message matches. */
export async function rejects(promise: Promise<unknown>, message: RegExp): Promise<void> {
  const result = await promise.then(
    () => new Error('was not rejected'),
    (error: unknown) => error,
  );
  assert.instance(result, Error);
  assert.match((result as Error).message, message);
}
