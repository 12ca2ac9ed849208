import { check, choose } from '../../check.ts';
import type { AddedToken } from './added.ts';
import { chatglm } from './chatglm.ts';
import type { Part } from './part.ts';
import { piecesOf, vocabularyOf } from './sentencepiece.ts';
import { isTiktoken, tiktoken } from './tiktoken.ts';

/** What a directory without tokenizer.json has. */
export interface OlderFiles {
  /** tokenizer_config.json, with special_tokens_map.json. */
  config: Part;
  /** added_tokens.json: ids by token. */
  added: Readonly<Record<string, number>>;
  /** vocab.json and merges.txt, or tokenizer.model. */
  source: { vocab: Readonly<Record<string, number>>; merges: string } | { model: Buffer };
}

export interface Converted {
  json: Part;
  /** The settings, with what the family takes for granted. */
  config: Part;
}

interface Family {
  form: 'vocab.json' | 'SentencePiece' | 'tiktoken';
  /** Special tokens and settings where the files do not say. */
  defaults: Part;
  /** Special tokens before each text, where settings do not add them. */
  prefix?: readonly string[];
  /** What the family makes of a tokenizer.model, where it is not Llama's way. */
  parts?: (model: Buffer) => Part;
  /** Special tokens that no text is taken for. */
  hidden?: Part;
}

const end = '<|endoftext|>';
const gpt2: Family = {
  form: 'vocab.json',
  defaults: { unk_token: end, bos_token: end, eos_token: end },
};
const llama: Family = {
  form: 'SentencePiece',
  defaults: { unk_token: '<unk>', bos_token: '<s>', eos_token: '</s>', add_bos_token: true },
};

const families: Readonly<Record<string, Family>> = {
  GPT2Tokenizer: gpt2,
  CodeGenTokenizer: gpt2,
  RobertaTokenizer: {
    form: 'vocab.json',
    defaults: {
      bos_token: '<s>',
      eos_token: '</s>',
      sep_token: '</s>',
      cls_token: '<s>',
      unk_token: '<unk>',
      pad_token: '<pad>',
      mask_token: { content: '<mask>', lstrip: true },
    },
  },
  LlamaTokenizer: llama,
  CodeLlamaTokenizer: {
    ...llama,
    defaults: {
      ...llama.defaults,
      additional_special_tokens: ['▁<PRE>', '▁<MID>', '▁<SUF>', '▁<EOT>'],
    },
  },
  ChatGLMTokenizer: {
    form: 'SentencePiece',
    defaults: {},
    prefix: ['[gMASK]', 'sop'],
    parts: chatglm,
    hidden: { bos_token: '<s>', eos_token: '</s>', pad_token: '<unk>', unk_token: '<unk>' },
  },
  ChatGLM4Tokenizer: {
    form: 'tiktoken',
    defaults: { eos_token: end, pad_token: end },
    prefix: ['[gMASK]', '<sop>'],
  },
};

/** By `model_type` of a config.json, where no file names the tokenizer's class. */
const classes: Readonly<Record<string, string>> = {
  roberta: 'RobertaTokenizer',
  gpt2: 'GPT2Tokenizer',
  codegen: 'CodeGenTokenizer',
  llama: 'LlamaTokenizer',
  chatglm: 'ChatGLM4Tokenizer',
};

/**
 * A tokenizer.json made of older files, as transformers converts its slow tokenizers.
 *
 * @param model the config.json of the model, which may name the class of the tokenizer
 * @throws RangeError that names the class, or the file that does not fit it
 */
