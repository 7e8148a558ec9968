// The convex program that every trainer of this package solves, in one type, and its checker (math.md 13.1 to 13.3).
//   minimise  1/n sum_i l_i(T) + beta R(pieces),   R = sum of ||t_po||_2 (`group`) or sum of |t_pok| (`l1`), the constant coordinate included
//   gated:    the pieces are T itself, t_po in R^D, gate p, output o
//   ReLU:     T = v - w with v, w in the robust cones, and R sums over v and w
//   A_io = sum_p d_pi t_po,   N(A) = radius ||A||_{q*} over the d coordinates that a perturbation of l_q length `radius` moves
// Losses of one sample:
//   two classes    one output, y = +-1, margin m = y x'A - N(A):  hinge max(0, 1 - m)  or  logistic log(1 + exp(-m))
//   C >= 3 classes C outputs, the same losses summed over c != y with A = A_iy - A_ic (Weston-Watkins pairs, 13.3)
//   squared        sum over outputs of (|x'A_io - target_io| + N(A_io))^2 / 2; targets: given numbers (regression), +-1 (two classes,
//                  one output) or one-hot (C >= 3 classes)
// Two classes as two outputs -t/2 and +t/2 have the same objective, so public models keep one column per class.
// inputs: [n, D], D = d or d + 1 with a constant 1 last   bits: [n, P]   targets: [n, outputs]   T: [P, outputs, D]

import {
  checkFinite,
  checkLabels,
  checkObject,
  DataError,
  type NumericBatch,
  SettingError,
  ShapeError,
} from "@worstcase/core";
import { checkBall, dualExponentOf, normExponent, type PerturbationNorm } from "../ballSupport.js";
import { checkFeatures, checkOptions } from "../checks.js";
import { checkGates, type GateSet, trainingBits } from "../patterns/gateSet.js";

const LARGEST_FEATURE = 1e100;

export type ProgramLoss = "hinge" | "logistic" | "squared";
export type Regulariser = "group" | "l1";

export interface ProgramOptions {
  readonly gates: GateSet;
  /** Radius of the perturbation ball in FEATURE space, in units of the features as given. */
  readonly radius: number;
  /** Norm of the PERTURBATION: l1, l2, linf, or a number q >= 1 for l_q. The weights are measured in its dual. */
  readonly norm: PerturbationNorm;
  /** Weight of the regulariser, > 0. */
  readonly beta: number;
  /** Default `hinge` for classes, `squared` for regression. */
  readonly loss?: ProgramLoss;
  /** Default `group`. */
  readonly regulariser?: Regulariser;
  /** Constant term in the linear pieces, not moved by perturbations (default: as the gates have). */
  readonly bias?: boolean;
}

/** What is to be predicted. */
export type Answers =
  | { readonly kind: "classes"; readonly labels: Int32Array; readonly classCount: number }
  | { readonly kind: "regression"; readonly targets: NumericBatch };

export interface ReluProgram {
  readonly task: "two-class" | "multi-class" | "regression";
  readonly loss: ProgramLoss;
  readonly regulariser: Regulariser;
  readonly norm: PerturbationNorm;
  /** q of the perturbation and q* of the weights, 1/q + 1/q* = 1; Infinity where it is. */
  readonly exponent: number;
  readonly dualExponent: number;
  readonly radius: number;
  readonly beta: number;
  readonly bias: boolean;
  /** n */
  readonly samples: number;
  /** d, the coordinates that perturbations move */
  readonly featureCount: number;
  /** D */
  readonly width: number;
  /** P */
  readonly gateCount: number;
  /** Columns of T: 1 for two classes, C for more, the number of targets in regression. */
  readonly outputs: number;
  /** 0 in regression. */
  readonly classCount: number;
  readonly gates: GateSet;
  /** Row-major, `[samples, width]`. */
  readonly inputs: Float64Array;
  /** d_pi, `[samples, gateCount]`. */
  readonly bits: Uint8Array;
  /** Class indices `[samples]`; empty in regression. */
  readonly labels: Int32Array;
  /** `[samples, outputs]`; for two classes +-1 whatever the loss, for more classes one-hot. */
  readonly targets: Float64Array;
}

/**
 * The program for features `[n, d]` and answers; nothing given is kept or mutated but the gate set.
 * Throws ShapeError, DataError or SettingError, naming the argument.
 */
