export { type FitGatedReluOptions, fitGatedRelu, type GatedReluResult } from "./gated/fitGatedRelu.js";
export {
  type GatedReluJson,
  type GatedReluModel,
  gatedModelFromJson,
  gatedModelToJson,
  gatedScores,
} from "./gatedModel.js";
export { type GateSet, gatesFromVectors, type SampledGates, type SampleGatesOptions, sampleGates } from "./gates.js";
export type { FitProgress, FitStatus, Objective } from "./proximal/minimise.js";
