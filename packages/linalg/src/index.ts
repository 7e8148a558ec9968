export { chooseKernels } from "./chooseKernels.js";
export type { KernelName, KernelRequest, Kernels, Workspace } from "./kernels.js";
export { type CholeskyResult, cholesky, multiply, type SolveResult, solveSpd, symmetricEigen } from "./matrices.js";
export { workspaceSize } from "./workspace.js";
