export { type Architecture, type ArchitectureName, parameterShapes } from "./architecture.js";
export { checkWeights, detectArchitecture } from "./detect.js";
export { createExtractor, type ExtractorOptions, type NetworkHead, type ResNetExtractor } from "./extractor.js";
export type { Normalisation } from "./fold.js";
export { loadWeights, type NetworkWeights, saveWeights, type WeightTensor } from "./weights.js";
