// Entry `@worstcase/linalg/kernels`: the kernels without the functions on ml-matrix matrices, whose import costs more than
// a small problem takes to solve.
export { chooseKernels } from "./chooseKernels.js";
export type { BallMinima, Batch, KernelName, KernelRequest, Kernels, WorkPlan, Workspace } from "./kernels.js";
export { findNative, type NativeAttempt, type NativeReport } from "./native/findNative.js";
export { workspaceSize } from "./workspace.js";
