// The conformance suite, one line per trainer.

import { fitGatedRelu } from "../gated/fitGatedRelu.js";
import { fitRelu, type ReluMethod } from "../network/fitRelu.js";
import { describeReluSolver, type ReluSolver } from "./describeReluSolver.js";

const gated =
  (method: "auto" | "first-order"): ReluSolver["fit"] =>
  async (features, labels, classCount, options) => {
    const result = await fitGatedRelu(features, labels, classCount, { ...options, method });
    return { ...result, weights: result.model.weights, violation: 0 };
  };

const relu =
  (method: ReluMethod): ReluSolver["fit"] =>
  async (features, labels, classCount, options) => {
    const result = await fitRelu(features, labels, classCount, { ...options, method, maximumIterations: 20_000 });
    return { ...result, weights: result.pieces, violation: result.constraintViolation.maximum };
  };

describeReluSolver({ name: "ReLU program, interior point", tolerance: 1e-6, fit: relu("interior-point") });
describeReluSolver({ name: "ReLU program, augmented Lagrangian", tolerance: 5e-2, fit: relu("augmented-lagrangian") });
describeReluSolver({ name: "ReLU program, ADMM", tolerance: 1e-3, fit: relu("admm") });
describeReluSolver({ name: "gated program, method chosen", tolerance: 1e-4, fit: gated("auto") });
describeReluSolver({ name: "gated program, proximal steps", tolerance: 1e-2, fit: gated("first-order") });
