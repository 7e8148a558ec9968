// Training of the gated ReLU robust head to a certified gap (math.md 13.3, 13.6, 24 H).
//   minimise over T  1/n sum_i sum_{c != y_i} max(0, 1 - x_i'A_ic + radius ||A_ic||_{q*}) + beta sum_{p,c} ||t_pc||_2
// Gates stay as they are at x_i inside the ball: exact for the gated model with FIXED gates only (see certifiedMargins for moving gates).
// Method: R-FISTA on the smoothed problem, centres moved whenever smoothing, and not lack of convergence, makes up the gap.
// features: [n, d]   labels: [n]   T: [P, C, d (+1)]

import {
  checkLabels,
  gatherBatch,
  type Norm,
  type NumericBatch,
  SettingError,
  type Warning,
  type WorkOptions,
} from "@worstcase/core";
import { chooseKernels, type KernelName, type Kernels, type Workspace, workspaceSize } from "@worstcase/linalg";
import { checkBall, projectOnBall } from "../ballSupport.js";
import { checkFeatures, checkPositive } from "../checks.js";
import type { GatedReluModel } from "../gatedModel.js";
import { checkGates, type GateSet, patternBits } from "../patterns/gateSet.js";
import type { Objective } from "../program/objective.js";
import { withConstant } from "../program/program.js";
import { AcceleratedProximal, largestGroupNorm } from "../proximal/acceleratedProximal.js";
import { type FitProgress, type FitStatus, minimise } from "../proximal/minimise.js";
import { GatedProblem, HINGE_SMOOTHING } from "./gatedProblem.js";
import { type HingeData, RobustHinge } from "./robustHinge.js";

/** Sets of at least this many samples start from a solution on every STRIDE-th sample. */
const SUBSET_FROM = 4000;
const STRIDE = 8;

export interface FitGatedReluOptions extends WorkOptions<FitProgress> {
  /** Radius of the perturbation ball in FEATURE space, in units of the features as given. */
  readonly radius: number;
  /** Norm of the PERTURBATION; the weights are measured in its dual. */
  readonly norm: Norm;
  /** Weight of the group norms, > 0. */
  readonly beta: number;
  readonly gates: GateSet;
  /** Constant term in the linear pieces, not moved by perturbations (default: as the gates have). */
  readonly bias?: boolean;
  /** Relative certified gap to stop at (default 1e-2). */
  readonly tolerance?: number;
  /** Default 2000. */
  readonly maximumIterations?: number;
  readonly kernels?: Kernels;
}

export interface GatedReluResult {
  /** `optimal` and `zero-optimal` mean gap <= tolerance; the latter that the zero model is the one returned. */
  readonly status: FitStatus;
  /** Objective of the returned model, without smoothing. */
  readonly objective: Objective;
  /** Certified: no gated model over these gates has a smaller objective. */
  readonly lowerBound: number;
  /** (objective.total - lowerBound) / objective.total */
  readonly gap: number;
  readonly model: GatedReluModel;
  readonly iterations: number;
  readonly seconds: number;
  readonly kernels: KernelName;
  readonly warnings: readonly Warning[];
}

/**
 * Trains a gated ReLU head on features `[n, d]` and class indices `[n]` so that its fixed-gate margins hold on the ball
 * {||z||_q <= radius} around every sample, and certifies how far from optimal it is. Two classes: the optimal value equals that of
 * a single +-1 output (split any column difference in two halves), so no separate binary form exists.
 * Throws ShapeError, DataError or SettingError before work starts, AbortedError when the signal fires.
 */
export async function fitGatedRelu(
  features: NumericBatch,
  labels: Int32Array,
  classCount: number,
  options: FitGatedReluOptions,
): Promise<GatedReluResult> {
  const started = performance.now();
  const settings = checkOptions(features, labels, classCount, options);
  const { beta, tolerance, maximumIterations, bias } = settings;
  const kernels = options.kernels ?? chooseKernels();
  const data = hingeData(features, labels, classCount, options, bias);
  const common = { where: "fitGatedRelu", curvature: 2 / HINGE_SMOOTHING, signal: options.signal };
  const start = await startFromSubset(data, beta, kernels, common);
  const { problem, workspace } = buildProblem(data, beta, kernels);
  const outcome = await minimise(problem, workspace, {
    ...common,
    start,
    lowerBound: zeroBound(data, beta),
    tolerance,
    maximumIterations,
    onEvent: options.onEvent,
  });
  return {
    status: outcome.status,
    objective: problem.best,
    lowerBound: outcome.lowerBound,
    gap: outcome.gap,
    model: {
      kind: "gated-relu",
      gates: copyGates(options.gates),
      featureCount: features.shape[1],
      classCount,
      bias,
      weights: problem.bestWeights,
    },
    iterations: outcome.iterations,
    seconds: (performance.now() - started) / 1000,
    kernels: kernels.name,
    warnings: collectWarnings(problem.best, classCount - 1, labels),
  };
}

function buildProblem(
  data: HingeData,
  beta: number,
  kernels: Kernels,
): { problem: GatedProblem; workspace: Workspace } {
  const rowLength = data.classCount * (data.features.shape[1] + (data.bias ? 1 : 0));
  const workspace = kernels.workspace(
    workspaceSize(
      ...RobustHinge.sizes(data.features.shape[0], data.gateCount, rowLength),
      ...AcceleratedProximal.sizes(data.gateCount * rowLength),
    ),
  );
  return { problem: new GatedProblem(data, beta, workspace), workspace };
}

