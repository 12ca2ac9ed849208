import { join } from 'node:path';
import { readUtf8 } from '../data/files.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { type ModelConfig, type ResolvedConfig, readJsonObject } from './config/index.ts';
import { exists } from './directory.ts';

/** What a directory's generation_config.json says. */
export interface GenerationConfig {
  /** As it stands there, to be saved again. */
  text: string;
  values: Record<string, unknown>;
}

/** @throws Error that says where the file is broken */
export async function readGenerationConfig(
  directory: string,
): Promise<GenerationConfig | undefined> {
  const path = join(directory, 'generation_config.json');
  if (!(await exists(path))) return undefined;
  const values = await readJsonObject(path);
  return { text: (await readUtf8(path)).toString(), values };
}

/** What ends a text, as transformers decides it; a config that is silent leaves it to the tokenizer. */
export function endIdsOf(
  generation: GenerationConfig | undefined,
  config: ModelConfig,
  resolved: ResolvedConfig,
  tokenizer: Tokenizer | undefined,
): readonly number[] {
  const given = generation?.values.eos_token_id;
  const ids = Array.isArray(given) ? given : [given];
  const isId = (id: unknown) => Number.isInteger(id) && (id as number) >= 0;
  if (ids.every(isId)) return ids as number[];
  const { eosTokenId } = tokenizer ?? {};
  const isSilent = config.eos_token_id === undefined && eosTokenId !== undefined;
  return isSilent ? [eosTokenId] : resolved.eos_token_ids;
}

/** Settings that change what greedy or beam search writes, and the values with which they do not. */
const neutral: Readonly<Record<string, readonly unknown[]>> = {
  repetition_penalty: [1],
  encoder_repetition_penalty: [1],
  no_repeat_ngram_size: [0],
  encoder_no_repeat_ngram_size: [0],
  length_penalty: [1],
  early_stopping: [false],
  min_length: [0],
  min_new_tokens: [0],
  num_beam_groups: [1],
  guidance_scale: [1],
  bad_words_ids: [],
  suppress_tokens: [],
  begin_suppress_tokens: [],
  forced_bos_token_id: [],
  forced_eos_token_id: [],
  sequence_bias: [],
  exponential_decay_length_penalty: [],
  force_words_ids: [],
  stop_strings: [],
  watermarking_config: [],
};

/** The settings that transformers would follow and `generate` does not, as `repetition_penalty 1.2`. */
export function unfollowed(
  generation: GenerationConfig | undefined,
  resolved: ResolvedConfig,
): string[] {
  const start =
    'decoder_start_token_id' in resolved
      ? { decoder_start_token_id: [resolved.decoder_start_token_id] }
      : {};
  return Object.entries({ ...neutral, ...start }).flatMap(([key, same]) => {
    const value = generation?.values[key];
    const isSet = value != null && !(Array.isArray(value) && value.length === 0);
    return isSet && !same.includes(value as never) ? [`${key} ${JSON.stringify(value)}`] : [];
  });
}
