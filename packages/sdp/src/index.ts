export { checkCertificate, checkSolution } from "./check/check.js";
export { interiorPoint } from "./interiorPoint/interiorPoint.js";
export { problemFromJson, problemToJson } from "./json/problemJson.js";
export type { CompiledModel, Location, ModelForm } from "./model/compile.js";
export { blocks, type Constant, constant, diagonal, Expression } from "./model/expression.js";
export { Model, type ModelOptions } from "./model/model.js";
export type { ModelPoint, ModelSolution } from "./model/solution.js";
export { printTable } from "./print/printTable.js";
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
export { type ReadSdpaOptions, readSdpa, readSdpaAsync } from "./sdpa/readSdpa.js";
export { type WriteSdpaOptions, writeSdpa } from "./sdpa/writeSdpa.js";
export { writeSdpaSolution } from "./sdpa/writeSolution.js";
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
export { findSolver, solvers } from "./solvers.js";
export { type SplittingSettings, splitting } from "./splitting/splitting.js";
export { solveInWorker } from "./worker/solveInWorker.js";
export { type SolveManyOptions, solveMany } from "./worker/solveMany.js";
