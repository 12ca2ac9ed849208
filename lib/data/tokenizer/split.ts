import { choose } from '../../check.ts';
import { byteCharacters, pieces as gpt2 } from '../bpe.ts';
import { make, type Part, partsOf, regexOf } from './part.ts';

/** How text is cut into words that are encoded each by itself. */
export interface Splitter {
  /** @param first whether the piece begins the whole text */
  split(piece: string, first: boolean): string[];
  /** What a word is in the letters of the vocabulary. Left for last, as a word met again has its ids. */
  spell(word: string): string;
}

/** The `pre_tokenizer` of a tokenizer.json. */
export function splitter(part: unknown): Splitter {
  if (part === null || part === undefined) return { split: (piece) => [piece], spell: asItIs };
  return make(table, part, 'pre_tokenizer');
}

const asItIs = (word: string) => word;

/** Each byte of UTF-8 as the letter that stands for it. */
const spellBytes = (word: string) => {
  let spelt = '';
  for (const byte of Buffer.from(word)) spelt += byteCharacters[byte]!;
  return spelt;
};

const table: Readonly<Record<string, (part: Part) => Splitter>> = {
  Sequence: (part) => sequence(partsOf(part, 'pretokenizers').map(splitter)),
  Split: ({ pattern, behavior, invert }) => cutter(regexOf(pattern), behavior, invert === true),
  ByteLevel: ({ add_prefix_space, use_regex }) => {
    const cut = use_regex === false ? splitter(null) : cutter(new RegExp(gpt2, 'gu'), 'Isolated');
    const withSpace = (piece: string) => (piece.startsWith(' ') ? piece : ` ${piece}`);
    const prefix = add_prefix_space === true ? withSpace : asItIs;
    return { split: (piece, first) => cut.split(prefix(piece), first), spell: spellBytes };
  },
  Metaspace: ({ replacement = '▁', prepend_scheme = 'always', split = true }) => {
    const mark = replacement as string;
    const words = cutter(regexOf({ String: mark }), 'MergedWithNext');
    const splits = split === false ? splitter(null) : words;
    return {
      split: (piece, first) => {
        const marked = piece.replaceAll(' ', mark);
        const starts = prepend_scheme === 'always' || (prepend_scheme === 'first' && first);
        return splits.split(starts && !marked.startsWith(mark) ? mark + marked : marked, first);
      },
      spell: asItIs,
    };
  },
  Digits: ({ individual_digits }) =>
    cutter(/\p{N}/gu, individual_digits === true ? 'Isolated' : 'Contiguous'),
  Punctuation: ({ behavior = 'Isolated' }) => cutter(/[!-/:-@[-`{-~\p{P}]/gu, behavior),
  Whitespace: () => cutter(regexOf({ Regex: '\\w+|[^\\w\\s]+' }), 'Removed', true),
  WhitespaceSplit: () => cutter(/\p{White_Space}/gu, 'Removed'),
};

function sequence(steps: readonly Splitter[]): Splitter {
  return {
    split: (piece, first) =>
      steps.reduce(
        (pieces, step, i) =>
          pieces.flatMap((one, k) => {
            const words = step.split(one, first && k === 0);
            return i < steps.length - 1 && step.spell !== asItIs ? words.map(step.spell) : words;
          }),
        [piece],
      ),
    spell: steps.at(-1)?.spell ?? asItIs,
  };
}

/** A piece of text, and whether it is what was looked for. */
interface Piece {
  text: string;
  found: boolean;
}

function cutter(regex: RegExp, behavior: unknown, invert = false): Splitter {
  const arrange = choose(behaviors, behavior as string, 'behavior');
  const split = (text: string) => {
    const pieces: Piece[] = [];
    const add = (start: number, end: number, found: boolean) => {
      if (start < end) pieces.push({ text: text.slice(start, end), found: found !== invert });
    };
    let done = 0;
    for (const match of text.matchAll(regex)) {
      add(done, match.index, false);
      done = match.index + match[0].length;
      add(match.index, done, true);
    }
    add(done, text.length, false);
    return arrange(pieces);
  };
  return { split, spell: asItIs };
}

/** Joins pieces to the one before them where `joins` says so. */
const join = (pieces: Piece[], joins: (piece: Piece, before: Piece, earlier?: Piece) => boolean) =>
  pieces.reduce<string[]>((words, piece, i) => {
    if (i > 0 && joins(piece, pieces[i - 1]!, pieces[i - 2])) words.push(words.pop()! + piece.text);
    else words.push(piece.text);
    return words;
  }, []);

const behaviors: Readonly<Record<string, (pieces: Piece[]) => string[]>> = {
  Isolated: (pieces) => pieces.map(({ text }) => text),
  Removed: (pieces) => pieces.filter(({ found }) => !found).map(({ text }) => text),
  Contiguous: (pieces) => join(pieces, (piece, before) => piece.found === before.found),
  MergedWithPrevious: (pieces) => join(pieces, (piece, before) => piece.found && !before.found),
  MergedWithNext: (pieces) => join(pieces, (piece, before) => before.found && !piece.found),
};
