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
export { linearToIsotropic, toIsotropic } from "./commonCoordinates.js";
export { exactAttackOf } from "./exact/exactAttackOf.js";
export {
  type PolynomialWorstCaseOptions,
  polynomialAttack,
  polynomialWorstCase,
} from "./exact/polynomialWorstCase.js";
export { cachedFeatures, type FeatureCacheOptions } from "./featureCache.js";
export { applyScaling, type FeatureScaling, fitScaling, pullBackScaling } from "./featureScaling.js";
export { readIfPresent, writeWhole } from "./files.js";
export { type GatedHeadOptions, type GatedTraining, trainGatedHead } from "./gatedHead.js";
export { loadHead, saveHead } from "./headFile.js";
export { meanJacobianProduct, whiteningOf } from "./jacobian.js";
export { createLinearClassifier, type LinearWeights } from "./linearHead.js";
export { type PolynomialHeadOptions, robustSamples, trainPolynomialHead } from "./polynomialHead.js";
export type {
  CertifiedProblem,
  JointTraining,
  Multiclass,
  PolynomialClass,
  PolynomialScore,
  PolynomialTraining,
} from "./polynomialTraining.js";
export type { Evidence, FeatureRobustness, Remember, RobustHead, TrainedParameters } from "./robustHead.js";
