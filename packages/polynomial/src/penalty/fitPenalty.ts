// The scalable trainer of arXiv 2405.14033 as a baseline: constraints of the semidefinite program become penalties, Adam moves
// everything (math.md 14.1), with the correct sign of the linear term and with Adam's memory kept for w and l (math.md 19, defects 1
// and 2). What it leaves violates the constraints: that is measured, and the network is judged exactly after a repair. It has no
// certificate; `fitPolynomial` is better in every respect and is what to use.

import {
  type NumericBatch,
  type Radius,
  type Rng,
  SettingError,
  throwIfAborted,
  type WorkOptions,
} from "@worstcase/core";
import { type KernelRequest, type Kernels, workspaceSize } from "@worstcase/linalg";
import { type Activation, checkActivation, paperActivation } from "../activation.js";
import { createLayout } from "../exact/layout.js";
import { pruneNetwork } from "../exact/pruneNetwork.js";
import { resolveKernels } from "../fit.js";
import { checkInteger, checkKeys, checkNumber, checkPoints, checkSignLabels, type SignLabels } from "../inputs.js";
import { type Neurons, type Quadratic, quadraticFromNeurons } from "../quadratic.js";
import { type ObjectiveParts, robustObjective } from "../robustObjective.js";
import { prepareWorstCase, radiusValue } from "../worstCase/worstCase.js";
import { createPenaltyStep, partsOf } from "./penaltyStep.js";
import { repairWeights } from "./repairWeights.js";

export interface PenaltyEpoch {
  readonly epoch: number;
  /** Mean over the epoch's batches of the penalised objective. */
  readonly value: number;
  readonly seconds: number;
}

export interface PenaltyOptions extends WorkOptions<PenaltyEpoch> {
  /** l2 radius of the adversary in feature space. */
  readonly radius: number | Radius;
  /** Default 1e-3. */
  readonly beta?: number;
  readonly activation?: Activation;
  /** Weight rho of the violations. Default 1, as in the paper's code. */
  readonly penalty?: number;
  /** Default 300. */
  readonly epochs?: number;
  /** Step of Adam. Default 0.01. */
  readonly learningRate?: number;
  /** Samples a step. Default 100. */
  readonly batchSize?: number;
  /** Order of the samples when there is more than one batch. */
  readonly rng: Rng;
  readonly kernels?: KernelRequest | Kernels;
}

/** How far the raw variables are from feasible. */
export interface PenaltyViolations {
  /** Share of samples whose variable w lies above the exact worst margin of the raw network by more than 1e-6, and the largest excess. */
  readonly overstatedMargins: number;
  readonly largestExcess: number;
  /** Share of samples whose matrix inequality fails by more than 1e-6, and the smallest eigenvalue of all. */
  readonly brokenInequalities: number;
  readonly smallestEigenvalue: number;
  /** Sizes of the negative eigenvalues of Z and Z' together, and of both trace defects. */
  readonly negativePart: number;
  readonly traceDefect: number;
}

export interface PenaltyFit {
  /** What the variables say: mean hinge of w and beta (z4 + z4'). Not a bound on anything. */
  readonly claimed: number;
  /** Exact robust objective of the repaired network. */
  readonly objective: ObjectiveParts;
  readonly violations: PenaltyViolations;
  readonly neurons: Neurons;
  readonly quadratic: Quadratic;
  readonly epochs: number;
  readonly seconds: number;
  readonly kernels: string;
}

const known = [
  ...["radius", "beta", "activation", "penalty", "epochs", "learningRate", "batchSize", "rng", "kernels"],
  ...["signal", "onEvent"],
];
const visible = 1e-6;