// Large sets: a few cheap iterations on every STRIDE-th sample first, from where the full problem starts. Bounds are not carried over.
async function startFromSubset(
  data: HingeData,
  beta: number,
  kernels: Kernels,
  common: { readonly where: string; readonly curvature: number; readonly signal: AbortSignal | undefined },
): Promise<Float64Array | undefined> {
  const samples = data.features.shape[0];
  if (samples < SUBSET_FROM) return undefined;
  const picked = Int32Array.from({ length: Math.floor(samples / STRIDE) }, (_, i) => i * STRIDE);
  const bits = new Uint8Array(picked.length * data.gateCount);
  picked.forEach((i, row) => {
    bits.set(data.bits.subarray(i * data.gateCount, (i + 1) * data.gateCount), row * data.gateCount);
  });
  const subset: HingeData = {
    ...data,
    features: gatherBatch(data.features, picked),
    labels: picked.map((i) => data.labels[i]),
    bits,
  };
  const { problem, workspace } = buildProblem(subset, beta, kernels);
  await minimise(problem, workspace, { ...common, lowerBound: 0, tolerance: 0.2, maximumIterations: 100 });
  return problem.bestWeights;
}

/** What the robust hinge needs of a training set. */
export function hingeData(
  features: NumericBatch,
  labels: Int32Array,
  classCount: number,
  { gates, norm, radius }: Pick<FitGatedReluOptions, "gates" | "norm" | "radius">,
  bias: boolean,
): HingeData {
  const bits = patternBits(features, gates);
  return { features, labels, classCount, bits, gateCount: gates.count, bias, norm, radius };
}

// At T = 0 every hinge equals 1, so alpha = kappa and any z in the ball is admissible: z = 0 and z = projection of x on the ball are tried.
export function zeroBound(data: HingeData, beta: number): number {
  const { features, labels, classCount, bits, gateCount, bias, norm, radius } = data;
  const samples = features.shape[0];
  const moved = features.shape[1];
  const width = moved + (bias ? 1 : 0);
  const inputs = withConstant(features, bias);
  const nearest = new Float64Array(moved);
  const h = new Float64Array(gateCount * classCount * width);
  let bound = 0;
  for (const shifted of [false, true]) {
    h.fill(0);
    // S_pc = sum over samples of class c of d_pi (x_i - z_i); h_pc = (C S_pc - sum_c' S_pc') / n
    for (let i = 0; i < samples; i++) {
      const x = i * width;
      nearest.fill(0);
      if (shifted) projectOnBall(inputs, x, moved, norm, radius, nearest);
      for (let p = 0; p < gateCount; p++) {
        if (bits[i * gateCount + p] === 0) continue;
        const from = (p * classCount + labels[i]) * width;
        for (let k = 0; k < moved; k++) h[from + k] += inputs[x + k] - nearest[k];
        if (bias) h[from + moved] += 1;
      }
    }
    for (let p = 0; p < gateCount; p++) {
      for (let k = 0; k < width; k++) {
        let total = 0;
        for (let c = 0; c < classCount; c++) total += h[(p * classCount + c) * width + k];
        for (let c = 0; c < classCount; c++) {
          const entry = (p * classCount + c) * width + k;
          h[entry] = (classCount * h[entry] - total) / samples;
        }
      }
    }
    bound = Math.max(bound, (classCount - 1) * Math.min(1, beta / largestGroupNorm(h, width)));
  }
  return bound;
}

export function checkOptions(
  features: NumericBatch,
  labels: Int32Array,
  classCount: number,
  options: FitGatedReluOptions,
): { beta: number; tolerance: number; maximumIterations: number; bias: boolean } {
  checkFeatures(features);
  if (!Number.isSafeInteger(classCount) || classCount < 2) {
    throw new SettingError({ argument: "classCount", expected: "an integer >= 2", received: classCount });
  }
  checkLabels(labels, features.shape[0], classCount);
  const { beta, tolerance = 1e-2, maximumIterations = 2000 } = options;
  checkBall(options.norm, options.radius, "options.");
  if (!Number.isFinite(beta) || beta <= 0) {
    throw new SettingError({ argument: "options.beta", expected: "a finite number > 0", received: beta });
  }
  if (!Number.isFinite(tolerance) || tolerance <= 0) {
    throw new SettingError({ argument: "options.tolerance", expected: "a finite number > 0", received: tolerance });
  }
  checkPositive(maximumIterations, "options.maximumIterations");
  checkGates(options.gates, features.shape[1], "options.gates");
  return { beta, tolerance, maximumIterations, bias: options.bias ?? options.gates.bias };
}

function copyGates(set: GateSet): GateSet {
  const { gates, count, featureCount, bias, scales } = set;
  return { gates: gates.slice(), count, featureCount, bias, scales: scales.slice() };
}

export function collectWarnings(objective: Objective, zeroLoss: number, labels: Int32Array): Warning[] {
  const warnings: Warning[] = [];
  if (labels.every((label) => label === labels[0])) {
    warnings.push({ code: "single-class", message: `all ${labels.length} labels are ${labels[0]}` });
  }
  if (objective.total >= 0.9 * zeroLoss) {
    const message = `objective ${objective.total.toPrecision(4)} is close to ${zeroLoss}, that of the zero model: radius or beta leave no useful margin`;
    warnings.push({ code: "collapsed-head", message });
  }
  return warnings;
}
