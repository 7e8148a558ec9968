// Radii at which perturbations undo every feature. With radius >= ||x_i||_q for all samples,
//   x_i'a <= ||x_i||_q ||a||_{q*} <= radius ||a||_{q*},   so  y (x_i'a + b) - radius ||a||_{q*} <= y b   and
//   |x_i'a + b - t| + radius ||a||_{q*} >= |b - t|
// for margins of one output, differences of two and residuals alike: no loss of a sample grows when the features' part of every piece is set to zero,
// and the regulariser shrinks. The program without features (inputs 0, the constant kept, no ball) therefore has the same optimum and its bound holds.

import { lengthOf } from "../ballSupport.js";
import type { ReluProgram } from "../program/program.js";

/** Whether only the constants of the pieces can be worth their cost, with room for rounding. */
export function onlyConstantsMatter({ samples, featureCount, width, inputs, exponent, radius }: ReluProgram): boolean {
  if (radius === 0) return false;
  for (let i = 0; i < samples; i++) {
    if (lengthOf(inputs, i * width, featureCount, exponent) > radius * (1 - 1e-12)) return false;
  }
  return true;
}

/** The same gates and answers with features of zero and no ball. */
export function withoutFeatures(program: ReluProgram): ReluProgram {
  return { ...program, radius: 0, inputs: constantsOf(program, program.inputs) };
}

/** A copy of vectors `[count, D]` with all but the constant coordinate zero. */
export function constantsOf({ bias, featureCount, width }: ReluProgram, vectors: Float64Array): Float64Array {
  return vectors.map((value, k) => (bias && k % width === featureCount ? value : 0));
}
