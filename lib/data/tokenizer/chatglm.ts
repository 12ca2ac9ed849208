import { check } from '../../check.ts';
import { type Part, regexOfTexts } from './part.ts';
import { piecesOf, vocabularyOf } from './sentencepiece.ts';

/** Tokens that ChatGLM puts behind the pieces of the file. */
const commands = ['[MASK]', '[gMASK]', '[sMASK]', 'sop', 'eop'];

/**
 * A tokenizer.json of ChatGLM2's tokenizer.model, which CodeGeeX2 has: the pieces as SentencePiece cuts
 * them, and five tokens for which no text is taken, nor for `</s>`.
 *
 * @throws RangeError where the file changes texts in another way
 * @see https://huggingface.co/THUDM/codegeex2-6b/blob/main/tokenization_chatglm.py
 */
export function chatglm(bytes: Buffer): Part {
  const { pieces, unknown, normalization } = piecesOf(bytes);
  const { name, replaces, addsPrefix, removesSpaces } = normalization;
  check('normalizer_spec.name', name, !replaces, 'identity');
  check('remove_extra_whitespaces', removesSpaces, !removesSpaces, 'false');
  const { vocab, merges } = vocabularyOf(pieces);
  const behind = Object.fromEntries(commands.map((token, i) => [token, pieces.length + i]));
  const silent = pieces.flatMap(({ text, kind }) =>
    kind === 'control' || kind === 'unknown' ? [text] : [],
  );
  const replace = (pattern: object, content: string) => ({ type: 'Replace', pattern, content });
  const mark = replace({ String: ' ' }, '▁');
  return {
    model: {
      type: 'BPE',
      vocab: { ...vocab, ...behind },
      merges,
      unk_token: unknown,
      fuse_unk: true,
      byte_fallback: true,
    },
    normalizer: {
      type: 'Sequence',
      normalizers: addsPrefix ? [{ type: 'Prepend', prepend: '▁' }, mark] : [mark],
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        replace({ Regex: `^(?:${regexOfTexts(silent).source})$` }, ''),
        replace({ String: '▁' }, ' '),
        { type: 'ByteFallbackEach' },
        { type: 'Fuse' },
        ...(addsPrefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    added_tokens: pieces.flatMap(({ text, kind }, id) =>
      kind === 'user' ? [{ id, content: text, normalized: false, special: false }] : [],
    ),
  };
}
