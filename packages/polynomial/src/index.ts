export { type Activation, paperActivation, quadraticActivation, reluFit } from "./activation.js";
export { type Attack, type Certificate, type CertificateInput, lowerBound } from "./certificate.js";
export { createPolynomialClassifier, type PolynomialClassifierOptions } from "./classifier.js";
export { type DecomposeOptions, type Decomposition, decompose, decomposeNetwork } from "./decomposition/decompose.js";
export type { Method } from "./exact/chooseMethod.js";
export type { IterationReport } from "./exact/interiorPoint.js";
export type { ExactState, ExactStatus } from "./exact/trainExact.js";
export type { FactoredState, FactoredStatus, RoundReport } from "./factored/contracts.js";
export { prepareTrainingData, type TrainingData } from "./factored/trainingData.js";
export {
  type FitEvent,
  type FitOptions,
  type FitResult,
  type FitState,
  type FitStatus,
  fitPolynomial,
  fitPrepared,
  type IterationEvent,
  type RoundEvent,
} from "./fit.js";
export { type FlipDistances, type FlipOptions, flipDistances } from "./flipDistance.js";
export { type HeadJson, headFromJson, headToJson, type PolynomialHead, type QuadraticJson } from "./headJson.js";
export { type ClassWeights, type HingeLoss, hingeWeights, type TrainingLoss } from "./hingeWeights.js";
export type { SignLabels } from "./inputs.js";
export type { BoxOptions } from "./linf/boxProblem.js";
export { fitLinf, type LinfFit, type LinfFitOptions, type LinfRoundEvent } from "./linf/fitLinf.js";
export {
  type LinfAttack,
  type LinfAttackOptions,
  type LinfBounds,
  type LinfExact,
  type LinfExactOptions,
  type LinfOptions,
  linfAttack,
  linfLowerBounds,
  linfWorstCase,
} from "./linf/linfBounds.js";
export {
  type LinfRobustness,
  type LinfRobustnessOptions,
  type LinfVerdict,
  linfArgmaxRobustness,
  linfRobustness,
} from "./linf/linfRobustness.js";
export type { MarginLoss } from "./marginLoss.js";
export { modelFromSafetensors, modelToSafetensors } from "./model/modelFile.js";
export { type ModelFitOptions, type ModelJson, type ModelParts, PolynomialModel } from "./model/polynomialModel.js";
export { fitStandardisation, type Standardisation, standardise } from "./model/standardisation.js";
export type { MoveOptions } from "./moveSet.js";
export {
  fitPairwise,
  type PairwiseFit,
  type PairwiseFitOptions,
  type PairwiseLoss,
  type PairwiseRoundEvent,
} from "./multiclass/fitPairwise.js";
export type { JointRound, JointStatus } from "./multiclass/trainJoint.js";
export {
  type ClassFit,
  combineClasses,
  fitClass,
  fitOneVersusAll,
  type OneVersusAllFit,
  type OneVersusAllOptions,
} from "./oneVersusAll.js";
export {
  exactRobustAccuracy,
  type PairwiseMargins,
  type PairwiseOptions,
  type PairwiseOracle,
  pairwiseWorstMargins,
  preparePairwise,
  type RobustAccuracy,
} from "./pairwise.js";
export { fitPatches, type PatchFilter, type PatchFit, type PatchFitOptions } from "./patches/fitPatches.js";
export { type ImagePatches, imagePatches, type PatchLayout } from "./patches/imagePatches.js";
export {
  fitPenalty,
  type PenaltyEpoch,
  type PenaltyFit,
  type PenaltyOptions,
  type PenaltyViolations,
} from "./penalty/fitPenalty.js";
export {
  evaluateQuadratic,
  type LiftedMatrices,
  linearQuadratic,
  type Neurons,
  type Quadratic,
  quadraticFromNeurons,
  subtractQuadratics,
} from "./quadratic.js";
export type { FeatureRange } from "./ranges/featureRanges.js";
export { type RangeOptions, type RangeWorstCase, rangeWorstCase } from "./ranges/rangeWorstCase.js";
export { fitRegression, type RegressionOptions, type RegressionResult } from "./regression/fitRegression.js";
export { type PredictionRange, predictionRange } from "./regression/predictionRange.js";
export { type ObjectiveParts, type ObjectiveVariant, robustObjective } from "./robustObjective.js";
export { type SphereExtreme, type SphereExtremes, sphereExtremes } from "./sphere.js";
export { type FeatureStream, fitInThreads, type ThreadedFit, type ThreadOptions } from "./threads/fitInThreads.js";
export {
  type ThreadedWorstCase,
  type ThreadedWorstCaseOptions,
  worstCaseInThreads,
} from "./threads/worstCaseInThreads.js";
export {
  prepareWorstCase,
  type WorstCase,
  type WorstCaseOptions,
  type WorstCaseOracle,
  worstCase,
} from "./worstCase/worstCase.js";
