// Value and subgradient of the penalised objective on a batch (fitReluByPenalty.ts).
// A subgradient of radius ||a||_{q*} is a point z of the ball with z'a = radius ||a||_{q*}.
// pieces: [2, P, outputs, D]   A, G: [batch, outputs D]   scores: [batch, 2 P outputs]

import type { Workspace } from "@worstcase/linalg";
import { lengthOf } from "../ballSupport.js";
import type { ReluProgram } from "../program/program.js";

export class PenaltyGradient {
  private readonly inputs: Float64Array;
  private readonly open: Float64Array;
  private readonly sums: Float64Array;
  private readonly weights: Float64Array;
  private readonly onWeights: Float64Array;
  private readonly scores: Float64Array;
  private readonly attack: Float64Array;
  private readonly difference: Float64Array;
  private readonly reach: Float64Array;
  private readonly pressure: Float64Array;
  private readonly groups: number;

  static sizes({ width, gateCount, outputs }: ReluProgram, batch: number): number[] {
    const row = outputs * width;
    return [
      batch * width,
      batch * gateCount,
      batch * row,
      gateCount * row,
      gateCount * row,
      2 * batch * gateCount * outputs,
    ];
  }

  constructor(
    private readonly program: ReluProgram,
    batch: number,
    private readonly penalty: number,
    private readonly workspace: Workspace,
  ) {
    const arrays = PenaltyGradient.sizes(program, batch).map((size) => workspace.float64(size));
    [this.inputs, this.open, this.sums, this.weights, this.onWeights, this.scores] = arrays;
    this.groups = 2 * program.gateCount * program.outputs;
    this.attack = new Float64Array(program.featureCount);
    this.difference = new Float64Array(program.width);
    this.reach = new Float64Array(this.groups);
    this.pressure = new Float64Array(this.groups);
  }

  /** Penalised objective over the samples at `picked`; writes its subgradient. */
  evaluate(pieces: Float64Array, picked: Int32Array, gradient: Float64Array): number {
    const { program, workspace, inputs, open, sums, weights, onWeights } = this;
    const { width, gateCount, outputs, bits } = program;
    const count = picked.length;
    const row = outputs * width;
    const half = pieces.length / 2;
    for (let k = 0; k < half; k++) weights[k] = pieces[k] - pieces[half + k];
    for (let r = 0; r < count; r++) {
      inputs.set(program.inputs.subarray(picked[r] * width, (picked[r] + 1) * width), r * width);
      for (let p = 0; p < gateCount; p++) open[r * gateCount + p] = bits[picked[r] * gateCount + p];
    }
    workspace.gemm(false, false, count, row, gateCount, 1, open, gateCount, weights, row, 0, sums, row);
    let loss = 0;
    for (let r = 0; r < count; r++) loss += this.lossRow(r, picked[r]);
    workspace.gemm(true, false, gateCount, row, count, 1 / count, open, gateCount, sums, row, 0, onWeights, row);
    for (let k = 0; k < half; k++) {
      gradient[k] = onWeights[k];
      gradient[half + k] = -onWeights[k];
    }
    const violation = this.addCones(pieces, count, gradient);
    return loss / count + (this.penalty * violation) / count + this.addRegulariser(pieces, gradient);
  }

  // Loss of one row of `sums`, which is replaced by its subgradient.
  private lossRow(r: number, sample: number): number {
    const { program, sums, difference } = this;
    const { task, loss, outputs, width, targets, labels } = program;
    const at = r * outputs * width;
    let total = 0;
    if (loss === "squared" || task === "two-class") {
      for (let o = 0; o < outputs; o++) {
        const target = targets[sample * outputs + o];
        const sign = loss === "squared" ? 1 : target;
        for (let k = 0; k < width; k++) difference[k] = sign * sums[at + o * width + k];
        total += this.term(r, loss === "squared" ? target : 0);
        for (let k = 0; k < width; k++) sums[at + o * width + k] = sign * difference[k];
      }
      return total;
    }
    const own = sums.slice(at + labels[sample] * width, at + (labels[sample] + 1) * width);
    const pull = new Float64Array(width);
    for (let o = 0; o < outputs; o++) {
      if (o === labels[sample]) continue;
      for (let k = 0; k < width; k++) difference[k] = own[k] - sums[at + o * width + k];
      total += this.term(r, 0);
      for (let k = 0; k < width; k++) {
        sums[at + o * width + k] = -difference[k];
        pull[k] += difference[k];
      }
    }
    sums.set(pull, at + labels[sample] * width);
    return total;
  }

