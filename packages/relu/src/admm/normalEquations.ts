// The linear system of the theta step, by conjugate gradients:
//   H theta = theta + [theta]_d + scale theta X'X / n + K'(scale score + [A]_d) / n,   K: theta -> A_k, score_k of v - w
// ([.]_d: the d coordinates that perturbations move; only where there is a ball). Preconditioner: the same D x D block for every piece, with K'K
// replaced by what a gate open on half of the samples gives it, inverted once.
// theta: [2 P outputs, D]

import type { Workspace } from "@worstcase/linalg";
import type { GateSums } from "../interiorPoint/gateSums.js";
import type { ReluProgram } from "../program/program.js";

const MOST_STEPS = 30;

export class NormalEquations {
  private readonly gram: Float64Array;
  private readonly inverse: Float64Array;
  private readonly weights: Float64Array;
  private readonly pull: Float64Array;
  private readonly residual: Float64Array;
  private readonly direction: Float64Array;
  private readonly image: Float64Array;
  private readonly preconditioned: Float64Array;

  static sizes({ gateCount, outputs, width }: ReluProgram): number[] {
    const half = gateCount * outputs * width;
    return [width * width, width * width, half, half, 2 * half, 2 * half, 2 * half, 2 * half];
  }

  constructor(
    private readonly program: ReluProgram,
    private readonly sums: GateSums,
    inputs: Float64Array,
    /** Weight of scores beside that of weights: 1 / mean squared input. */
    private readonly scale: number,
    private readonly terms: { readonly sums: Float64Array; readonly score: Float64Array; readonly onA: Float64Array },
    private readonly workspace: Workspace,
  ) {
    const { samples, width, radius, featureCount } = program;
    const take = (length: number) => workspace.float64(length);
    const sizes = NormalEquations.sizes(program).map(take) as Float64Array[];
    [this.gram, this.inverse, this.weights, this.pull] = sizes as [
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    [this.residual, this.direction, this.image, this.preconditioned] = sizes.slice(4) as [
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    workspace.syrk(true, width, samples, scale / samples, inputs, width, 0, this.gram, width);
    for (let i = 0; i < width; i++) for (let j = 0; j < i; j++) this.gram[j * width + i] = this.gram[i * width + j];
    for (let e = 0; e < this.gram.length; e++) this.inverse[e] = 1.5 * this.gram[e];
    for (let k = 0; k < width; k++) this.inverse[k * width + k] += radius > 0 && k < featureCount ? 2.5 : 1;
    workspace.potrf(width, this.inverse, width);
    workspace.potri(width, this.inverse, width);
    for (let i = 0; i < width; i++)
      for (let j = 0; j < i; j++) this.inverse[j * width + i] = this.inverse[i * width + j];
  }

  /** theta (the start) becomes the solution to a relative residual of `accuracy`; the steps taken. */
  solve(right: Float64Array, theta: Float64Array, accuracy: number): number {
    const { residual, direction, image, preconditioned } = this;
    this.apply(theta, image);
    for (let k = 0; k < right.length; k++) residual[k] = right[k] - image[k];
    const target = accuracy * Math.sqrt(dot(right, right));
    let energy = 0;
    for (let step = 0; step < MOST_STEPS; step++) {
      if (!(Math.sqrt(dot(residual, residual)) > target)) return step;
      this.precondition(residual, preconditioned);
      const next = dot(residual, preconditioned);
      const beta = step === 0 ? 0 : next / energy;
      energy = next;
      for (let k = 0; k < direction.length; k++) direction[k] = preconditioned[k] + beta * direction[k];
      this.apply(direction, image);
      const length = energy / dot(direction, image);
      for (let k = 0; k < residual.length; k++) {
        theta[k] += length * direction[k];
        residual[k] -= length * image[k];
      }
    }
    return MOST_STEPS;
  }

  private apply(theta: Float64Array, out: Float64Array): void {
    const { program, workspace, gram, weights, pull, sums, terms, scale } = this;
    const { width, radius, featureCount, samples } = program;
    const half = weights.length;
    const groups = theta.length / width;
    workspace.gemm(false, false, groups, width, width, 1, theta, width, gram, width, 0, out, width);
    for (let g = 0; g < groups; g++) {
      for (let k = 0; k < width; k++)
        out[g * width + k] += (radius > 0 && k < featureCount ? 2 : 1) * theta[g * width + k];
    }
    for (let k = 0; k < half; k++) weights[k] = theta[k] - theta[half + k];
    sums.apply(weights, terms.sums, terms.score);
    for (let k = 0; k < terms.score.length; k++) terms.score[k] *= scale / samples;
    if (radius > 0) {
      for (let k = 0; k < terms.score.length; k++) {
        for (let j = 0; j < featureCount; j++) terms.onA[k * featureCount + j] = terms.sums[k * width + j] / samples;
      }
    }
    sums.transpose(terms.score, radius > 0 ? terms.onA : null, pull);
    for (let k = 0; k < half; k++) {
      out[k] += pull[k];
      out[half + k] -= pull[k];
    }
  }

  private precondition(from: Float64Array, to: Float64Array): void {
    const { program, workspace, inverse } = this;
    const { width } = program;
    workspace.gemm(false, false, from.length / width, width, width, 1, from, width, inverse, width, 0, to, width);
  }
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k] * b[k];
  return sum;
}
