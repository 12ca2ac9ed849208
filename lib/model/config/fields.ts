import { check, show } from '../../check.ts';

/** A config.json, as Hugging Face writes it; keys that the package does not know are kept. */
export type ModelConfig = Readonly<Record<string, unknown>>;

const mostLayers = 10_000;

/** The keys of a config, each checked when it is read. null stands for what is not set. */
export class Fields {
  readonly #config: ModelConfig;
  readonly #path: string;

  /** @param path what the keys lie in, for errors: empty, or with a dot at its end */
  constructor(config: ModelConfig, path = '') {
    this.#config = config;
    this.#path = path;
  }

  get(key: string): unknown {
    return this.#config[key] ?? undefined;
  }

  /** Whether a key is there and null, for those where that says something. */
  isNull(key: string): boolean {
    return this.#config[key] === null;
  }

  number(
    key: string,
    fallback: number | undefined,
    ok: (value: number) => boolean,
    expected: string,
  ): number {
    const value = this.get(key) ?? fallback;
    check(this.#path + key, value, typeof value === 'number' && ok(value), expected);
    return value as number;
  }

  /** A whole number. */
  whole(key: string, fallback?: number, least = 1): number {
    const ok = (x: number) => Number.isSafeInteger(x) && x >= least;
    return this.number(key, fallback, ok, `a whole number, at least ${least}`);
  }

  /** A count of layers. Each is made before the weights are looked at, so that a damaged count would take hours. */
  layers(key: string, fallback: number): number {
    const ok = (x: number) => Number.isInteger(x) && x >= 1 && x <= mostLayers;
    return this.number(key, fallback, ok, `a whole number, 1..${mostLayers}`);
  }

  positive(key: string, fallback?: number): number {
    return this.number(key, fallback, (x) => x > 0 && Number.isFinite(x), 'above 0');
  }

  atLeast0(key: string, fallback: number): number {
    return this.number(key, fallback, (x) => x >= 0, 'at least 0');
  }

  /** A probability of dropout. */
  rate(key: string, fallback: number): number {
    return this.number(key, fallback, (x) => x >= 0 && x < 1, 'in [0, 1)');
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.get(key) ?? fallback;
    check(this.#path + key, value, typeof value === 'boolean', 'true or false');
    return value as boolean;
  }

  /** The name of a choice, looked up in a table. */
  choice<T>(key: string, fallback: string, table: Readonly<Record<string, T>>): T {
    const value = this.get(key) ?? fallback;
    const ok = typeof value === 'string' && Object.hasOwn(table, value);
    check(this.#path + key, value, ok, `one of ${Object.keys(table).join(', ')}`);
    return table[value as string]!;
  }

  /** A token id. A fallback that the vocabulary does not reach stands for none. */
  id(key: string, fallback: number, vocabulary: number): number {
    const least = fallback < vocabulary ? fallback : 0;
    return this.number(key, least, isId(vocabulary), `0..${vocabulary - 1}`);
  }

  /** Token ids that end a text; `null` in the config: none. */
  endIds(fallback: readonly number[], vocabulary: number): number[] {
    const given = this.#config.eos_token_id;
    if (given === null) return [];
    if (given === undefined) return fallback.filter(isId(vocabulary));
    const ids = Array.isArray(given) ? given : [given];
    const ok = ids.every((id) => typeof id === 'number' && isId(vocabulary)(id));
    check('eos_token_id', given, ok, `0..${vocabulary - 1}, a list of such, or null`);
    return ids;
  }

  /** A key that has one meaning here: where it is written, it must say so. */
  agree(key: string, expected: unknown, why: string): void {
    const value = this.get(key);
    const ok = value === undefined || value === expected;
    check(this.#path + key, value, ok, `${show(expected)}, ${why}`);
  }

  object(key: string): Fields | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    const ok = typeof value === 'object' && !Array.isArray(value);
    check(this.#path + key, value, ok, 'an object');
    return new Fields(value as ModelConfig, `${this.#path}${key}.`);
  }
}

/** The config with other names that transformers takes for a key replaced by the key's own. */
export function withoutAliases(
  source: ModelConfig,
  aliases: Readonly<Record<string, string>>,
): ModelConfig {
  const config: Record<string, unknown> = { ...source };
  for (const [alias, key] of Object.entries(aliases)) {
    if (config[alias] === undefined) continue;
    const ok = config[key] === undefined || config[key] === config[alias];
    check(alias, config[alias], ok, `${show(config[key])}, as ${key}`);
    config[key] = config[alias];
    delete config[alias];
  }
  return config;
}

const isId = (vocabulary: number) => (x: number) => Number.isInteger(x) && x >= 0 && x < vocabulary;
