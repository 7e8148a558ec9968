// Training of the robust ReLU head with cone constraints (math.md 13.1, 13.3, 24 G).
//   minimise over v, w  1/n sum_i sum_{c != y_i} max(0, 1 - x_i'A_ic + radius ||A_ic||_{q*}) + beta sum_{p,c} (||v_pc||_2 + ||w_pc||_2),
//   T = v - w in A,   subject to  (2 d_pi - 1) x_i'v_pc >= radius ||v_pc||_{q*} for all i, p, c, and the same for w.
// An UPPER bound on the nonconvex robust problem over the sampled patterns: inside the ball no gate of an active neuron changes.
// The bound of dualBound.ts holds unchanged: the cone multipliers only add terms to the aggregated vectors that come with the gradient.

import type { NumericBatch, Warning } from "@worstcase/core";
import { chooseKernels, type KernelName, workspaceSize } from "@worstcase/linalg";
import { zeroBound } from "../gated/firstOrder.js";
import { type FitGatedReluOptions, warningsOf } from "../gated/fitGatedRelu.js";
import { HINGE_SMOOTHING } from "../gated/gatedProblem.js";
import { hingeDataOf, RobustHinge } from "../gated/robustHinge.js";
import type { Objective } from "../program/objective.js";
import { createProgram } from "../program/program.js";
import { AcceleratedProximal } from "../proximal/acceleratedProximal.js";
import { type FitStatus, minimise } from "../proximal/minimise.js";
import { networkOfPieces, type ReluNetwork } from "./reluNetwork.js";
import { ReluProblem } from "./reluProblem.js";
import { type ConeViolation, RobustCones } from "./robustCones.js";

export interface ReluResult {
  /** `optimal` and `zero-optimal` mean gap <= tolerance; otherwise the network is feasible but not shown to be near optimal. */
  readonly status: FitStatus;
  /** Objective of the returned network, which satisfies every robust cone. */
  readonly objective: Objective;
  /** Certified lower bound of the cone-constrained program over these patterns. */
  readonly lowerBound: number;
  /** (objective.total - lowerBound) / objective.total */
  readonly gap: number;
  readonly network: ReluNetwork;
  /**
   * Network of the last iterate, before repair: it violates cones by `constraintViolation`, so it is not the convex model and no bound
   * on it follows from the objective. Judge it by `certifiedMargins`.
   */
  readonly iterate: ReluNetwork;
  /** Feasible pieces, `[2, gates, classes, featureCount (+1)]`: all v, then all w. */
  readonly pieces: Float64Array;
  /** Of the last iterate, before repair. */
  readonly constraintViolation: ConeViolation;
  /** Of the returned pieces; zero up to rounding. */
  readonly repairedViolation: ConeViolation;
  /** Gates for whose robust cone an interior direction was found; the others can only carry boundary pieces. */
  readonly openCones: number;
  readonly iterations: number;
  readonly seconds: number;
  readonly kernels: KernelName;
  readonly warnings: readonly Warning[];
}

/**
 * Trains a two-layer ReLU network whose gates provably do not change on the ball {||z||_q <= radius} around the training samples.
 * `radius` is in FEATURE space. With many samples and a sizeable radius most robust cones hold only zero: see `openCones` and warnings.
 * Throws ShapeError, DataError or SettingError before work starts, AbortedError when the signal fires.
 */
export async function fitRelu(
  features: NumericBatch,
  labels: Int32Array,
  classCount: number,
  options: FitGatedReluOptions,
): Promise<ReluResult> {
  const started = performance.now();
  const { tolerance = 1e-2, maximumIterations = 2000 } = options;
  const program = createProgram(features, { kind: "classes", labels, classCount }, options);
  const { beta, bias } = program;
  const kernels = options.kernels ?? chooseKernels();
  const data = hingeDataOf(program);
  const samples = features.shape[0];
  const featureCount = features.shape[1];
  const width = featureCount + (bias ? 1 : 0);
  const groups = 2 * options.gates.count * classCount;
  const workspace = kernels.workspace(
    workspaceSize(
      ...RobustHinge.sizes(samples, options.gates.count, classCount * width),
      ...RobustCones.sizes(samples, groups, width),
      ...ReluProblem.sizes(groups * width),
      ...AcceleratedProximal.sizes(groups * width),
    ),
  );
  const problem = new ReluProblem(data, options.gates, beta, workspace);
  const outcome = await minimise(problem, workspace, {
    where: "fitRelu",
    lowerBound: zeroBound(data, beta),
    tolerance,
    maximumIterations,
    curvature: 2 / HINGE_SMOOTHING,
    signal: options.signal,
    onEvent: options.onEvent,
  });
  const constraintViolation = problem.cones.violation(outcome.point);
  const pieces = problem.bestPieces;
  const openCones = problem.interiors.margins.filter((margin) => margin > 0).length;
  const warnings = warningsOf(program, problem.best);
  if (openCones < options.gates.count) {
    const message = `${options.gates.count - openCones} of ${options.gates.count} gates have no robust cone with an interior at this radius; their pieces are zero`;
    warnings.push({ code: "closed-cones", message });
  }
  return {
    status: outcome.status,
    objective: problem.best,
    lowerBound: outcome.lowerBound,
    gap: outcome.gap,
    network: networkOfPieces(pieces, { featureCount, classCount, bias }),
    iterate: networkOfPieces(outcome.point, { featureCount, classCount, bias }),
    pieces,
    constraintViolation,
    repairedViolation: problem.bestViolation(),
    openCones,
    iterations: outcome.iterations,
    seconds: (performance.now() - started) / 1000,
    kernels: kernels.name,
    warnings,
  };
}
