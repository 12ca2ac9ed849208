/**
 * Reads examples that are to be written; where the file has labelled texts instead, the error says which flags
 * take those.
 */
export async function readOr<Item>(
  read: () => Promise<Item>,
  flags: string | undefined,
): Promise<Item> {
  try {
    return await read();
  } catch (error) {
    const { message } = error as Error;
    const isLabelled = /has only the columns .*"(label|target)".*: expected one of prompt,/.test(
      message,
    );
    if (!isLabelled || flags === undefined) throw error;
    throw new Error(`${message}; labelled texts take ${flags}`, { cause: error });
  }
}

/** The file that a command was given: a path, or a name such as `lyra/train`, looked up in DECE_DATA and the cache. */
export async function dataFile(text: string): Promise<string> {
  const { datasetFolders } = await import('../data/catalogue/get.ts');
  const { resolveFile } = await import('../data/datasets.ts');
  return resolveFile(text, datasetFolders(process.env));
}
