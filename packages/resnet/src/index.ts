export { type Architecture, type ArchitectureName, parameterShapes } from "./architecture.js";
export { checkWeights, detectArchitecture } from "./detect.js";
export { createExtractor, type ExtractorOptions, type NetworkHead, type ResNetExtractor } from "./extractor.js";
export type { Normalisation } from "./fold.js";
export type { Augmentation } from "./training/augment.js";
export type { Schedule } from "./training/schedule.js";
export { type EpochRecord, loadTrainingState, saveTrainingState, type TrainingState } from "./training/state.js";
export { type TrainingEvent, type TrainingOptions, type TrainingResult, trainResNet } from "./training/train.js";
export { loadWeights, type NetworkWeights, saveWeights, type WeightTensor } from "./weights.js";
