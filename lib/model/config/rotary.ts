import { check } from '../../check.ts';
import type { Fields } from './fields.ts';

/** What native/trainer/rotary.h calls RotaryConfig. */
export interface RotaryConfig {
  width: number;
  interleaved: boolean;
  theta: number;
  scaling: 'default' | 'linear' | 'dynamic' | 'llama3';
  factor: number;
  low_frequency: number;
  high_frequency: number;
  original_length: number;
}

/** No number of a head is turned: positions are learnt. */
export const noRotary: RotaryConfig = {
  width: 0,
  interleaved: false,
  theta: 10_000,
  scaling: 'default',
  factor: 1,
  low_frequency: 1,
  high_frequency: 4,
  original_length: 1,
};

const scalings = {
  default: 'default',
  linear: 'linear',
  dynamic: 'dynamic',
  llama3: 'llama3',
} as const;

/**
 * How positions turn heads, by the keys of old configs (`rope_theta`, `rope_scaling`,
 * `partial_rotary_factor`) or of new ones (`rope_parameters` that holds them all).
 *
 * @param headWidth numbers of a head
 * @param share of them that is turned, where the config is silent
 */
export function rotaryConfig(
  config: Fields,
  { headWidth, share, interleaved }: { headWidth: number; share: number; interleaved: boolean },
): RotaryConfig {
  const scaled = config.object('rope_scaling'); // which transformers takes first
  const parameters = scaled ?? config.object('rope_parameters');
  const both = (key: string) => (parameters?.get(key) === undefined ? config : parameters);
  const kind = parameters?.get('rope_type') === undefined ? 'type' : 'rope_type';
  const other = parameters?.get('type');
  if (kind === 'rope_type' && other !== undefined) parameters!.agree(kind, other, 'as its type');
  const scaling = parameters?.choice(kind, 'default', scalings) ?? 'default';
  const inShare = (x: number) => x > 0 && x <= 1;
  const factor = both('partial_rotary_factor').number(
    'partial_rotary_factor',
    share,
    inShare,
    'in (0, 1]',
  );
  const width = Math.trunc(headWidth * factor);
  check('head_dim', headWidth, width % 2 === 0, 'one of which an even count of numbers turns');
  const length = config.whole('max_position_embeddings', 2048);
  const llama3 = scaling === 'llama3' ? parameters! : undefined;
  return {
    width,
    interleaved,
    theta: both('rope_theta').positive('rope_theta', 10_000),
    scaling,
    factor: scaling === 'default' ? 1 : parameters!.positive('factor'),
    low_frequency: llama3?.positive('low_freq_factor') ?? 1,
    high_frequency: llama3?.positive('high_freq_factor') ?? 4,
    original_length: llama3?.whole('original_max_position_embeddings') ?? length,
  };
}
