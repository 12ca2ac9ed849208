import { z } from 'zod';
import { checkObject } from '../check.ts';
import { named, number, object, oneOf, text } from '../fields.ts';
import type { LossConfig } from '../model/trainer.ts';

const share = () => number('a number in [0, 1)', (value) => value >= 0 && value < 1);
const positiveShare = () => number('a number in (0, 1]', (value) => value > 0 && value <= 1);
const weight = () => number('a number, at least 0', (value) => value >= 0 && value < Infinity);
const label = text.exactOptional().describe('what tables and directories call it');

/** The options of each loss, with their defaults: what has been parsed is complete. */
const gce = { q: positiveShare().default(0.7).describe('of gce: 1 is the mean absolute error') };
const inTrust = {
  alpha: weight().default(1).describe('of in-trust: the weight of cross-entropy'),
  beta: weight().default(0.8).describe('of in-trust: the weight of distrust'),
  delta: number('a number in [0, 1]', (value) => value >= 0 && value <= 1)
    .default(0.5)
    .describe("of in-trust: the model's share in its own reference"),
};
const dece = {
  alphaBase: positiveShare().default(0.99).describe('of dece: alpha is alphaBase ** epoch'),
  labelSmoothing: share().default(0.1).describe('of dece, and of ce (there 0)'),
  mode: oneOf('paper', 'reference')
    .default('paper')
    .describe("of dece: reference is the authors' code"),
};

const byName = { error: 'a name, or a name and options' };

/** A loss as configuration files write it: a name, or a name and options. */
export const lossSchema = named(
  z.discriminatedUnion(
    'name',
    [
      object({ name: z.literal('ce'), labelSmoothing: share().default(0) }),
      object({ name: z.literal('dece'), ...dece }),
      object({ name: z.literal('gce'), ...gce }),
      object({ name: z.literal('in-trust'), ...inTrust }),
    ],
    byName,
  ),
);

/** The options that belong to some loss, for a command line. */
export const lossOptions = { ...dece, ...gce, ...inTrust };

/** Which of them each loss has, by its name. */
export const lossKeys: Readonly<Record<string, readonly string[]>> = {
  ce: ['labelSmoothing'],
  dece: Object.keys(dece),
  gce: Object.keys(gce),
  'in-trust': Object.keys(inTrust),
};

/**
 * A defense as experiment files write it: a name, or a name and options. These are the defenses of the
 * stage `model`: another loss in the place of cross-entropy, and nothing else changes.
 */
export const defenseSchema = named(
  z.discriminatedUnion(
    'name',
    [
      object({ name: z.literal('none'), label }),
      object({ name: z.literal('label-smoothing'), label, labelSmoothing: share().default(0.1) }),
      object({ name: z.literal('gce'), label, ...gce }),
      object({ name: z.literal('in-trust'), label, ...inTrust }),
      object({ name: z.literal('dece'), label, ...dece }),
    ],
    byName,
  ),
);

/** A defense with every option filled in. */
export type DefenseConfig = z.infer<typeof defenseSchema>;

/** What texts call the defenses. */
export const defenses: Readonly<Record<DefenseConfig['name'], { title: string }>> = {
  none: { title: 'Cross-entropy' },
  'label-smoothing': { title: 'Label smoothing' },
  gce: { title: 'GCE' },
  'in-trust': { title: 'In-trust' },
  dece: { title: 'DeCE' },
};

/**
 * The loss a model is trained with under a defense.
 *
 * @example
 * lossOf(defenseSchema.parse('dece')); // { name: 'dece', alphaBase: 0.99, labelSmoothing: 0.1, mode: 'paper' }
 */
export function lossOf(defense: DefenseConfig): LossConfig {
  checkObject('defense', defense, 'one, as defenseSchema gives it');
  const { label: _, ...config } = defense;
  switch (config.name) {
    case 'none':
      return { name: 'ce' };
    case 'label-smoothing':
      return { name: 'ce', labelSmoothing: config.labelSmoothing };
    default:
      return config;
  }
}

/** The defense that training with a loss is. */
export function defenseOf(loss: z.infer<typeof lossSchema>): DefenseConfig {
  if (loss.name !== 'ce') return loss;
  const { labelSmoothing } = loss;
  return labelSmoothing === 0 ? { name: 'none' } : { name: 'label-smoothing', labelSmoothing };
}
