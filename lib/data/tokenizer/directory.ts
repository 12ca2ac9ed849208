import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { onOneLine, show } from '../../check.ts';
import { readUtf8 } from '../files.ts';
import { convert, withSettings, withSpecialTokens } from './older.ts';
import type { Part } from './part.ts';

/** What the files of a directory say about its tokenizer. */
export interface TokenizerDirectory {
  /** The file that errors are about. */
  path: string;
  json: Part;
  config: Part;
  /** Every file of the tokenizer, byte for byte, by name. */
  files: ReadonlyMap<string, Buffer>;
}

/** What a tokenizer may be made of. */
export const tokenizerFiles = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'tokenizer.model',
  'chat_template.jinja',
];

/** Whether a directory has a tokenizer.json, or the older files that one is made of. */
export async function hasTokenizer(directory: string): Promise<boolean> {
  const found = await Promise.all(tokenizerFiles.map((name) => exists(join(directory, name))));
  const has = (name: string) => found[tokenizerFiles.indexOf(name)]!;
  return (
    has('tokenizer.json') || has('tokenizer.model') || (has('vocab.json') && has('merges.txt'))
  );
}

/**
 * Reads tokenizer.json, or what is there of older files, with the settings beside them.
 *
 * @throws Error, in one sentence with the path, on a file that is missing, cannot be read or is wrong
 */
export async function readTokenizer(directory: string): Promise<TokenizerDirectory> {
  const path = join(directory, 'tokenizer.json');
  const object = (name: string) => readObject(join(directory, name), {});
  const config = await object('tokenizer_config.json');
  // transformers writes both, and reads the older one where the newer does not list every token.
  const map = await object('special_tokens_map.json');
  const settings = 'added_tokens_decoder' in config ? { ...map, ...config } : { ...config, ...map };
  const files = new Map<string, Buffer>();
  for (const name of tokenizerFiles) {
    const file = join(directory, name);
    if (await exists(file)) files.set(name, await readFile(file));
  }
  if (files.has('tokenizer.json') || !(await hasTokenizer(directory))) {
    const json = withSpecialTokens(withSettings(await readObject(path), settings), settings);
    return { path, json, config: settings, files };
  }
  return { ...(await convertFiles(directory, settings, files)), files };
}

async function convertFiles(
  directory: string,
  config: Part,
  files: TokenizerDirectory['files'],
): Promise<Omit<TokenizerDirectory, 'files'>> {
  const model = files.get('tokenizer.model');
  const path = join(directory, model === undefined ? 'vocab.json' : 'tokenizer.model');
  const source =
    model === undefined
      ? {
          vocab: (await readObject(path)) as Record<string, number>,
          merges: (await readUtf8(join(directory, 'merges.txt'))).toString(),
        }
      : { model };
  const added = (await readObject(join(directory, 'added_tokens.json'), {})) as Record<
    string,
    number
  >;
  const modelConfig = await readObject(join(directory, 'config.json'), {});
  try {
    return { path, ...convert({ config, added, source }, modelConfig) };
  } catch (error) {
    throw new Error(
      `${path} cannot be converted: ${(error as Error).message}; ${conversion(directory)}`,
      { cause: error },
    );
  }
}

/** How a tokenizer of any kind gets a tokenizer.json. */
const conversion = (directory: string) =>
  `write a tokenizer.json with \`python3 -c "from transformers import AutoTokenizer as T; T.from_pretrained('${directory}').save_pretrained('${directory}')"\``;

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

async function readObject(path: string, missing?: Part): Promise<Part> {
  if (missing !== undefined && !(await exists(path))) return missing;
  const text = (await readUtf8(path)).toString();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`${path} is not JSON: ${onOneLine(error)}`, { cause: error });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Part;
  throw new Error(`${path} holds ${show(text)}: expected a JSON object`);
}
