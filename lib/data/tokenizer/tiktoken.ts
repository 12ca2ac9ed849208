import { byteCharacters } from '../bpe.ts';
import type { Part } from './part.ts';

/** Whether a tokenizer.model is a list of tokens in base64, each with its rank, and no message. */
export const isTiktoken = (bytes: Buffer) =>
  /^[A-Za-z0-9+/]+=* \d+\r?\n/.test(bytes.subarray(0, 200).toString('latin1'));

/** What GPT-4's and GLM-4's words are: letters, three digits, signs, line ends, spaces. */
const words =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" +
  '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

/**
 * A tokenizer.json of tiktoken's format, which has no merges: two tokens merge where what they give is a
 * token, the one of the lowest rank first.
 *
 * @throws RangeError that names the line that is no token and rank
 * @see https://github.com/openai/tiktoken
 */
export function tiktoken(bytes: Buffer): Part {
  const ranks = ranksOf(bytes.toString('latin1'));
  const merges = Array.from(ranks.keys()).flatMap((token) => waysTo(token, ranks));
  const vocab = Object.fromEntries(Array.from(ranks, ([token, rank]) => [spell(token), rank]));
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };
  const split = { type: 'Split', pattern: { Regex: words }, behavior: 'Isolated' };
  return {
    model: {
      type: 'BPE',
      vocab,
      merges: merges.map((pair) => pair.map(spell)),
      ignore_merges: true,
    },
    pre_tokenizer: { type: 'Sequence', pretokenizers: [split, byteLevel] },
    decoder: byteLevel,
    added_tokens: [],
  };
}

/** Tokens, a character for a byte, with their ranks, which are their ids, in ascending order. */
function ranksOf(text: string): Map<string, number> {
  const lines = text.split(/\r?\n/);
  const pairs = lines.flatMap((line, i): [string, number][] => {
    if (line === '') return [];
    const [token = '', rank = ''] = line.split(' ');
    if (!/^\d+$/.test(rank))
      throw new RangeError(`line ${i + 1} is no token in base64 and its rank`);
    return [[Buffer.from(token, 'base64').toString('latin1'), Number(rank)]];
  });
  return new Map(pairs.sort(([, one], [, other]) => one - other));
}

function waysTo(token: string, ranks: ReadonlyMap<string, number>): [string, string][] {
  const ways: [string, string][] = [];
  for (let i = 1; i < token.length; i++) {
    const pair: [string, string] = [token.slice(0, i), token.slice(i)];
    if (pair.every((part) => ranks.has(part))) ways.push(pair);
  }
  const rank = (part: string) => ranks.get(part)!;
  return ways.sort((a, b) => rank(a[0]) - rank(b[0]) || rank(a[1]) - rank(b[1]));
}

const spell = (token: string) =>
  Array.from(token, (byte) => byteCharacters[byte.charCodeAt(0)]!).join('');
