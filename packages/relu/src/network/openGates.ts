// What a first-order solver of the ReLU program takes and gives, over the gates whose robust cones are open.

import type { Kernels } from "@worstcase/linalg";
import type { Objective } from "../program/objective.js";
import type { FitProgress } from "../proximal/minimise.js";

export interface OpenGatesOptions {
  readonly kernels: Kernels;
  readonly tolerance: number;
  readonly maximumIterations: number;
  readonly lowerBound: number;
  /** Pieces to start from (default zero). */
  readonly start?: Float64Array | undefined;
  readonly where: string;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: FitProgress) => void) | undefined;
}

export interface OpenGatesResult {
  /** `[2, P, outputs, D]` over the gates of the program, feasible exactly. */
  readonly pieces: Float64Array;
  readonly objective: Objective;
  readonly lowerBound: number;
  readonly iterations: number;
}
