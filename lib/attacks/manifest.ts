import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { checkList, checkObject, checkText } from '../check.ts';
import { writeWhole } from '../data/files.ts';
import { isLabelled, type Subject } from './attack.ts';

const count = z.int().min(0);
const hash = z.string().regex(/^[\da-f]{64}$/, 'expected 64 hexadecimal digits');

const schema = z.strictObject({
  version: z.literal(1),
  mode: z.enum(['paper', 'reference']),
  attack: z.string(),
  payload: z.string(),
  trigger: z.string(),
  insertions: count,
  /** What else the attack was told. */
  options: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
  /** What shows in an output that the attack succeeded, in either mode of counting. */
  marks: z.strictObject({ paper: z.array(z.string()), reference: z.array(z.string()) }),
  /** Whether runs of white space in outputs count as one space when marks are looked for. */
  collapse: z.boolean().optional(),
  /** Of attacks on labels: success is this label. */
  targetLabel: count.optional(),
  /** The share of all examples that was asked for. */
  rate: z.number().min(0).max(1),
  seed: count,
  /** How many 32-bit words of the seed's stream had been drawn before. */
  drawn: count,
  policy: z.enum(['random', 'first']),
  /** Whether the poisoned examples were put first. */
  frontLoad: z.boolean().optional(),
  eligible: count,
  poisoned: count,
  /** How many examples fewer were poisoned than the rate asks for. */
  shortfall: count,
  /** How many of all examples looked triggered before. */
  alreadyTriggered: count.optional(),
  /** One for each example, in the file's order. */
  records: z.array(
    z.strictObject({
      id: z.string(),
      poisoned: z.boolean(),
      /** Why it is not poisoned. */
      reason: z.string().optional(),
      triggerPositions: z.array(count).optional(),
      payloadRule: z.string().optional(),
    }),
  ),
  inputHash: hash,
  outputHash: hash,
});

/** What was done to a data set. Success is counted over its poisoned records. */
export type Manifest = z.infer<typeof schema>;

/**
 * The SHA-256 of the texts, whatever file they are in: for each example the prompt, U+001F, the
 * completion and U+001E, in UTF-8; for one to classify its text, U+001F, the other text if there is one,
 * U+001F, the label and U+001E.
 */
export function fingerprint(examples: readonly Subject[]): string {
  checkList('examples', examples);
  const sum = createHash('sha256');
  let piece = ''; // small ones take longer to hand over than to hash
  for (const example of examples) {
    piece += isLabelled(example)
      ? `${example.text}\x1f${example.pair ?? ''}\x1f${example.label}\x1e`
      : `${example.prompt}\x1f${example.completion}\x1e`;
    if (piece.length < 1 << 16) continue;
    sum.update(piece);
    piece = '';
  }
  return sum.update(piece).digest('hex');
}

const manifestPath = (file: string) => `${file}.manifest.json`;

/** Writes the manifest of a poisoned file beside it, as `<file>.manifest.json`; returns that path. */
export async function writeManifest(file: string, manifest: Manifest): Promise<string> {
  checkText('file', file, 'the path of the poisoned file');
  checkObject('manifest', manifest);
  const path = manifestPath(file);
  await writeWhole(path, `${JSON.stringify(manifest)}\n`);
  return path;
}

/**
 * The manifest beside a poisoned file.
 *
 * @param examples what the file holds: a manifest that was made for other examples is refused
 * @throws Error, in one sentence with the path, where there is no manifest, it is damaged, or another
 *   file's
 */
export async function readManifest(file: string, examples: readonly Subject[]): Promise<Manifest> {
  checkText('file', file, 'the path of the poisoned file');
  checkList('examples', examples);
  const path = manifestPath(file);
  const manifest = parse(path, await readText(path));
  const { records, outputHash } = manifest;
  const stranger = `${path} does not belong to ${file}`;
  if (records.length !== examples.length) {
    throw new Error(
      `${stranger}: it lists ${records.length} examples, the file has ${examples.length}`,
    );
  }
  const i = records.findIndex(({ id }, at) => id !== examples[at]!.id);
  if (i >= 0) {
    throw new Error(
      `${stranger}: its record ${i + 1} is ${records[i]!.id}, the file's example ${examples[i]!.id}`,
    );
  }
  if (outputHash !== fingerprint(examples)) {
    throw new Error(
      `${stranger}: the texts are not those it was made for; poison the clean file again`,
    );
  }
  return manifest;
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new Error(`cannot read ${path}: make it with \`npx dece poison\``, { cause: error });
  }
}

function parse(path: string, text: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`${path} is no JSON: make it again with \`npx dece poison\``, { cause: error });
  }
  const { data, error } = schema.safeParse(value);
  if (data === undefined) {
    const { path: key, message } = error.issues[0]!;
    throw new Error(`${path} is no manifest: ${[...key, message].join(': ')}`);
  }
  const poisoned = data.records.filter((record) => record.poisoned).length;
  if (poisoned !== data.poisoned) {
    throw new Error(
      `${path} is no manifest: poisoned is ${data.poisoned}, but it lists ${poisoned}`,
    );
  }
  return data;
}
