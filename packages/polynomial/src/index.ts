export { type Activation, paperActivation, quadraticActivation, reluFit } from "./activation.js";
export { type Attack, type Certificate, type CertificateInput, lowerBound } from "./certificate.js";
export {
  evaluateQuadratic,
  linearQuadratic,
  type Neurons,
  type Quadratic,
  quadraticFromNeurons,
  subtractQuadratics,
} from "./quadratic.js";
export { type SphereExtreme, type SphereExtremes, sphereExtremes } from "./sphere.js";
export {
  prepareWorstCase,
  type WorstCase,
  type WorstCaseOptions,
  type WorstCaseOracle,
  worstCase,
} from "./worstCase/worstCase.js";
