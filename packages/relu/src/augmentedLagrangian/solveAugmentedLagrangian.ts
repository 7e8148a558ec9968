// The ReLU program by the augmented Lagrangian method with accelerated proximal steps inside (coneProblem.ts, minimise.ts), for tables whose
// samples are too many for the matrices of the interior-point method. Bounds are those of the dual bundle, of any iterate; objectives those of
// repaired pieces.

import { type Kernels, workspaceSize } from "@worstcase/linalg";
import type { Objective } from "../program/objective.js";
import type { ReluProgram } from "../program/program.js";
import { AcceleratedProximal } from "../proximal/acceleratedProximal.js";
import { type FitProgress, minimise } from "../proximal/minimise.js";
import { ConeProblem } from "./coneProblem.js";

export interface AugmentedLagrangianOptions {
  readonly kernels: Kernels;
  readonly tolerance: number;
  readonly maximumIterations: number;
  readonly lowerBound: number;
  readonly where: string;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: FitProgress) => void) | undefined;
}

export interface AugmentedLagrangianResult {
  /** `[2, P, outputs, D]` over the gates of the program, feasible exactly. */
  readonly pieces: Float64Array;
  readonly objective: Objective;
  readonly lowerBound: number;
  readonly iterations: number;
}

/** `program` has open gates only; `directions` [P, D] lie strictly inside their cones. */
export async function solveAugmentedLagrangian(
  program: ReluProgram,
  directions: Float64Array,
  options: AugmentedLagrangianOptions,
): Promise<AugmentedLagrangianResult> {
  const length = 2 * program.gateCount * program.outputs * program.width;
  const sizes = [...ConeProblem.sizes(program), ...AcceleratedProximal.sizes(length)];
  const workspace = options.kernels.workspace(workspaceSize(...sizes));
  const problem = new ConeProblem(program, directions, workspace);
  const outcome = await minimise(problem, workspace, { ...options, curvature: 1 });
  return {
    pieces: problem.bestPieces,
    objective: problem.best,
    lowerBound: outcome.lowerBound,
    iterations: outcome.iterations,
  };
}
