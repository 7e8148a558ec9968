export { describeSdpSolver, type SdpSolverConformance } from "./describeSdpSolver.js";
export {
  degenerateOptima,
  type KnownInfeasibility,
  type KnownOptimum,
  knownInfeasibilities,
  knownOptima,
  weaklyInfeasible,
} from "./knownProblems.js";
export { type RandomProblem, type RandomProblemOptions, randomProblem } from "./randomProblem.js";
