export {
  type Block,
  type BlockMatrix,
  blockZeros,
  checkProblem,
  type Entries,
  type Equalities,
  type RankOneTerm,
  type SdpProblem,
} from "./problem.js";
export type { CertificateCheck, Objective, Point, Ray, SdpResult, SdpStatus, SolutionCheck } from "./result.js";
export { type SolveOptions, solve, solveAsync } from "./solve.js";
export type {
  Command,
  EndEvent,
  IterationEvent,
  Outcome,
  SdpEvent,
  SdpSettings,
  SdpSolver,
  StartEvent,
} from "./solver.js";
