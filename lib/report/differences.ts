/**
 * In what each of several settings differs from the others, as `optimizer badam` or `lora.rank 8`; what a
 * setting lacks that others have is said only where it has nothing else to tell it by, as `no lora`.
 *
 * @param of settings that JSON can hold
 */
export function differences(of: readonly object[]): string[] {
  const leaves = of.map((settings) => new Map(leavesOf(settings)));
  const keys = [...new Set(leaves.flatMap((one) => [...one.keys()]))];
  const differing = keys.filter((key) => new Set(leaves.map((one) => one.get(key))).size > 1);
  const names = namesOf(differing);
  return leaves.map((own) => {
    const has = differing.filter((key) => own.has(key));
    const lacks = differing.map((key) => `no ${names.get(key)!.split('.')[0]}`);
    return (
      has.length > 0 ? has.map((key) => `${names.get(key)} ${own.get(key)}`) : [...new Set(lacks)]
    ).join(', ');
  });
}

/** `trigger` for poisoning.trigger: without the part of a run that a setting is kept in, unless two then share a name. */
function namesOf(keys: readonly string[]): Map<string, string> {
  const short = (key: string) => key.replace(/^(?:(?:measured|evaluation|poisoning)\.)+/, '');
  const shared = (key: string) => keys.filter((other) => short(other) === short(key)).length > 1;
  return new Map(keys.map((key) => [key, shared(key) ? key : short(key)]));
}

/** The values within an object by their path, as texts. */
function leavesOf(value: object, path: readonly string[] = []): [string, string][] {
  return Object.entries(value).flatMap(([key, inner]): [string, string][] => {
    const here = [...path, key];
    if (inner === undefined) return [];
    if (typeof inner === 'object' && inner !== null && !Array.isArray(inner))
      return leavesOf(inner, here);
    const text = Array.isArray(inner) ? JSON.stringify(inner) : String(inner);
    return [[here.join('.'), key === 'sha256' ? text.slice(0, 8) : text]];
  });
}
