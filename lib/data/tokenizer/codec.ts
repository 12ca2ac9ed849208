import { Tokenizer as HuggingFace } from '@huggingface/tokenizers';
import { check } from '../../check.ts';
import { type AddedToken, AddedTokens } from './added.ts';
import { decoder } from './decode.ts';
import { frame } from './frame.ts';
import { isId, Merges } from './merges.ts';
import { normalizer } from './normalize.ts';
import type { Part } from './part.ts';
import { type Splitter, splitter } from './split.ts';

/** The content of a tokenizer.json at work. */
export interface Codec {
  /** Ids by token, added ones included. */
  readonly vocabulary: ReadonlyMap<string, number>;
  encode(text: string): number[];
  /** @param ids all of the vocabulary */
  decode(ids: readonly number[], skipSpecialTokens: boolean): string;
}

/**
 * Byte pair encoding, which every model of the study uses, is our own: exact where the library is not
 * (white space of Unicode, digits, added tokens, bytes that are no text), and words are encoded once.
 * What else there is, T5's Unigram and BERT's WordPiece, is the library's.
 *
 * @throws RangeError that names a component of a type that is not known
 */
export function codec(json: Part, config: object): Codec {
  const model = (json.model ?? {}) as Part;
  const known = ['BPE', 'Unigram', 'WordPiece', undefined].includes(model.type as string);
  check('model.type', model.type, known, 'BPE, Unigram or WordPiece');
  return isBpe(model) ? bpeCodec(json, model) : libraryCodec(json, config);
}

/** Old files do not say the type. */
const isBpe = ({ type, merges }: Part) => type === 'BPE' || (type === undefined && !!merges);

function bpeCodec(json: Part, model: Part): Codec {
  const added = (json.added_tokens ?? []) as AddedToken[];
  check('added_tokens', added, Array.isArray(added), 'a list of tokens');
  for (const [i, token] of added.entries()) {
    const ok = typeof token?.content === 'string' && isId(token.id);
    check(`added_tokens[${i}]`, JSON.stringify(token), ok, 'a token with its content and id');
  }
  const merges = new Merges(model);
  const sections = new AddedTokens(added, normalizer(json.normalizer));
  const words = wordsOf(json.pre_tokenizer, merges, model);
  const { before, after } = frame(json.post_processor);
  const decodeTokens = decoder(json.decoder);

  const vocabulary = new Map(merges.vocabulary);
  for (const { content, id } of added) vocabulary.set(content, id);
  const tokens = new Map(Array.from(vocabulary, ([token, id]) => [id, token]));
  for (const token of added) tokens.set(token.id, sections.textOf(token));
  const special = new Set(added.filter((token) => token.special).map(({ id }) => id));
  return {
    vocabulary,
    encode: (text) => {
      const ids = [...before];
      for (const section of sections.split(text)) {
        if (typeof section === 'number') {
          ids.push(section);
          continue;
        }
        for (const word of words.split(section.text, section.first)) {
          for (const id of merges.encode(word, words.spell)) ids.push(id);
        }
      }
      for (const id of after) ids.push(id);
      return ids;
    },
    decode: (ids, skipSpecialTokens) => {
      const kept = ids.filter((id) => !(skipSpecialTokens && special.has(id)));
      return decodeTokens(kept.map((id) => tokens.get(id)!)).join('');
    },
  };
}

/** The splitter of a file, and where it cuts nothing, as Llama's, cuts that change no id. */
function wordsOf(part: unknown, merges: Merges, model: Part): Splitter {
  const words = splitter(part);
  const whole = part === null || part === undefined || (part as Part).split === false;
  if (!whole || !merges.keepsApart('▁', model.merges as unknown[])) return words;
  return {
    ...words,
    split: (piece, first) =>
      words.split(piece, first).flatMap((word) => word.match(/▁+[^▁]*|[^▁]+/g) ?? []),
  };
}

function libraryCodec(json: Part, config: object): Codec {
  const library = new HuggingFace(json, config);
  return {
    vocabulary: library.get_vocab(),
    encode: (text) => library.encode(text).ids,
    decode: (ids, skipSpecialTokens) =>
      ids.length === 0
        ? ''
        : library.decode([...ids], {
            skip_special_tokens: skipSpecialTokens,
            clean_up_tokenization_spaces: false,
          }),
  };
}
