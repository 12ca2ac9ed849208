import type { Random } from '../../lib/random.ts';

const pick = <Item>(items: readonly Item[], random: Random): Item =>
  items[random.below(items.length)]!;

const oddities = ['\ud800', '\udc00', '\0', '\r', '\ufeff', '\u2028', 'é', '𝒳', '\x1c', '\\', '`'];
const signs = [
  '{',
  '}',
  '(',
  ')',
  '[',
  ']',
  '"',
  "'",
  '"""',
  '/*',
  '*/',
  '//',
  '#',
  '\n',
  '\t',
  ';',
];
const openers = [
  '(',
  '[',
  '{',
  '-',
  '!',
  'if (a) ',
  'f(',
  '/*',
  '"',
  '\\',
  '@',
  '<',
  'not ',
  'x = ',
];

type Change = (text: string, other: string, random: Random) => string;

/** Puts a text in the place of some characters. */
function splice(text: string, random: Random, size: number, put: string): string {
  const start = random.below(text.length + 1);
  return text.slice(0, start) + put + text.slice(start + size);
}

const changes: Change[] = [
  (text, _, random) => splice(text, random, 1 + random.below(9), ''),
  (text, _, random) => text.slice(0, random.below(text.length + 1)),
  (text, _, random) => splice(text, random, random.below(2), pick(signs, random)),
  (text, _, random) => splice(text, random, random.below(2), pick(oddities, random)),
  (text, other, random) => splice(text, random, 0, piece(other, random)),
  (text, _, random) => splice(text, random, 0, piece(text, random)),
  (text, _, random) => words(text, random, (list, i, j) => list.splice(i, 1, list[j]!)),
  (text, _, random) => words(text, random, (list, i) => list.splice(i, 1)),
  (text, _, random) => splice(text, random, 0, pick(openers, random).repeat(1 + random.below(400))),
  (text, _, random) => splice(text, random, 0, 'x'.repeat(1 + random.below(5_000))),
];

const piece = (text: string, random: Random) => {
  const start = random.below(text.length + 1);
  return text.slice(start, start + random.below(60));
};

function words(
  text: string,
  random: Random,
  change: (list: string[], i: number, j: number) => void,
): string {
  const list = text.split(/\b/);
  if (list.length > 1) change(list, random.below(list.length), random.below(list.length));
  return list.join('');
}

/** A program with up to four changes: pieces taken out, doubled and swapped, and what no one writes. */
export function mutated(text: string, other: string, random: Random): string {
  let result = text;
  for (let times = random.below(5); times > 0; times--) {
    result = pick(changes, random)(result, other, random);
  }
  return result;
}

/** A file with one to eight changes: bytes set, taken out, put in, doubled, and its end cut off. */
export function mutatedBytes(bytes: Buffer, random: Random): Buffer {
  let result = Buffer.from(bytes);
  for (let times = 1 + random.below(8); times > 0; times--) {
    const at = random.below(result.length + 1);
    const rest = result.subarray(at);
    const some = Buffer.from(pick([[0], [255], [34], [10], [44], [random.below(256)]], random));
    const ends = [
      Buffer.concat([some, rest.subarray(1)]),
      Buffer.concat([some, rest]),
      rest.subarray(1 + random.below(16)),
      Buffer.concat([rest.subarray(0, 40), rest]),
      Buffer.alloc(0),
    ];
    // What ends a file early leaves little to change: it is tried the least.
    result = Buffer.concat([result.subarray(0, at), ends[Math.min(random.below(13) >> 1, 4) % 5]!]);
  }
  return result;
}