/** points `[samples, features]`, labels +1 / -1. Mean hinge. Throws ShapeError, DataError or SettingError on misuse, AbortedError on abort. */
export function fitPenalty(points: NumericBatch, labels: SignLabels, options: PenaltyOptions): PenaltyFit {
  const started = performance.now();
  const [n, d] = checkPoints(points, "points");
  checkSignLabels(labels, n);
  if (typeof options !== "object" || options === null || typeof options.rng?.permutation !== "function") {
    throw new SettingError({ argument: "options.rng", expected: "a seeded Rng (createRng)", received: options });
  }
  checkKeys(options, known);
  const { beta = 1e-3, penalty = 1, epochs = 300, learningRate = 0.01, batchSize = 100, rng, signal } = options;
  const activation = options.activation ?? paperActivation;
  const radius = radiusValue(options.radius, "options.radius");
  checkNumber(beta, "options.beta", 0, true);
  checkNumber(penalty, "options.penalty", 0, true);
  checkNumber(learningRate, "options.learningRate", 0, true);
  checkInteger(epochs, "options.epochs", 1);
  checkInteger(batchSize, "options.batchSize", 1);
  checkActivation(activation, "options.activation");
  const kernels = resolveKernels(options.kernels);
  const signs = Float64Array.from(labels);
  const layout = createLayout(d, activation);
  const p = d + 1;
  const size = 2 * p * p + 2 * n;
  const flat = new Float64Array(size);
  const gradientFlat = new Float64Array(size);
  const [state, gradient] = [partsOf(flat, p, n), partsOf(gradientFlat, p, n)];
  const [first, second] = [new Float64Array(size), new Float64Array(size)];
  const workspace = kernels.workspace(workspaceSize(p * p, p * p, p));
  const step = createPenaltyStep({ points: points.data, labels: signs, radius, beta, penalty }, layout, workspace);
  let steps = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    throwIfAborted(signal, "penalty training");
    const order = batchSize < n ? rng.permutation(n) : Int32Array.from({ length: n }, (_, i) => i);
    let [value, batches] = [0, 0];
    for (let from = 0; from < n; from += batchSize) {
      value += step.evaluate(state, order.slice(from, from + batchSize), gradient);
      batches++;
      steps++;
      const [one, two] = [1 - 0.9 ** steps, 1 - 0.999 ** steps];
      for (let k = 0; k < size; k++) {
        first[k] += 0.1 * (gradientFlat[k] - first[k]);
        second[k] += 0.001 * (gradientFlat[k] * gradientFlat[k] - second[k]);
        flat[k] -= (learningRate * (first[k] / one)) / (Math.sqrt(second[k] / two) + 1e-8);
      }
    }
    options.onEvent?.({ epoch, value: value / batches, seconds: (performance.now() - started) / 1000 });
  }

  let claimed = beta * (state.positive[p * p - 1] + state.negative[p * p - 1]);
  for (let i = 0; i < n; i++) claimed += Math.max(0, 1 - state.margins[i]) / n;
  const weights = new Float64Array(n).fill(1 / n);
  const evaluate = (neurons: Neurons) => {
    const quadratic = quadraticFromNeurons(neurons, d);
    return {
      neurons,
      quadratic,
      objective: robustObjective(quadratic, points, labels, radius, weights, beta, kernels),
    };
  };
  const [positive, negative] = [state.positive, state.negative].map((matrix) => repairWeights(matrix, p, kernels));
  const trained = pruneNetwork({ positive, negative }, p, activation, kernels, 1e-9, evaluate);
  return {
    claimed,
    ...trained,
    violations: measure(),
    epochs,
    seconds: (performance.now() - started) / 1000,
    kernels: kernels.name,
  };

  function measure(): PenaltyViolations {
    const { a, b, c } = activation;
    const difference = state.positive.map((value, k) => value - state.negative[k]);
    const Q = new Float64Array(d * d);
    const q = new Float64Array(d);
    for (let k = 0; k < d; k++) {
      for (let l = 0; l < d; l++) Q[k * d + l] = a * difference[k * p + l];
      q[k] = b * difference[k * p + d];
    }
    const raw = { dimension: d, Q, q, s: c * difference[p * p - 1] };
    const { values } = prepareWorstCase(raw, { kernels }).solve(points, labels, radius, { points: false });
    let [overstated, broken, largestExcess, smallest] = [0, 0, 0, Number.POSITIVE_INFINITY];
    for (let i = 0; i < n; i++) {
      const excess = state.margins[i] - values[i];
      largestExcess = Math.max(largestExcess, excess);
      if (excess > visible) overstated++;
      const eigenvalue = step.smallestEigenvalue(state, i);
      smallest = Math.min(smallest, eigenvalue);
      if (eigenvalue < -visible) broken++;
    }
    const defect = (matrix: Float64Array) => {
      let value = -matrix[p * p - 1];
      for (let k = 0; k < d; k++) value += matrix[k * (p + 1)];
      return Math.abs(value);
    };
    return {
      ...{
        overstatedMargins: overstated / n,
        largestExcess,
        brokenInequalities: broken / n,
        smallestEigenvalue: smallest,
      },
      negativePart: step.negativePart(state.positive) + step.negativePart(state.negative),
      traceDefect: defect(state.positive) + defect(state.negative),
    };
  }
}
