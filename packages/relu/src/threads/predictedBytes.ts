// Memory of accelerated proximal steps on robust hinges, foretold and compared with what there is before anything is allocated.

import { checkBytes, machineBytes } from "../memoryLimit.js";
import type { ReluProgram } from "../program/program.js";

/** Vectors of all pieces in this thread: the method's, the pairs of the dual bundle, the best point, references. */
const VECTORS = 26;
/** More of them for every further thread: shared and own copies of weights and gradient, the reference of the screen. */
const VECTORS_PER_THREAD = 4;

/** Predicted bytes, the program itself (features `[n, D]`, bits `[n, P]`) included. */
export function predictedBytes(program: ReluProgram, threads: number): number {
  const { samples, width, gateCount, outputs, featureCount, task, exponent, radius } = program;
  const columns = task === "two-class" ? 2 : outputs;
  const length = gateCount * columns * width;
  const centred = exponent !== 2 && radius > 0;
  const perSample = 8 * 5 * width + 3 * gateCount + 18 * columns + (centred ? 4 * columns * featureCount : 0);
  return samples * perSample + 8 * length * (VECTORS + VECTORS_PER_THREAD * (threads - 1));
}

/** Throws ResourceError when the prediction exceeds `limit`, by default the memory of the machine or its container. */
export function checkMemory(program: ReluProgram, threads: number, limit = machineBytes()): void {
  const { samples, featureCount, gateCount, outputs } = program;
  checkBytes(predictedBytes(program, threads), limit, {
    argument: "features",
    what: "a program",
    received: `${samples} samples, ${featureCount} features, ${gateCount} gates, ${outputs} outputs`,
    hint: "use fewer gates or samples",
  });
}
