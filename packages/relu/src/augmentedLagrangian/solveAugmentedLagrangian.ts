// The ReLU program by the augmented Lagrangian method with accelerated proximal steps inside (coneProblem.ts, minimise.ts), for tables whose
// samples are too many for the matrices of the interior-point method. Bounds are those of the dual bundle, of any iterate; objectives those of
// repaired pieces.

import { workspaceSize } from "@worstcase/linalg";
import type { OpenGatesOptions, OpenGatesResult } from "../network/openGates.js";
import type { ReluProgram } from "../program/program.js";
import { AcceleratedProximal } from "../proximal/acceleratedProximal.js";
import { minimise } from "../proximal/minimise.js";
import { ConeProblem } from "./coneProblem.js";

/** `program` has open gates only; `directions` [P, D] lie strictly inside their cones. */
export async function solveAugmentedLagrangian(
  program: ReluProgram,
  directions: Float64Array,
  options: OpenGatesOptions,
): Promise<OpenGatesResult> {
  const length = 2 * program.gateCount * program.outputs * program.width;
  const sizes = [...ConeProblem.sizes(program), ...AcceleratedProximal.sizes(length)];
  const workspace = options.kernels.workspace(workspaceSize(...sizes));
  const problem = new ConeProblem(program, directions, workspace);
  if (options.start) problem.keepBest(options.start, true);
  const outcome = await minimise(problem, workspace, { ...options, curvature: 1 });
  return {
    pieces: problem.bestPieces,
    objective: problem.best,
    lowerBound: outcome.lowerBound,
    iterations: outcome.iterations,
  };
}
