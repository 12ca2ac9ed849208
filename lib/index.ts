/*
 * The package. Importing it loads no addon, prints nothing and reads no network: addons are loaded at
 * their first use. The losses alone, without anything else, are `dece/loss`.
 */
export {
  type Attack,
  attacks,
  fingerprint,
  type Manifest,
  type PoisonOptions,
  poisonDataset,
  readManifest,
  writeManifest,
} from './attacks/index.ts';
export {
  type Audit,
  type AuditExample,
  type AuditOptions,
  type AuditSource,
  audit,
  type Reason,
  type Suspect,
  sarif,
  type TriggerPair,
} from './audit/index.ts';
export {
  type ExperimentConfig,
  experimentSchema,
  parseConfig,
  readConfig,
  type TrainingConfig,
  trainFileSchema,
  trainingSchema,
} from './config/index.ts';
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
export { type DecodeOptions, Tokenizer, type TokenizerOptions } from './data/tokenizer.ts';
export { type DefenseConfig, defenseSchema, defenses, lossOf } from './defenses/index.ts';
export { type DoctorReport, doctor } from './doctor.ts';
export { type Environment, environment } from './environment.ts';
export {
  type EvaluateOptions,
  type Evaluation,
  evaluate,
  type Metrics,
  type TestSet,
  testSet,
} from './evaluate.ts';
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
  type Attempts,
  accuracy,
  attackSuccessRate,
  type BleuOptions,
  type Bootstrap,
  type BootstrapOptions,
  bleu,
  exactMatch,
  type F1,
  type F1Options,
  type FilterQuality,
  f1,
  falseTriggerRate,
  filterQuality,
  type Label,
  type Mcnemar,
  mcnemar,
  meanPassAtK,
  meanReciprocalRank,
  pairedBootstrap,
  passAtK,
  type SuccessRate,
  smallestDetectableRate,
  wilson,
} from './metrics/index.ts';
export {
  type Batch,
  type CreateOptions,
  type GenerateOptions,
  type LoraOptions,
  Model,
  type ModelConfig,
  type ModelOptions,
  type Tensor,
} from './model/index.ts';
export { type BlockOptions, type LossConfig, Trainer } from './model/trainer.ts';
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
export { type TrainEvent, type TrainOptions, train } from './train.ts';
