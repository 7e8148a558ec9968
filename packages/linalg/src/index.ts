export { chooseKernels } from "./chooseKernels.js";
export type { BallMinima, Batch, KernelName, KernelRequest, Kernels, WorkPlan, Workspace } from "./kernels.js";
export { type CholeskyResult, cholesky, multiply, type SolveResult, solveSpd, symmetricEigen } from "./matrices.js";
export { findNative, type NativeAttempt, type NativeReport } from "./native/findNative.js";
export { workspaceSize } from "./workspace.js";
