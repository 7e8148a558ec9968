// The conformance suite, one line per trainer.

import { fitGatedRelu } from "../gated/fitGatedRelu.js";
import { fitRelu } from "../network/fitRelu.js";
import { describeReluSolver, type ReluSolver } from "./describeReluSolver.js";

const gated = (method: "auto" | "first-order"): ReluSolver["fit"] => async (features, labels, classCount, options) => {
  const result = await fitGatedRelu(features, labels, classCount, { ...options, method });
  return { ...result, weights: result.model.weights, violation: 0 };
};

describeReluSolver({
  name: "ReLU program, interior point",
  tolerance: 1e-6,
  fit: async (features, labels, classCount, options) => {
    const result = await fitRelu(features, labels, classCount, options);
    return { ...result, weights: result.pieces, violation: result.constraintViolation.maximum };
  },
});
describeReluSolver({ name: "gated program, method chosen", tolerance: 1e-4, fit: gated("auto") });
describeReluSolver({ name: "gated program, proximal steps", tolerance: 1e-2, fit: gated("first-order") });
