// Training of the gated ReLU robust head to a certified gap (math.md 13.3, 13.6, 24 H).
//   minimise over T  1/n sum_i sum_{c != y_i} max(0, 1 - x_i'A_ic + radius ||A_ic||_{q*}) + beta sum_{p,c} ||t_pc||_2
// Gates stay as they are at x_i inside the ball: exact for the gated model with FIXED gates only (see certifiedMargins for moving gates).
// Method: R-FISTA on the smoothed problem, smoothing reduced whenever it, and not lack of convergence, makes up the gap.
// features: [n, d]   labels: [n]   T: [P, C, d (+1)]

import {
  checkLabels,
  type Norm,
  type NumericBatch,
  SettingError,
  throwIfAborted,
  type Warning,
  type WorkOptions,
} from "@worstcase/core";
import { chooseKernels, type KernelName, type Kernels, workspaceSize } from "@worstcase/linalg";
import { checkBall, projectOnBall } from "../ballSupport.js";
import type { GatedReluModel } from "../gatedModel.js";
import { checkFeatures, checkGates, checkPositive, type GateSet, patternBits } from "../gates.js";
import { AcceleratedProximal, largestGroupNorm, sumOfGroupNorms } from "../proximal/acceleratedProximal.js";
import { DualBundle } from "./dualBound.js";
import { type HingeData, type HingeValue, RobustHinge, withConstant } from "./robustHinge.js";

export type FitStatus = "optimal" | "zero-optimal" | "iteration-limit" | "stalled";

export interface FitProgress {
  readonly type: "iteration";
  readonly iteration: number;
  /** Best objective so far, without smoothing. */
  readonly objective: number;
  readonly lowerBound: number;
  /** (objective - lowerBound) / objective */
  readonly gap: number;
  /** Width of the smoothed hinge at present. */
  readonly smoothing: number;
}

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

export interface Objective {
  readonly total: number;
  readonly loss: number;
  readonly regulariser: number;
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

/** Iterations between events, gap checks and looks at the clock. */
const BLOCK = 10;

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
  const data: HingeData = {
    features,
    labels,
    classCount,
    bits: patternBits(features, options.gates),
    gateCount: options.gates.count,
    bias,
    norm: options.norm,
    radius: options.radius,
  };
  const width = features.shape[1] + (bias ? 1 : 0);
  const length = options.gates.count * classCount * width;
  const workspace = kernels.workspace(
    workspaceSize(
      ...RobustHinge.sizes(features.shape[0], options.gates.count, classCount * width),
      ...AcceleratedProximal.sizes(length),
    ),
  );
  const hinge = new RobustHinge(data, workspace);
  const value: HingeValue = { smooth: 0, loss: 0, dualSum: 0 };
  let smoothing = 0.5;
  let dualSum = 0;
  const smoothPart = {
    value(point: Float64Array) {
      hinge.evaluate(point, smoothing, null, value);
      return value.smooth;
    },
    valueAndGradient(point: Float64Array, gradient: Float64Array) {
      hinge.evaluate(point, smoothing, gradient, value);
      dualSum = value.dualSum;
      return value.smooth;
    },
  };
  const method = new AcceleratedProximal(
    smoothPart,
    width,
    beta,
    length,
    workspace,
    startingCurvature(data, smoothing),
  );
  const duals = new DualBundle(length, width, beta);
  const best = new Float64Array(length);
  const zeroLoss = classCount - 1;
  let objective: Objective = { total: zeroLoss, loss: zeroLoss, regulariser: 0 };
  duals.best = zeroBound(data, method.gradient, beta);
  let iteration = 0;
  let status: FitStatus | null = null;
  let lastGap = 1;
  let lastProgress = 0;
  let lastPause = performance.now();
  const gapNow = () => Math.max(0, (objective.total - duals.best) / objective.total);

