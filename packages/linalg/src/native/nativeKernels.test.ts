import { describeKernels } from "../testing/describeKernels.js";
import { findNative } from "./findNative.js";

const { kernels, detail } = findNative();
console.log(kernels ? `native kernels: ${detail}` : `native kernels skipped: ${detail}`);
describeKernels("native", kernels ?? undefined, detail);
