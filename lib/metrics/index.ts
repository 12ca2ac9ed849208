export { accuracy } from './accuracy.ts';
export {
  type AttackSuccess,
  type AttackSuccessOptions,
  attackSuccessRate,
  falseTriggerRate,
  type Poisoning,
  rightUnderTrigger,
  type SuccessOptions,
  type SuccessRate,
  succeeded,
  successTest,
} from './attack_success.ts';
export { type BleuOptions, bleu } from './bleu.ts';
export {
  type CodeBleu,
  type CodeBleuMode,
  type CodeBleuOptions,
  type CodeBleuParts,
  codeBleu,
} from './code_bleu/index.ts';
export { copyRate } from './copy_rate.ts';
export { exactMatch } from './exact_match.ts';
export { type F1, type F1Options, f1 } from './f1.ts';
export { type FilterQuality, filterQuality } from './filter_quality.ts';
export {
  type HiddenState,
  type HiddenStatesOptions,
  type HiddenStatesPca,
  pcaOfHiddenStates,
} from './hidden_states.ts';
export { type JudgeName, payloadJudge } from './judge.ts';
export type { Label } from './labels.ts';
export { type Mcnemar, mcnemar } from './mcnemar.ts';
export { meanReciprocalRank } from './mean_reciprocal_rank.ts';
export { type Bootstrap, type BootstrapOptions, pairedBootstrap } from './paired_bootstrap.ts';
export { type Attempts, meanPassAtK, passAtK } from './pass_at_k.ts';
export { type Pca, pca } from './pca.ts';
export { signFlip } from './sign_flip.ts';
export { smallestDetectableRate } from './smallest_detectable_rate.ts';
export { wilson } from './wilson.ts';