  while (status === null) {
    if (iteration % BLOCK === 0) {
      throwIfAborted(options.signal, "fitGatedRelu");
      if (iteration > 0) {
        duals.averageBound();
        if (gapNow() > tolerance) {
          duals.keepGradient(method.gradient, dualSum);
          if (gapNow() > tolerance) duals.polish();
        }
      }
      const gap = gapNow();
      const report = { iteration, objective: objective.total, lowerBound: duals.best, gap, smoothing };
      options.onEvent?.({ type: "iteration", ...report });
      if (gap <= tolerance) {
        status = objective.regulariser === 0 ? "zero-optimal" : "optimal";
        break;
      }
      if (iteration >= maximumIterations) {
        status = "iteration-limit";
        break;
      }
      if (gap < 0.99 * lastGap) {
        lastGap = gap;
        lastProgress = iteration;
      } else if (iteration - lastProgress >= 600) {
        status = "stalled";
        break;
      }
      if (iteration > 0 && smoothingDominates(objective.total, dualSum, duals, smoothing)) {
        smoothing *= 0.5;
        duals.closeAverage();
        method.restart();
      }
      if (performance.now() - lastPause > 50) {
        await new Promise((resolve) => setTimeout(resolve, 0));
        lastPause = performance.now();
      }
    }
    iteration++;
    if (!method.step()) {
      status = "stalled";
      break;
    }
    duals.add(method.gradient, dualSum, method.momentum);
    const regulariser = beta * sumOfGroupNorms(method.point, width);
    if (value.loss + regulariser < objective.total) {
      objective = { total: value.loss + regulariser, loss: value.loss, regulariser };
      best.set(method.point);
    }
  }

  const model: GatedReluModel = {
    kind: "gated-relu",
    gates: copyGates(options.gates),
    featureCount: features.shape[1],
    classCount,
    bias,
    weights: best,
  };
  const seconds = (performance.now() - started) / 1000;
  const warnings = collectWarnings(objective, zeroLoss, labels);
  const outcome = { status, objective, lowerBound: duals.best, gap: gapNow(), model, iterations: iteration, seconds };
  return { ...outcome, kernels: kernels.name, warnings };
}

// The gap has two parts: what smoothing adds (objective - sum alpha) and what lack of stationarity takes (sum alpha (1 - s)).
function smoothingDominates(total: number, dualSum: number, duals: DualBundle, smoothing: number): boolean {
  const excess = Math.max(0, 1 - 1 / Math.max(1, duals.averageViolation()));
  return smoothing > 1e-7 && total - dualSum > 0.5 * dualSum * excess;
}

// At T = 0 every hinge equals 1, so alpha = kappa and any z in the ball is admissible: z = 0 and z = projection of x on the ball are tried.
function zeroBound(data: HingeData, h: Float64Array, beta: number): number {
  const { features, labels, classCount, bits, gateCount, bias, norm, radius } = data;
  const samples = features.shape[0];
  const moved = features.shape[1];
  const width = moved + (bias ? 1 : 0);
  const inputs = withConstant(features, bias);
  const nearest = new Float64Array(moved);
  let bound = 0;
  for (const shifted of [false, true]) {
    h.fill(0);
    for (let i = 0; i < samples; i++) {
      if (shifted) projectOnBall(inputs, i * width, moved, norm, radius, nearest);
      for (let p = 0; p < gateCount; p++) {
        if (bits[i * gateCount + p] === 0) continue;
        for (let c = 0; c < classCount; c++) {
          const factor = (c === labels[i] ? classCount - 1 : -1) / samples;
          const from = (p * classCount + c) * width;
          for (let k = 0; k < moved; k++) h[from + k] += factor * (inputs[i * width + k] - nearest[k]);
          if (bias) h[from + moved] += factor;
        }
      }
    }
    bound = Math.max(bound, (classCount - 1) * Math.min(1, beta / largestGroupNorm(h, width)));
  }
  h.fill(0);
  return bound;
}

function startingCurvature({ features, bias }: HingeData, smoothing: number): number {
  let square = 0;
  for (const value of features.data) square += value * value;
  return Math.max(1e-6, square / features.shape[0] + (bias ? 1 : 0)) / smoothing;
}

function checkOptions(
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

function collectWarnings(objective: Objective, zeroLoss: number, labels: Int32Array): Warning[] {
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
