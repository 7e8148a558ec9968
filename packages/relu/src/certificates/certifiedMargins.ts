// Certified lower bounds on pairwise margins over a perturbation ball, with gates that MOVE with the input (math.md 13.5).
//   gate p is open on the whole ball if g_p'x - r ||g_p||_{q*} >= 0, closed if g_p'x + r ||g_p||_{q*} < 0, otherwise unstable;
//   a_pc = t_py - t_pc,  A_c = sum over open gates of a_pc,
//   min over the ball of f_y - f_c  >=  x'A_c - r ||A_c||_{q*} + sum over unstable p of min(0, x'a_pc - r ||a_pc||_{q*}).
// A ReLU network is the case g_p = u_p, t_pc = second[c, p] u_p. The constant coordinate is not moved, so norms leave it out.

import { checkLabels, type NumericBatch } from "@worstcase/core";
import { ballSupport, checkBall, type PerturbationNorm } from "../ballSupport.js";
import { checkFeatures, checkModel, checkOptions, checkTwoClasses } from "../checks.js";
import type { GatedReluModel } from "../gatedModel.js";
import { gatedModelOfNetwork, type ReluNetwork } from "../network/reluNetwork.js";
import { withConstant } from "../program/program.js";

export interface CertifyOptions {
  /** Norm of the perturbation: l1, l2, linf or any number q >= 1. */
  readonly norm: PerturbationNorm;
  /** Radius in FEATURE space. */
  readonly radius: number;
}

/**
 * For every sample a number that f_label - max of the other scores cannot fall below on the ball {||z||_q <= radius}, `[n]`.
 * Positive: the class cannot be changed. Not tight when gates are unstable. Throws ShapeError, DataError or SettingError.
 */
export function certifiedMargins(
  model: GatedReluModel | ReluNetwork,
  features: NumericBatch,
  labels: Int32Array,
  options: CertifyOptions,
): Float64Array {
  checkModel(model);
  checkOptions(options);
  const { norm, radius } = options;
  checkBall(norm, radius, "options.");
  checkFeatures(features, model.featureCount);
  checkTwoClasses(model.classCount);
  checkLabels(labels, features.shape[0], model.classCount);
  const margins = new Float64Array(features.shape[0]);
  if (model.kind === "relu-network" && model.neurons === 0) return margins;
  const certifier = new ClosedForm(model.kind === "gated-relu" ? model : gatedModelOfNetwork(model), norm);
  const inputs = withConstant(features, true);
  const stride = model.featureCount + 1;
  for (let i = 0; i < margins.length; i++) margins[i] = certifier.margin(inputs, i * stride, labels[i], radius);
  return margins;
}

/** Share of samples with a positive certified margin: a lower bound of robust accuracy in FEATURE space. */
export function certifiedRobustAccuracy(
  model: GatedReluModel | ReluNetwork,
  features: NumericBatch,
  labels: Int32Array,
  options: CertifyOptions,
): number {
  const margins = certifiedMargins(model, features, labels, options);
  return margins.filter((margin) => margin > 0).length / margins.length;
}

/** The bound for one sample at a time and any radius. */
export class ClosedForm {
  private readonly width: number;
  private readonly gateWidth: number;
  private readonly gateReach: Float64Array;
  private readonly open: Float64Array;
  private readonly difference: Float64Array;
  private readonly unstable: Int32Array;
  /** ||t_py - t_pc||_{q*} by [P, C, C], filled on demand; negative means not yet. */
  private readonly pairReach: Float64Array;

  constructor(
    private readonly model: GatedReluModel,
    private readonly norm: PerturbationNorm,
  ) {
    const { gates, classCount, featureCount, bias } = model;
    this.width = featureCount + (bias ? 1 : 0);
    this.gateWidth = featureCount + (gates.bias ? 1 : 0);
    this.gateReach = Float64Array.from({ length: gates.count }, (_, p) =>
      ballSupport(gates.gates, p * this.gateWidth, featureCount, norm, 1),
    );
    this.open = new Float64Array(classCount * this.width);
    this.difference = new Float64Array(this.width);
    this.unstable = new Int32Array(gates.count);
    this.pairReach = new Float64Array(gates.count * classCount * classCount).fill(-1);
  }

  /** Lower bound of the margin of the sample whose d + 1 inputs begin at x. */
  margin(inputs: Float64Array, x: number, label: number, radius: number): number {
    const { gates, classCount, featureCount, weights } = this.model;
    const { width, gateWidth, open, difference, unstable } = this;
    open.fill(0);
    let unstableCount = 0;
    for (let p = 0; p < gates.count; p++) {
      let opening = 0;
      for (let k = 0; k < gateWidth; k++) opening += gates.gates[p * gateWidth + k] * inputs[x + k];
      const reach = radius * this.gateReach[p];
      const slack = 1e-12 * (Math.abs(opening) + reach); // rounding: near ties count as unstable
      if (opening - reach > slack || (reach === 0 && opening >= 0)) {
        const from = p * classCount * width;
        for (let k = 0; k < open.length; k++) open[k] += weights[from + k];
      } else if (opening + reach >= -slack) unstable[unstableCount++] = p;
    }
    let least = Number.POSITIVE_INFINITY;
    for (let c = 0; c < classCount; c++) {
      if (c === label) continue;
      let bound = 0;
      for (let k = 0; k < width; k++) {
        difference[k] = open[label * width + k] - open[c * width + k];
        bound += difference[k] * inputs[x + k];
      }
      bound -= ballSupport(difference, 0, featureCount, this.norm, radius);
      for (let u = 0; u < unstableCount; u++) bound += this.unstablePart(unstable[u], label, c, inputs, x, radius);
      least = Math.min(least, bound);
    }
    return least;
  }

  private unstablePart(
    p: number,
    label: number,
    rival: number,
    inputs: Float64Array,
    x: number,
    radius: number,
  ): number {
    const { classCount, featureCount, weights } = this.model;
    const { width, difference } = this;
    const own = (p * classCount + label) * width;
    const other = (p * classCount + rival) * width;
    const entry = (p * classCount + label) * classCount + rival;
    if (this.pairReach[entry] < 0) {
      for (let k = 0; k < width; k++) difference[k] = weights[own + k] - weights[other + k];
      this.pairReach[entry] = ballSupport(difference, 0, featureCount, this.norm, 1);
    }
    let score = -radius * this.pairReach[entry];
    for (let k = 0; k < width; k++) score += (weights[own + k] - weights[other + k]) * inputs[x + k];
    return Math.min(0, score);
  }
}