  // Loss of one term from `difference` = A_k, which is replaced by its subgradient.
  private term(r: number, target: number): number {
    const { program, difference, inputs, attack } = this;
    const { loss, width, featureCount } = program;
    let score = 0;
    for (let k = 0; k < width; k++) score += difference[k] * inputs[r * width + k];
    const reach = this.support(difference, 0);
    let value: number;
    let onScore: number;
    let onReach: number;
    if (loss === "squared") {
      const far = Math.abs(score - target) + reach;
      value = (far * far) / 2;
      onScore = far * Math.sign(score - target);
      onReach = far;
    } else if (loss === "hinge") {
      value = Math.max(0, 1 - score + reach);
      onReach = value > 0 ? 1 : 0;
      onScore = -onReach;
    } else {
      const excess = reach - score;
      value = excess > 0 ? excess + Math.log1p(Math.exp(-excess)) : Math.log1p(Math.exp(excess));
      onReach = 1 / (1 + Math.exp(-excess));
      onScore = -onReach;
    }
    for (let k = 0; k < width; k++) {
      difference[k] = onScore * inputs[r * width + k] + (k < featureCount ? onReach * attack[k] : 0);
    }
    return value;
  }

  // radius ||a||_{q*}; leaves its subgradient in `attack`.
  private support(a: Float64Array, from: number): number {
    const { attack, program } = this;
    const { featureCount, dualExponent, radius } = program;
    attack.fill(0);
    if (radius === 0) return 0;
    const size = lengthOf(a, from, featureCount, dualExponent);
    if (size === 0) return 0;
    for (let k = 0; k < featureCount; k++) {
      const t = a[from + k];
      if (dualExponent === Number.POSITIVE_INFINITY) {
        if (Math.abs(t) !== size) continue;
        attack[k] = radius * Math.sign(t);
        break;
      }
      attack[k] = radius * Math.sign(t) * (Math.abs(t) / size) ** (dualExponent - 1);
    }
    return radius * size;
  }

  private addCones(pieces: Float64Array, count: number, gradient: Float64Array): number {
    const { program, workspace, inputs, open, scores, groups, reach, pressure, attack } = this;
    const { width, gateCount, outputs, featureCount } = program;
    workspace.gemm(false, true, count, groups, width, 1, inputs, width, pieces, width, 0, scores, groups);
    for (let g = 0; g < groups; g++) reach[g] = this.support(pieces, g * width);
    pressure.fill(0);
    let total = 0;
    for (let r = 0; r < count; r++) {
      for (let g = 0; g < groups; g++) {
        const sign = open[r * gateCount + (Math.floor(g / outputs) % gateCount)] === 1 ? 1 : -1;
        const excess = reach[g] - sign * scores[r * groups + g];
        scores[r * groups + g] = excess > 0 ? -sign : 0;
        if (excess <= 0) continue;
        total += excess;
        pressure[g]++;
      }
    }
    const weight = this.penalty / count;
    workspace.gemm(true, false, groups, width, count, weight, scores, groups, inputs, width, 1, gradient, width);
    for (let g = 0; g < groups; g++) {
      if (pressure[g] === 0) continue;
      this.support(pieces, g * width);
      for (let k = 0; k < featureCount; k++) gradient[g * width + k] += weight * pressure[g] * attack[k];
    }
    return total;
  }

  private addRegulariser(pieces: Float64Array, gradient: Float64Array): number {
    const { program, groups } = this;
    const { width, beta, regulariser } = program;
    let total = 0;
    for (let g = 0; g < groups; g++) {
      const from = g * width;
      const size = lengthOf(pieces, from, width, regulariser === "l1" ? 1 : 2);
      total += size;
      for (let k = from; k < from + width; k++) {
        if (regulariser === "l1") gradient[k] += beta * Math.sign(pieces[k]);
        else if (size > 0) gradient[k] += (beta * pieces[k]) / size;
      }
    }
    return beta * total;
  }
}
