import { join } from 'node:path';
import { check, checkKeys } from '../check.ts';
import { type ModelConfig, type ResolvedConfig, readJsonObject } from './config/index.ts';

/** An adapter of low rank: each target's output gets alpha / rank · B A x besides. */
export interface LoraOptions {
  /** Rows of A, columns of B. Default 8, as PEFT's. */
  rank?: number;
  /** Default 8, as PEFT's. */
  alpha?: number;
  /**
   * Linear layers by their names, or how these end after a dot: `['q_proj', 'v_proj']`. Default: as
   * PEFT chooses for the architecture.
   */
  targets?: readonly string[];
  /** Of what A reads, while it learns. 0. */
  dropout?: number;
}

/** PEFT's own. */
export const defaultLora = { rank: 8, alpha: 8 };

/** All of it. */
export interface Adapter {
  rank: number;
  alpha: number;
  targets: readonly string[];
  dropout: number;
  /** The factor on B A: alpha / rank. */
  scale: number;
}

/** What PEFT adapts where it is not told; of glm its older name's. By `model_type`. */
const defaultTargets: Readonly<Record<string, readonly string[]>> = {
  t5: ['q', 'v'],
  gpt2: ['c_attn'],
  codegen: ['qkv_proj'],
  llama: ['q_proj', 'v_proj'],
  glm: ['q_proj', 'v_proj'],
  chatglm: ['query_key_value'],
  roberta: ['query', 'value'],
};

const keys = ['rank', 'alpha', 'targets', 'dropout'];

/** @throws RangeError or TypeError that names the option that is unknown or out of range */
export function adapterOf(config: ModelConfig, options: LoraOptions): Adapter {
  checkKeys('lora', options, keys);
  const { rank, alpha, dropout = 0 } = { ...defaultLora, ...options };
  const { targets = defaultTargets[String(config.model_type)] ?? [] } = options;
  check('lora.rank', rank, Number.isSafeInteger(rank) && rank >= 1, 'a whole number, at least 1');
  check('lora.alpha', alpha, Number.isFinite(alpha) && alpha > 0, 'a number above 0');
  check(
    'lora.dropout',
    dropout,
    Number.isFinite(dropout) && dropout >= 0 && dropout < 1,
    'in [0, 1)',
  );
  const names = Array.isArray(targets) && targets.every((name) => typeof name === 'string' && name);
  check('lora.targets', targets, Boolean(names) && targets.length > 0, 'names of linear layers');
  return { rank, alpha, targets, dropout, scale: alpha / rank };
}

/** The files of an adapter in a directory, as PEFT calls them. */
export const adapterFiles = (directory: string) => ({
  config: join(directory, 'adapter_config.json'),
  weights: join(directory, 'adapter_model.safetensors'),
});

const taskTypes = {
  'next ids': 'CAUSAL_LM',
  'decoder ids': 'SEQ_2_SEQ_LM',
  // For SEQ_CLS PEFT would look for a head beside the adapter, which is not in the file.
  rows: null,
  ids: null,
};

/** What adapter_config.json says of an adapter. */
export function adapterConfigText(
  { rank, alpha, targets, dropout, scale }: Adapter,
  config: ModelConfig,
  labels: ResolvedConfig['labels'],
): string {
  const settings = {
    peft_type: 'LORA',
    task_type: taskTypes[labels],
    base_model_name_or_path: null,
    bias: 'none',
    // Of GPT-2 weights are [in, out].
    fan_in_fan_out: config.model_type === 'gpt2',
    inference_mode: true,
    init_lora_weights: true,
    lora_alpha: alpha,
    lora_dropout: dropout,
    modules_to_save: null,
    r: rank,
    target_modules: targets,
    use_rslora: scale !== alpha / rank,
  };
  return `${JSON.stringify(settings, undefined, 2)}\n`;
}

/** What would make the adapter compute something else than this package does. */
const unknown = [
  ...['alpha_pattern', 'exclude_modules', 'layer_replication', 'layers_to_transform', 'lora_bias'],
  ...['modules_to_save', 'rank_pattern', 'target_parameters', 'trainable_token_indices'],
  ...['use_bdlora', 'use_dora', 'use_qalora', 'alora_invocation_tokens', 'arrow_config'],
];

/** @throws Error, in one sentence, on an adapter of another kind than `adapterOf` makes */
export async function readAdapter(directory: string, config: ModelConfig): Promise<Adapter> {
  const path = adapterFiles(directory).config;
  const read = await readJsonObject(path);
  const fail = (key: string, expected: string): never => {
    throw new Error(
      `cannot load ${path}: ${key} is ${JSON.stringify(read[key])?.slice(0, 80)}: expected ${expected}`,
    );
  };
  if (read.peft_type !== 'LORA') fail('peft_type', 'LORA');
  if (read.bias !== undefined && read.bias !== 'none') fail('bias', 'none');
  // Others begin with weights that are not the model's.
  if (typeof read.init_lora_weights === 'string') fail('init_lora_weights', 'true');
  for (const key of unknown)
    if (!isEmpty(read[key])) fail(key, 'none, as LoRA of the first kind has');
  const { r: rank, lora_alpha: alpha, lora_dropout: dropout = 0, target_modules: targets } = read;
  if (!Array.isArray(targets)) fail('target_modules', 'a list of names');
  const adapter = adapterOf(config, { rank, alpha, dropout, targets } as Required<LoraOptions>);
  return read.use_rslora ? { ...adapter, scale: adapter.alpha / Math.sqrt(adapter.rank) } : adapter;
}

function isEmpty(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0;
  return value === undefined || value === null || value === false;
}
