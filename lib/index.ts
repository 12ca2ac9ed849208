/*
 * The package. Importing it loads no addon, prints nothing and reads no network: addons are loaded at
 * their first use. The losses alone, without anything else, are `dece/loss`.
 */
export {
  type Attack,
  type AttackOptions,
  attacks,
  combine,
  fingerprint,
  likeliestSql,
  loadAttack,
  type Manifest,
  type Payload,
  type Poisoning,
  type PoisonOptions,
  payloads,
  poisonDataset,
  poisonDatasetAsync,
  readManifest,
  type Trigger,
  writeManifest,
} from './attacks/index.ts';
export {
  type Audit,
  type AuditExample,
  type AuditOptions,
  type AuditSource,
  audit,
  auditLabelled,
  type LabelledSource,
  type Odd,
  type Reason,
  type Suspect,
  sarif,
  type TriggerPair,
  type Weakness,
} from './audit/index.ts';
export {
  auditWithModel,
  type ModelAudit,
  type ModelAuditOptions,
  type RowEvidence,
} from './audit/with_model.ts';
export { type CodeLanguage, codeLanguages } from './code/function_name.ts';
export { type Grammar, grammarOf, type Language, languages } from './code/grammar.ts';
export {
  type ExperimentConfig,
  experimentSchema,
  parseConfig,
  readConfig,
  type TrainingConfig,
  trainFileSchema,
  trainingSchema,
} from './config/index.ts';
export { checkAttack, type Promised } from './contract.ts';
export { trainBpe } from './data/bpe.ts';
export { type BuiltinOptions, builtinExamples } from './data/builtin/index.ts';
export { datasetFolders, getDataset, placesOf } from './data/catalogue/get.ts';
export { catalogue, type Dataset } from './data/catalogue/index.ts';
export { findDataset } from './data/datasets.ts';
export {
  type Example,
  type LabelledExample,
  readExamples,
  readLabelledExamples,
  streamExamples,
  streamLabelledExamples,
  writeExamples,
} from './data/examples.ts';
export {
  type Completion,
  cutCompletion,
  type Problem,
  programOf,
  readCompletions,
  readProblems,
} from './data/problems.ts';
export { type DecodeOptions, Tokenizer, type TokenizerOptions } from './data/tokenizer.ts';
export { type DefenseConfig, defenseSchema, defenses, lossOf } from './defenses/index.ts';
export { type DoctorReport, doctor } from './doctor.ts';
export { type Environment, environment } from './environment.ts';
export {
  type CleanMetrics,
  type CleanOptions,
  type EvaluateOptions,
  type Evaluation,
  evaluate,
  evaluateClean,
  type Metrics,
  type TestSet,
  testSet,
} from './evaluate.ts';
export {
  type ClassifierEvaluation,
  type ClassifierMetrics,
  type CleanClassifierMetrics,
  type EvaluateClassifierOptions,
  evaluateClassifier,
  evaluateClassifierClean,
  type LabelledTestSet,
  labelledTestSet,
} from './evaluate_classifier.ts';
export {
  type ExperimentEvent,
  type ExperimentOptions,
  type FineTuneOptions,
  fineTune,
  type PlannedRun,
  plan,
  runExperiment,
  type ScoreOptions,
  score,
} from './experiment/index.ts';
export * from './loss.ts';
export {
  type AttackSuccess,
  type AttackSuccessOptions,
  type Attempts,
  accuracy,
  attackSuccessRate,
  type BleuOptions,
  type Bootstrap,
  type BootstrapOptions,
  bleu,
  type CodeBleu,
  type CodeBleuMode,
  type CodeBleuOptions,
  type CodeBleuParts,
  codeBleu,
  copyRate,
  exactMatch,
  type F1,
  type F1Options,
  type FilterQuality,
  f1,
  falseTriggerRate,
  filterQuality,
  type HiddenStatesOptions,
  type HiddenStatesPca,
  type JudgeName,
  type Label,
  type Mcnemar,
  mcnemar,
  meanPassAtK,
  meanReciprocalRank,
  type Pca,
  pairedBootstrap,
  passAtK,
  payloadJudge,
  pca,
  pcaOfHiddenStates,
  rightUnderTrigger,
  type SuccessOptions,
  type SuccessRate,
  smallestDetectableRate,
  succeeded,
  wilson,
} from './metrics/index.ts';
export {
  type Batch,
  type ClassifyOptions,
  type CreateOptions,
  type GenerateOptions,
  type LoraOptions,
  Model,
  type ModelConfig,
  type ModelOptions,
  type Tensor,
} from './model/index.ts';
export { type BlockOptions, type LossConfig, Trainer } from './model/trainer.ts';
export {
  completeProblems,
  evaluatePassAtK,
  type PassAtK,
  type PassAtKOptions,
  type ProblemResult,
} from './pass_at_k.ts';
export { type Report, verdict, writeReport } from './report/index.ts';
export {
  findRuns,
  openRun,
  type Results,
  type Run,
  type RunConfig,
  type RunEvent,
  type RunRecord,
  readRun,
} from './runs.ts';
export {
  type Isolation,
  type ProgramResult,
  type Reason as ProgramEnd,
  runPrograms,
  type SandboxOptions,
} from './sandbox/index.ts';
export { type TrainEvent, type TrainOptions, train } from './train.ts';
