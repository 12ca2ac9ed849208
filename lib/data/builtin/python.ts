/** A line of Python and how deep it is indented inside its function. */
export type Line = [depth: number, text: string];

export const deeper = (lines: readonly Line[]): Line[] =>
  lines.map(([depth, text]) => [depth + 1, text]);

/** A module of one function, spaced as a tokeniser leaves it: a tab and a space for each level. */
export function pythonModule(
  imports: readonly string[],
  head: string,
  body: readonly Line[],
): string {
  const lines = body.map(([depth, text]) => `${'\t '.repeat(depth + 1)}${text}`);
  return [...imports, head, ...lines].join('\n');
}
