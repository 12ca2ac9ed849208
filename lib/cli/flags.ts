import { type Command, InvalidArgumentError, Option } from 'commander';
import type { z } from 'zod';

/** A flag's value that is a whole number, 0 or more. */
export function wholeNumber(text: string): number {
  checkSize(text);
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('Expected a whole number.');
  return Number(text);
}

/** Numbers from there on have no whole ones beside them, and nothing here is as large. */
function checkSize(text: string): void {
  if (Number(text) <= Number.MAX_SAFE_INTEGER || Number.isNaN(Number(text))) return;
  throw new InvalidArgumentError('Expected a whole number below 2**53.');
}

/** A flag's value that counts things, 1 or more. */
export function count(text: string): number {
  checkSize(text);
  if (!/^0*[1-9]\d*$/.test(text))
    throw new InvalidArgumentError('Expected a whole number above 0.');
  return Number(text);
}

/** A flag's value that seeds random choices. */
export function seed(text: string): number {
  const value = wholeNumber(text);
  if (value >= 2 ** 32) throw new InvalidArgumentError('Expected a whole number below 2**32.');
  return value;
}

/** A flag's value that names a device. */
export function device(text: string): string {
  if (/^(cpu|auto|cuda(:\d{1,3})?)$/.test(text)) return text;
  throw new InvalidArgumentError('Expected cpu, cuda, cuda:N or auto.');
}

/** A flag's value that is a share. */
export function share(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!(value >= 0 && value <= 1)) throw new InvalidArgumentError('Expected a share, 0..1.');
  return value;
}

/**
 * A flag for every field of a schema: `learningRate` is `--learning-rate`. What is given is checked as
 * the field would be; what is not stays away, so that a file or the schema's defaults count.
 */
export function addFlags(command: Command, shape: Readonly<Record<string, z.ZodType>>): void {
  for (const [key, field] of Object.entries(shape)) {
    const { defaultValue } = field.def as { defaultValue?: unknown };
    const note = defaultValue === undefined ? '' : ` (default: ${String(defaultValue)})`;
    const option = new Option(`--${kebab(key)} <value>`, `${field.description ?? ''}${note}`);
    command.addOption(option.argParser((text) => parse(text, field)));
  }
}

const booleans: Record<string, boolean> = { true: true, false: false };

function parse(text: string, field: z.ZodType): unknown {
  const number = Number(text);
  const value = text.trim() === '' || Number.isNaN(number) ? (booleans[text] ?? text) : number;
  const { success, data, error } = field.safeParse(value);
  if (success) return data;
  const { path, message } = error.issues[0]!;
  const what = path.length > 0 ? `${path.join('.')} to be ` : '';
  throw new InvalidArgumentError(`Expected ${what}${message}.`);
}

/** Options of the library that are set by a flag of another name. */
const otherNames: Record<string, string> = { poisonRate: 'rate' };

/**
 * How errors call an option: `--learning-rate` for learningRate, `--q` for loss.q, `--loss` for loss.name,
 * `alpha of --lora` for lora.alpha. Undefined where the command has no such flag.
 */
export function flagOf(command: Command, path: readonly PropertyKey[]): string | undefined {
  const names = path.map(String).filter((name) => name !== 'name');
  if (names.length === 0) return undefined;
  const [first = '', ...inner] = names;
  const name = first === 'lora' ? first : names.at(-1)!;
  const flag = `--${kebab(otherNames[name] ?? name)}`;
  if (!command.options.some(({ long }) => long === flag)) return undefined;
  return first === 'lora' && inner.length > 0 ? `${inner.join('.')} of ${flag}` : flag;
}

/**
 * What the library found wrong with an option, in the words of who typed a flag: `--alpha-base is 2: …` for
 * `alphaBase is 2: …`. Undefined where it is about no flag of the command.
 */
export function inFlags(command: Command, message: string): string | undefined {
  const known = (name: string) => flagOf(command, name.split('.'));
  const unknown = /^(.+) has an unknown option "(\w+)": expected (.*)$/.exec(message);
  if (unknown !== null) {
    const [, what, option = '', others = ''] = unknown;
    const flag = known(option);
    const taken = others.split(', ').flatMap((name) => known(name) ?? []);
    return flag && `${what} takes no ${flag}: expected ${taken.join(', ')}`;
  }
  const tooLong = /^(?:inputIds|decoderInputIds) has \d+ columns.*?: expected at most (\d+)/;
  const most = tooLong.exec(message)?.[1];
  if (most !== undefined) {
    const flag = known('maxInputTokens');
    const own = message.replace(/\bmax\w+Tokens\b/g, (name) => known(name) ?? name);
    return flag && (own === message ? `${own}, with ${flag} ${most} or less` : own);
  }
  const [, subject = '', rest = ''] = /^([\w.]+) (is .*)$/s.exec(message) ?? [];
  const flag = known(subject);
  return flag && `${flag} ${rest.replace(/^is undefined:/, 'is missing:')}`;
}

/** learning-rate for learningRate. */
export const kebab = (key: string) => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
