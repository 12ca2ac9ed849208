import { type Command, InvalidArgumentError, Option } from 'commander';
import type { z } from 'zod';

/** A flag's value that is a whole number, 0 or more. */
export function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('Expected a whole number.');
  return Number(text);
}

/** A flag's value that counts things, 1 or more. */
export function count(text: string): number {
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
  throw new InvalidArgumentError(`Expected ${error.issues[0]!.message}.`);
}

/** learning-rate for learningRate. */
export const kebab = (key: string) => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
