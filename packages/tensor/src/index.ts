export * as tf from "@tensorflow/tfjs-core";
export type { BackendName } from "./backends.js";
export { conv2d, conv2dFilterGradient, conv2dInputGradient } from "./convolution.js";
export { reluGradient } from "./reluGradient.js";
export { type BackendInfo, type BackendReport, inspectBackends, useBackend } from "./useBackend.js";
