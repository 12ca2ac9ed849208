/** Throws unless `ok`: "`name` is `value`: expected `expected`". The one wording for an option out of range. */
export function check(name: string, value: unknown, ok: boolean, expected: string): void {
  if (!ok) throw new RangeError(`${name} is ${show(value)}: expected ${expected}`);
}

/** A value as an error message shows it: strings quoted, long ones cut. */
export function show(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** What an error says, on one line: what JSON.parse quotes of a text may have several. */
export const onOneLine = (error: unknown): string =>
  (error as Error).message.replaceAll('\r', '\\r').replaceAll('\n', '\\n');

/** The member of `table` called `name`, or an error that lists the names there are. */
export function choose<T>(table: Readonly<Record<string, T>>, name: string, what: string): T {
  if (!Object.hasOwn(table, name)) {
    throw new RangeError(
      `${what} is ${show(name)}: expected one of ${Object.keys(table).join(', ')}`,
    );
  }
  return table[name]!;
}

/** Throws a TypeError unless `value` is an object, whose keys can be looked at. */
export function checkObject(name: string, value: unknown, expected = 'an object'): void {
  if (typeof value === 'object' && value !== null) return;
  throw new TypeError(`${name} is ${show(value)}: expected ${expected}`);
}

/** Throws a TypeError unless `value` is an array, typed or not. */
export function checkList(name: string, value: unknown, of = 'values'): void {
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return;
  throw new TypeError(`${name} is ${show(value)}: expected a list of ${of}`);
}

/** Throws a TypeError unless `value` is a text, such as the path of a file. */
export function checkText(name: string, value: unknown, expected: string): void {
  if (typeof value === 'string') return;
  throw new TypeError(`${name} is ${show(value)}: expected ${expected}`);
}

/** Throws on a key of `options` that is not in `known`: a misspelt option is never ignored. */
export function checkKeys(what: string, options: object, known: readonly string[]): void {
  checkObject(`the options of ${what}`, options);
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) {
      throw new TypeError(
        `${what} has an unknown option ${show(key)}: expected ${known.join(', ')}`,
      );
    }
  }
}