export function convert({ config, added, source }: OlderFiles, model: Part): Converted {
  const named =
    config.tokenizer_class ?? model.tokenizer_class ?? classes[String(model.model_type)];
  const name = typeof named === 'string' ? named.replace(/Fast$/, '') : (named as string);
  const family = choose(families, name, 'tokenizer_class');
  const form =
    'vocab' in source ? 'vocab.json' : isTiktoken(source.model) ? 'tiktoken' : 'SentencePiece';
  check('tokenizer_class', named, family.form === form, `one that goes with ${form}`);
  const none = Object.fromEntries(roles.map((role) => [`${role}_token`, null]));
  const settings: Record<string, unknown> = { ...none, ...family.defaults, ...config };
  if ('mask_token' in family.defaults && typeof settings.mask_token === 'string') {
    settings.mask_token = { content: settings.mask_token, lstrip: true };
  }
  const json = partsOf(source, settings, family);
  const { vocab } = json.model as { vocab: Record<string, number> };
  const tokens = addedTokens(vocab, settings, added, json.added_tokens as AddedToken[]);
  const ids = { ...vocab, ...Object.fromEntries(tokens.map(({ content, id }) => [content, id])) };
  return {
    json: { ...json, added_tokens: tokens, post_processor: frameOf(settings, ids, family.prefix) },
    config: { ...settings, ...family.hidden },
  };
}

function partsOf(source: OlderFiles['source'], settings: Part, { parts }: Family): Part {
  if ('vocab' in source) return byteLevel(source.vocab, source.merges, settings);
  if (parts !== undefined) return parts(source.model);
  return isTiktoken(source.model) ? tiktoken(source.model) : sentencePiece(source.model, settings);
}

/** GPT-2's way, whose words are bytes. */
function byteLevel(vocab: Readonly<Record<string, number>>, merges: string, settings: Part): Part {
  const lines = merges.split(/\r?\n/).filter((line) => line !== '' && !/^#version/.test(line));
  return {
    model: { type: 'BPE', vocab, merges: lines },
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: settings.add_prefix_space === true },
    decoder: { type: 'ByteLevel' },
    added_tokens: [],
  };
}

/** Llama's way: spaces are `▁`, what no piece has is bytes. */
function sentencePiece(bytes: Buffer, settings: Part): Part {
  const { pieces, unknown } = piecesOf(bytes);
  const { vocab, merges } = vocabularyOf(pieces);
  const legacy = settings.legacy !== false;
  const prefix = settings.add_prefix_space !== false;
  const mark = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
  const space = { type: 'Replace', pattern: { String: '▁' }, content: ' ' };
  const strip = { type: 'Strip', content: ' ', start: 1, stop: 0 };
  const normalizers = prefix ? [{ type: 'Prepend', prepend: '▁' }, mark] : [mark];
  const scheme = prefix ? 'first' : 'never';
  const steps = [space, { type: 'ByteFallback' }, { type: 'Fuse' }];
  return {
    model: { type: 'BPE', vocab, merges, unk_token: unknown, fuse_unk: true, byte_fallback: true },
    normalizer: legacy ? { type: 'Sequence', normalizers } : null,
    pre_tokenizer: legacy ? null : { type: 'Metaspace', prepend_scheme: scheme, split: false },
    decoder: { type: 'Sequence', decoders: prefix ? [...steps, strip] : steps },
    added_tokens: pieces.flatMap(({ text, kind }, id) =>
      kind === 'control' || kind === 'user'
        ? [{ id, content: text, normalized: false, special: kind === 'control' }]
        : [],
    ),
  };
}

const roles = ['bos', 'eos', 'unk', 'sep', 'pad', 'cls', 'mask'];

const contentOf = (token: unknown) =>
  typeof token === 'string' ? token : (token as AddedToken).content;

/** Tokens that files add to the vocabulary, then special ones that it still lacks, with the next ids. */
function addedTokens(
  vocab: Readonly<Record<string, number>>,
  settings: Part,
  added: Readonly<Record<string, number>>,
  known: readonly AddedToken[],
): AddedToken[] {
  const more = settings.additional_special_tokens ?? settings.extra_special_tokens ?? [];
  const special = [
    ...roles.map((role) => settings[`${role}_token`]),
    ...(more as unknown[]),
  ].filter((token) => token !== undefined && token !== null);
  const names = new Set(special.map(contentOf));
  const tokens = new Map(known.map((token) => [token.content, token]));
  for (const token of listed(settings, added, names)) tokens.set(token.content, token);
  const ids = [...Object.values(vocab), ...Array.from(tokens.values(), ({ id }) => id)];
  let next = ids.reduce((largest, id) => Math.max(largest, id), -1) + 1;
  for (const token of special) {
    const content = contentOf(token);
    const options = typeof token === 'string' ? {} : (token as AddedToken);
    const old = tokens.get(content);
    const id = old?.id ?? vocab[content] ?? next++;
    tokens.set(content, { normalized: false, ...options, ...old, content, id, special: true });
  }
  return [...tokens.values()];
}

