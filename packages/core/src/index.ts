export {
  checkBatch,
  checkBatchShape,
  checkFinite,
  checkLabels,
  checkObject,
  concatBatches,
  gatherBatch,
  type LabelledBatch,
  type NumericBatch,
  sampleCount,
  sampleSize,
  sliceBatch,
} from "./batch.js";
export {
  type Bounds,
  type Budget,
  checkBudget,
  distances,
  dualNorm,
  type Norm,
  normOf,
  type Radius,
} from "./budget.js";
export type { Classifier, DifferentiableClassifier, Loss, LossGradient } from "./classifier.js";
export { type Dataset, inChunks, takeSamples } from "./dataset.js";
export {
  AbortedError,
  DataError,
  type ErrorCode,
  type ErrorDetails,
  FormatError,
  isWorstcaseError,
  ResourceError,
  SettingError,
  ShapeError,
  throwIfAborted,
  UnsupportedError,
  WorstcaseError,
} from "./errors.js";
export type { ProgressEvent, Warning, WarningEvent, WorkEvent, WorkOptions } from "./events.js";
export type { FeatureExtractor, Linearisation } from "./extractor.js";
export { fingerprint } from "./hash.js";
export { evaluateLoss, predictedClasses } from "./loss.js";
export { createRng, type Rng, type RngState, restoreRng } from "./random.js";
