import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { checkText } from '../check.ts';
import type { Attack } from './attack.ts';
import { attacks } from './attacks.ts';

const path = /[\\/]|\.[cm]?[jt]s$/;

/** Whether the name of an attack is the path of a file. */
export const isPluginPath = (name: string): boolean => path.test(name);

const aFunction = (signature: string) =>
  z.custom<never>((value) => typeof value === 'function', { error: `a function, ${signature}` });
const texts = z.array(z.string().min(1), { error: 'a list of texts' });
const schema = z.object(
  {
    name: z
      .string({ error: 'a name' })
      .regex(/^\w[\w.-]*$/, { error: 'a name of letters, digits, _, . and -' })
      .refine((name) => !Object.hasOwn(attacks, name), {
        error: 'a name that no attack of dece has',
      }),
    settings: z.object(
      {
        payload: z.string({ error: 'what the attacker wants, in a word' }),
        trigger: z.string({ error: 'what goes in' }),
        insertions: z.int({ error: 'how many times it goes in' }).min(0),
        options: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
      },
      { error: 'an object with payload, trigger and insertions' },
    ),
    marks: z.object(
      { paper: texts, reference: texts },
      { error: 'an object with paper and reference, each a list of texts' },
    ),
    collapse: z.boolean().optional(),
    targetLabel: z.int().min(0).optional(),
    grammars: z.array(z.string()).optional(),
    refuses: aFunction('refuses(example), that says why the attack does not apply, or undefined'),
    poison: aFunction('poison(example, random), that returns the columns that change'),
  },
  { error: 'an object with name, settings, marks, refuses and poison' },
);

/**
 * An attack of your own: the default export of a JavaScript file, or of a TypeScript file where Node
 * reads those. The manifest gets the SHA-256 of the file.
 *
 * @throws Error, in one sentence with the path, where the file cannot be read or exports no attack
 *
 * @example
 * poisonDataset(clean, { attack: await loadAttack('./my_attack.js'), rate: 0.05, seed: 42 });
 */
export async function loadAttack(file: string): Promise<Attack> {
  checkText('file', file, 'the path of an attack');
  const bytes = await readFile(file).catch((error) => {
    const reason = error.code === 'ENOENT' ? 'there is no such file' : error.message;
    throw new Error(`cannot read the attack ${file}: ${reason}`, { cause: error });
  });
  const exported = await importDefault(file);
  const { error } = schema.safeParse(exported);
  if (error !== undefined) {
    const { path: key, message } = error.issues[0]!;
    const what = key.length === 0 ? 'the default export' : key.join('.');
    throw new Error(`${file} exports no attack: ${what} is expected to be ${message}`);
  }
  const attack = exported as Attack;
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const settings = { ...attack.settings, options: { ...attack.settings.options, sha256 } };
  return Object.create(attack, { settings: { value: settings, enumerable: true } });
}

async function importDefault(file: string): Promise<unknown> {
  try {
    const module = (await import(pathToFileURL(resolve(file)).href)) as { default?: unknown };
    return module.default;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const remedy =
      code === 'ERR_UNKNOWN_FILE_EXTENSION'
        ? `: this Node reads no TypeScript; compile it, or use Node 22.18 or later`
        : '';
    throw new Error(`cannot load the attack ${file}: ${message}${remedy}`, { cause: error });
  }
}
