export { attach, withScaling } from "./attach.js";
export {
  type Calibration,
  type CalibrationOptions,
  chooseRadius,
  coverage,
  type DisplacementSummary,
  measureDisplacements,
  type RadiusChoice,
  summarise,
} from "./calibrateRadius.js";
export { cachedFeatures, type FeatureCacheOptions } from "./featureCache.js";
export { applyScaling, type FeatureScaling, fitScaling, pullBackScaling } from "./featureScaling.js";
export { readIfPresent, writeWhole } from "./files.js";
export { meanJacobianProduct, whiteningOf } from "./jacobian.js";
export { createLinearClassifier, type LinearWeights } from "./linearHead.js";
