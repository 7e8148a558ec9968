export { type Activation, paperActivation, quadraticActivation, reluFit } from "./activation.js";
export { type Attack, type Certificate, type CertificateInput, lowerBound } from "./certificate.js";
export type { FactoredStatus, RoundReport } from "./factored/trainFactored.js";
export { prepareTrainingData, type TrainingData } from "./factored/trainingData.js";
export { type FitOptions, type FitResult, fitPolynomial, fitPrepared, type RoundEvent } from "./fit.js";
export type { ClassWeights, HingeLoss } from "./hingeWeights.js";
export {
  evaluateQuadratic,
  linearQuadratic,
  type Neurons,
  type Quadratic,
  quadraticFromNeurons,
  subtractQuadratics,
} from "./quadratic.js";
export { type ObjectiveParts, robustObjective } from "./robustObjective.js";
export { type SphereExtreme, type SphereExtremes, sphereExtremes } from "./sphere.js";
export {
  prepareWorstCase,
  type WorstCase,
  type WorstCaseOptions,
  type WorstCaseOracle,
  worstCase,
} from "./worstCase/worstCase.js";
