export {
  attackSuccessRate,
  falseTriggerRate,
  type Poisoning,
  type SuccessOptions,
  type SuccessRate,
} from './attack_success.ts';
export { type BleuOptions, bleu } from './bleu.ts';
export { exactMatch } from './exact_match.ts';
export { wilson } from './wilson.ts';
