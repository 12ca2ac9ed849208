import { checkKeys, checkObject, choose } from '../check.ts';
import {
  type CrossEntropyOptions,
  checkMode,
  type DeceOptions,
  formulas,
  type GceOptions,
  type InTrustOptions,
  type Settings,
} from '../loss/formulas.ts';
import type { CustomOptions } from '../loss/table.ts';

/**
 * What a model is trained with: a loss of `dece/loss` with its options. The epoch of DeCE comes with
 * each step.
 */
export type LossConfig =
  | ({ name: 'ce' } & CrossEntropyOptions & Mode)
  | ({ name: 'dece' } & Omit<DeceOptions, 'epoch'> & Mode)
  | ({ name: 'gce' } & GceOptions & Mode)
  | ({ name: 'in-trust' } & InTrustOptions & Mode)
  | ({ name: 'custom'; mode?: 'paper' } & CustomOptions);

interface Mode {
  /** `reference` is the authors' code, whose mean divides by ignored labels too. Default `paper`. */
  mode?: 'paper' | 'reference';
}

/**
 * What logits may take by default, in bytes. Where those of a batch would take more, the model's last
 * product and its loss are computed for some rows at a time.
 */
export const defaultLogitsBytes = 2 ** 28;

/** What native/trainer/trainer_binding.cc reads. */
export interface NativeLoss extends Settings {
  loss: number;
  reference: boolean;
}

/** @throws RangeError or TypeError that names the loss or option that is unknown or out of range */
export function nativeLoss(config: LossConfig, epoch: number): NativeLoss {
  checkObject('loss', config, "one by its name, as { name: 'dece' }");
  const { name, mode = 'paper', ...own } = config;
  const formula = choose(formulas, name, 'loss.name');
  const keys = formula.keys.filter((key) => key !== 'epoch');
  checkKeys(`loss ${name}`, own, [...keys, 'mode']);
  checkMode(mode, name);
  const settings = formula.settings({ ...own, epoch });
  return { ...settings, loss: formula.loss, reference: mode === 'reference' };
}