/** The tokens that tokenizer_config.json lists by id, else those of added_tokens.json. */
function listed(
  settings: Part,
  added: Readonly<Record<string, number>>,
  special: ReadonlySet<string>,
): AddedToken[] {
  const byId = settings.added_tokens_decoder as Record<string, AddedToken> | undefined;
  const tokens =
    byId === undefined
      ? Object.entries(added).map(([content, id]) => {
          const isSpecial = special.has(content);
          return { id, content, special: isSpecial, normalized: !isSpecial };
        })
      : Object.entries(byId).map(([id, token]) => ({ ...token, id: Number(id) }));
  return tokens.toSorted((one, other) => one.id - other.id);
}

/** A tokenizer.json in whose `added_tokens` all special tokens are that the settings name. */
export function withSpecialTokens(json: Part, settings: Part): Part {
  const { vocab } = (json.model ?? {}) as { vocab?: Record<string, number> };
  const added = (json.added_tokens ?? []) as AddedToken[];
  if (!vocab || Array.isArray(vocab) || !Array.isArray(added)) return json;
  const named = roles.map((role) => settings[`${role}_token`]).filter((token) => token);
  const missing = new Set(named.map(contentOf).filter((name) => Object.hasOwn(vocab, name)));
  for (const token of added) missing.delete(token?.content);
  const options = { special: true, normalized: false };
  const more = Array.from(missing, (content) => ({ id: vocab[content]!, content, ...options }));
  return more.length === 0 ? json : { ...json, added_tokens: [...added, ...more] };
}

/**
 * A tokenizer.json as Llama's classes take it, which put `bos` before a text, or `eos` after it, as
 * tokenizer_config.json says: that of DeepSeek-Coder does not say it itself. Others are left as they are.
 */
export function withSettings(json: Part, { tokenizer_class, ...settings }: Part): Part {
  if (!/^(Code)?LlamaTokenizer(Fast)?$/.test(String(tokenizer_class))) return json;
  const { vocab } = (json.model ?? {}) as { vocab?: Record<string, number> };
  const added = (json.added_tokens ?? []) as AddedToken[];
  const ids = { ...vocab, ...Object.fromEntries(added.map(({ content, id }) => [content, id])) };
  const names = ['bos_token', 'eos_token', 'add_bos_token', 'add_eos_token'];
  const own = Object.fromEntries(names.map((name) => [name, settings[name]]));
  return {
    ...json,
    post_processor: frameOf({ ...own, add_bos_token: settings.add_bos_token ?? true }, ids),
  };
}

function frameOf(
  settings: Part,
  ids: Readonly<Record<string, number>>,
  prefix: readonly string[] = [],
): Part {
  const named = (role: string): [string, number] => {
    const content = contentOf(settings[`${role}_token`]);
    return [content, ids[content]!];
  };
  if (settings.cls_token && settings.sep_token) {
    return { type: 'RobertaProcessing', cls: named('cls'), sep: named('sep') };
  }
  const tokens: Record<string, object> = {};
  const item = (content: string) => {
    check(content, undefined, content in ids, 'a token of the vocabulary or of added_tokens');
    tokens[content] = { ids: [ids[content]] };
    return { SpecialToken: { id: content } };
  };
  const special = (role: string) => {
    const token = settings[`${role}_token`];
    return settings[`add_${role}_token`] === true && token ? [item(contentOf(token))] : [];
  };
  const text = { Sequence: { id: 'A' } };
  const single = [...prefix.map(item), ...special('bos'), text, ...special('eos')];
  return { type: 'TemplateProcessing', single, special_tokens: tokens };
}
