export type { PerturbationNorm } from "./ballSupport.js";
export { type CertifyOptions, certifiedMargins, certifiedRobustAccuracy } from "./certificates/certifiedMargins.js";
export { type CertifiedRadii, type CertifiedRadiiOptions, certifiedRadii } from "./certificates/certifiedRadii.js";
export type { Reading } from "./certificates/localPieces.js";
export { type WorstMarginOptions, type WorstMargins, worstMargins } from "./certificates/worstMargins.js";
export { createGatedClassifier, type GatedClassifierOptions } from "./classifiers/gatedClassifier.js";
export { createReluNetworkClassifier } from "./classifiers/reluNetworkClassifier.js";
export type { FirstOrderCheckpoint } from "./gated/firstOrder.js";
export { fitGatedPath, type GatedPathPoint } from "./gated/fitGatedPath.js";
export {
  type FitGatedReluOptions,
  fitGatedRegression,
  fitGatedRelu,
  type GatedMethod,
  type GatedReluResult,
} from "./gated/fitGatedRelu.js";
export {
  type GatedReluJson,
  type GatedReluModel,
  gatedModelFromJson,
  gatedModelToJson,
  gatedScores,
} from "./gatedModel.js";
export { type FitKernelViewOptions, fitKernelView, type KernelViewResult } from "./kernelView/fitKernelView.js";
export { type InspectLandscapeOptions, inspectLandscape, type Landscape } from "./landscape/inspectLandscape.js";
export { type FeatureRows, rowsInFile, rowsInMemory, takeRows } from "./large/featureRows.js";
export { type FitGatedLargeOptions, fitGatedLarge, type GatedLargeResult } from "./large/fitGatedLarge.js";
export { fitGatedLargePath, type GatedLargePathPoint } from "./large/fitGatedLargePath.js";
export type { LargeProgress, LargeStatus } from "./large/rounds.js";
export type { ConeViolation } from "./network/feasible.js";
export {
  type FitReluOptions,
  fitRelu,
  fitReluRegression,
  type ReluMethod,
  type ReluResult,
} from "./network/fitRelu.js";
export { fitReluPath, type ReluPathPoint } from "./network/fitReluPath.js";
export {
  gatedModelOfNetwork,
  networkFromJson,
  networkScores,
  networkToJson,
  type ReluNetwork,
  type ReluNetworkJson,
} from "./network/reluNetwork.js";
export { type PatternCoverage, unseenMassBound } from "./patterns/coverage.js";
export { type EnumeratedGates, type EnumerateGatesOptions, enumerateGates } from "./patterns/enumerateGates.js";
export type { GateKind } from "./patterns/gateDraws.js";
export { type GateSet, gatesFromVectors, patternBits, trainingBits } from "./patterns/gateSet.js";
export {
  type GeneratedGates,
  type GenerateGatesOptions,
  type GenerationRound,
  generateGates,
} from "./patterns/generateGates.js";
export { type SampledGates, type SampleGatesOptions, sampleGates } from "./patterns/sampleGates.js";
export {
  type ScenarioOptions,
  scenarioGateCount,
  scenarioImprovementProbability,
} from "./patterns/scenarioBound.js";
export {
  type FitReluByPenaltyOptions,
  fitReluByPenalty,
  type PenaltyProgress,
  type PenaltyResult,
} from "./penalty/fitReluByPenalty.js";
export type { Objective } from "./program/objective.js";
export type { FitProgress, FitStatus } from "./proximal/minimise.js";
export { networkFromSafetensors, networkToSafetensors } from "./recovery/networkFile.js";
export { type PrunedNetwork, type PruneNetworkOptions, pruneNetwork } from "./recovery/pruneNetwork.js";
export { type RecoveredNetwork, type RecoverNetworkOptions, recoverNetwork } from "./recovery/recoverNetwork.js";
export type { MarginLoss } from "./refine/neuronState.js";
export {
  type CertifiedObjective,
  type RefinedNetwork,
  type RefineNetworkOptions,
  refineNetwork,
} from "./refine/refineNetwork.js";
