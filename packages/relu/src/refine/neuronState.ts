// A two-class ReLU network as free parameters, f(x) = sum_j a_j max(0, u_j'x) with the constant inside x, and the descent that refinement
// needs of it: for each sample the stored point with the smallest margin counts,
//   1/n sum_i l(min over points p of y_i f(p)) + beta/2 sum_j (||u_j||^2 + a_j^2),
// which at its minima equals beta sum_j ||u_j|| |a_j|, the group norm of the convex program.
// u: [neurons, width]   a: [neurons]   points: [slots, samples, width]   labels y: +-1

import type { Workspace } from "@worstcase/linalg";

export interface Points {
  readonly slots: number;
  readonly samples: number;
  readonly width: number;
  readonly inputs: Float64Array;
  /** +-1 */
  readonly targets: Float64Array;
}

export type MarginLoss = "hinge" | "logistic";

export class NeuronState {
  /** u, then a. */
  readonly parameters: Float64Array;
  readonly gradient: Float64Array;
  private readonly directions: Float64Array;
  private readonly inputs: Float64Array;
  private readonly openings: Float64Array;
  private readonly active: Float64Array;
  private readonly pulls: Float64Array;
  private readonly slope: Float64Array;

  static sizes(neurons: number, { slots, samples, width }: Points): number[] {
    const all = slots * samples;
    return [neurons * width, all * width, all * neurons, samples * width, samples * neurons, neurons * width];
  }

  constructor(
    private readonly points: Points,
    readonly neurons: number,
    private readonly beta: number,
    private readonly loss: MarginLoss,
    private readonly workspace: Workspace,
  ) {
    const take = (length: number) => workspace.float64(length);
    [this.directions, this.inputs, this.openings, this.active, this.pulls, this.slope] = NeuronState.sizes(
      neurons,
      points,
    ).map(take) as [Float64Array, Float64Array, Float64Array, Float64Array, Float64Array, Float64Array];
    this.parameters = new Float64Array(neurons * (points.width + 1));
    this.gradient = new Float64Array(this.parameters.length);
  }

  /** The objective at the parameters; its gradient into `gradient`. */
  evaluate(): number {
    const { points, neurons, parameters, gradient, workspace, beta } = this;
    const { directions, inputs, openings, active, pulls, slope } = this;
    const { slots, samples, width, targets } = points;
    const heads = neurons * width;
    directions.set(parameters.subarray(0, heads));
    inputs.set(points.inputs);
    workspace.gemm(
      false,
      true,
      slots * samples,
      neurons,
      width,
      1,
      inputs,
      width,
      directions,
      width,
      0,
      openings,
      neurons,
    );
    for (let k = 0; k < parameters.length; k++) gradient[k] = beta * parameters[k];
    let total = 0;
    for (let i = 0; i < samples; i++) {
      let worst = 0;
      let margin = Number.POSITIVE_INFINITY;
      for (let s = 0; s < slots; s++) {
        const at = (s * samples + i) * neurons;
        let score = 0;
        for (let j = 0; j < neurons; j++) if (openings[at + j] > 0) score += parameters[heads + j] * openings[at + j];
        if (targets[i] * score < margin) {
          margin = targets[i] * score;
          worst = s * samples + i;
        }
      }
      const pull = (-targets[i] * this.steepness(margin)) / samples;
      total += this.lossOf(margin) / samples;
      active.set(inputs.subarray(worst * width, (worst + 1) * width), i * width);
      for (let j = 0; j < neurons; j++) {
        const open = openings[worst * neurons + j];
        if (open > 0) gradient[heads + j] += pull * open;
        pulls[i * neurons + j] = open > 0 ? pull * parameters[heads + j] : 0;
      }
    }
    workspace.gemm(true, false, neurons, width, samples, 1, pulls, neurons, active, width, 0, slope, width);
    for (let k = 0; k < heads; k++) gradient[k] += slope[k];
    return total + this.regulariser();
  }

  /** beta sum_j ||u_j|| |a_j|. */
  regulariser(): number {
    const { points, neurons, parameters, beta } = this;
    const { width } = points;
    let total = 0;
    for (let j = 0; j < neurons; j++) {
      let square = 0;
      for (let k = j * width; k < (j + 1) * width; k++) square += parameters[k] * parameters[k];
      total += Math.sqrt(square) * Math.abs(parameters[neurons * width + j]);
    }
    return beta * total;
  }

  lossOf(margin: number): number {
    if (this.loss === "hinge") return Math.max(0, 1 - margin);
    return margin > 0 ? Math.log1p(Math.exp(-margin)) : Math.log1p(Math.exp(margin)) - margin;
  }

  /** Minus the derivative of the loss. */
  private steepness(margin: number): number {
    if (this.loss === "hinge") return margin < 1 ? 1 : 0;
    return 1 / (1 + Math.exp(margin));
  }
}
