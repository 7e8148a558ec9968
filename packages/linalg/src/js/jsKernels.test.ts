import { describeKernels } from "../testing/describeKernels.js";
import { jsKernels } from "./jsKernels.js";

describeKernels("js", jsKernels);