export function createProgram(features: NumericBatch, answers: Answers, options: ProgramOptions): ReluProgram {
  checkOptions(options);
  checkFeatures(features);
  checkObject(answers, "answers", "{ labels, classCount } or { targets } with their kind");
  const [samples, featureCount] = features.shape as [number, number];
  const classCount = answers.kind === "classes" ? answers.classCount : 0;
  checkMagnitude(features);
  checkAnswers(answers, samples);
  const { gates, radius, norm, beta, regulariser = "group" } = options;
  const loss = options.loss ?? (answers.kind === "classes" ? "hinge" : "squared");
  checkChoice(loss, answers.kind === "classes" ? ["hinge", "logistic", "squared"] : ["squared"], "options.loss");
  checkChoice(regulariser, ["group", "l1"], "options.regulariser");
  checkBall(norm, radius, "options.");
  if (!Number.isFinite(beta) || beta <= 0) {
    throw new SettingError({ argument: "options.beta", expected: "a finite number > 0", received: beta });
  }
  checkGates(gates, featureCount, "options.gates");
  const bias = options.bias ?? gates.bias;
  const task = answers.kind === "regression" ? "regression" : classCount === 2 ? "two-class" : "multi-class";
  const outputs = answers.kind === "regression" ? answers.targets.shape[1] : classCount === 2 ? 1 : classCount;
  const exponent = normExponent(norm);
  return {
    task,
    loss,
    regulariser,
    norm,
    exponent,
    dualExponent: dualExponentOf(norm),
    radius,
    beta,
    bias,
    samples,
    featureCount,
    width: featureCount + (bias ? 1 : 0),
    gateCount: gates.count,
    outputs,
    classCount,
    gates,
    inputs: withConstant(features, bias),
    bits: trainingBits(features, gates),
    labels: answers.kind === "classes" ? answers.labels.slice() : new Int32Array(0),
    targets: targetsOf(answers, samples, outputs),
  };
}

/** The same program over the samples at `picked`. */
export function takeProgramSamples(program: ReluProgram, picked: ArrayLike<number>): ReluProgram {
  const rows = <T extends Float64Array | Uint8Array | Int32Array>(values: T, size: number, out: T): T => {
    for (let row = 0; row < picked.length; row++) {
      out.set(values.subarray(picked[row] * size, (picked[row] + 1) * size), row * size);
    }
    return out;
  };
  const { width, gateCount, outputs, labels, inputs, bits, targets } = program;
  const count = picked.length;
  return {
    ...program,
    samples: count,
    inputs: rows(inputs, width, new Float64Array(count * width)),
    bits: rows(bits, gateCount, new Uint8Array(count * gateCount)),
    labels: labels.length === 0 ? labels : rows(labels, 1, new Int32Array(count)),
    targets: rows(targets, outputs, new Float64Array(count * outputs)),
  };
}

function checkAnswers(answers: Answers, samples: number): void {
  if (answers.kind === "classes") {
    if (!Number.isSafeInteger(answers.classCount) || answers.classCount < 2) {
      throw new SettingError({ argument: "classCount", expected: "an integer >= 2", received: answers.classCount });
    }
    checkLabels(answers.labels, samples, answers.classCount);
    return;
  }
  checkObject(answers.targets, "targets", `{ data, shape: [${samples}, outputs] }`);
  const { data, shape } = answers.targets;
  if (
    !ArrayBuffer.isView(data) ||
    !Array.isArray(shape) ||
    shape.length !== 2 ||
    shape[0] !== samples ||
    !(shape[1] >= 1) ||
    data.length !== samples * shape[1]
  ) {
    const expected = `targets of shape [${samples}, outputs]`;
    throw new ShapeError({ argument: "targets.shape", expected, received: shape });
  }
  checkFinite(data, "targets", shape[1]);
}

function checkMagnitude(features: NumericBatch): void {
  const { data, shape } = features;
  for (let k = 0; k < data.length; k++) {
    if (Math.abs(data[k]) <= LARGEST_FEATURE) continue;
    const argument = `features[${Math.floor(k / shape[1])}, ${k % shape[1]}]`;
    const expected = `at most ${LARGEST_FEATURE} in size, so that squares stay finite`;
    throw new DataError({ argument, expected, received: data[k], hint: "scale the features first" });
  }
}

function checkChoice(value: string, allowed: readonly string[], argument: string): void {
  if (allowed.includes(value)) return;
  throw new SettingError({ argument, expected: allowed.join(" or "), received: value });
}

function targetsOf(answers: Answers, samples: number, outputs: number): Float64Array {
  if (answers.kind === "regression") return Float64Array.from(answers.targets.data);
  const targets = new Float64Array(samples * outputs);
  answers.labels.forEach((label, i) => {
    if (answers.classCount === 2) targets[i] = label === 1 ? 1 : -1;
    else targets[i * outputs + label] = 1;
  });
  return targets;
}

/** Features as float64, with a constant 1 appended to every sample when `bias`. */
export function withConstant(features: NumericBatch, bias: boolean): Float64Array {
  const samples = features.shape[0];
  const featureCount = features.shape[1];
  const width = featureCount + (bias ? 1 : 0);
  const inputs = new Float64Array(samples * width);
  for (let i = 0; i < samples; i++) {
    for (let k = 0; k < featureCount; k++) inputs[i * width + k] = features.data[i * featureCount + k];
    if (bias) inputs[i * width + featureCount] = 1;
  }
  return inputs;
}
