export {
  type FitGatedReluOptions,
  type FitProgress,
  type FitStatus,
  fitGatedRelu,
  type GatedReluResult,
  type Objective,
} from "./gated/fitGatedRelu.js";
export {
  type GatedReluJson,
  type GatedReluModel,
  gatedModelFromJson,
  gatedModelToJson,
  gatedScores,
} from "./gatedModel.js";
export { type GateSet, gatesFromVectors, type SampledGates, type SampleGatesOptions, sampleGates } from "./gates.js";
