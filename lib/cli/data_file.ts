/** The file that a command was given: a path, or a name such as `lyra/train`, looked up in DECE_DATA and the cache. */
export async function dataFile(text: string): Promise<string> {
  const { datasetFolders } = await import('../data/catalogue/get.ts');
  const { resolveFile } = await import('../data/datasets.ts');
  return resolveFile(text, datasetFolders(process.env));
}
