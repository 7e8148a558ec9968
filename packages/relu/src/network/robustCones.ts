// The robust cones of the ReLU program and their augmented Lagrangian (math.md 13.3, 24 G).
//   c_gi(v) = radius ||v_g||_{q*} - s_pi x_i'v_g <= 0,  s_pi = 2 d_pi - 1,   for every piece g = (side, p, class) and sample i
//   penalty = 1/n sum_{g,i} 1/(2 rho) [ (rho c_gi + gamma_gi)_+^2 - gamma_gi^2 ],   gamma <- (rho c + gamma)_+
// Convex, because c is convex and t -> t_+^2 is increasing. The norm is replaced by the smoothed N_mu; its gradient z is in the ball, so
// the gradient -1/n sum_i (rho c + gamma)_+ (s_pi x_i - z_g) is a valid multiplier term of the dual bound.
// pieces: [2, P, C, D]   gamma: [n, 2 P C] in float32   scores: [rows, 2 P C]

import type { Workspace } from "@worstcase/linalg";
import { ballSupport, smoothedSupport } from "../ballSupport.js";
import type { HingeData } from "../gated/robustHinge.js";
import { withConstant } from "../program/program.js";

const ROWS = 128;

/** How far pieces are outside their robust cones; relative values are divided by ||x_i|| ||v_g||. */
export interface ConeViolation {
  readonly maximum: number;
  readonly mean: number;
  readonly relativeMaximum: number;
  readonly relativeMean: number;
}

export class RobustCones {
  rho = 1;
  private readonly inputs: Float64Array;
  private readonly width: number;
  private readonly moved: number;
  private readonly samples: number;
  private readonly groups: number;
  private readonly rows: number;
  private readonly inputChunk: Float64Array;
  private readonly scores: Float64Array;
  private readonly gamma: Float32Array;
  private readonly attacks: Float64Array;
  private readonly supports: Float64Array;
  private readonly pressures: Float64Array;

  static sizes(samples: number, groups: number, width: number): number[] {
    const rows = Math.min(samples, ROWS);
    return [rows * width, rows * groups];
  }

  constructor(
    private readonly data: HingeData,
    private readonly workspace: Workspace,
  ) {
    this.samples = data.features.shape[0];
    this.moved = data.features.shape[1];
    this.width = this.moved + (data.bias ? 1 : 0);
    this.groups = 2 * data.gateCount * data.classCount;
    this.rows = Math.min(this.samples, ROWS);
    this.inputs = withConstant(data.features, data.bias);
    this.inputChunk = workspace.float64(this.rows * this.width);
    this.scores = workspace.float64(this.rows * this.groups);
    this.gamma = new Float32Array(this.samples * this.groups);
    this.attacks = new Float64Array(this.groups * this.moved);
    this.supports = new Float64Array(this.groups);
    this.pressures = new Float64Array(this.groups);
  }

  /** Adds the penalty's gradient to `gradient` when given; returns the penalty. */
  penalty(pieces: Float64Array, mu: number, gradient: Float64Array | null): number {
    const { groups, width, moved, samples, rho } = this;
    this.smoothNorms(pieces, mu);
    this.pressures.fill(0);
    let total = 0;
    for (let from = 0; from < samples; from += this.rows) {
      const count = this.scoreRows(pieces, from);
      for (let row = 0; row < count; row++) total += this.penaltyRow(from + row, row * groups);
      if (gradient !== null) {
        const { scores, inputChunk } = this;
        this.workspace.gemm(
          true,
          false,
          groups,
          width,
          count,
          1 / samples,
          scores,
          groups,
          inputChunk,
          width,
          1,
          gradient,
          width,
        );
      }
    }
    if (gradient !== null) {
      for (let g = 0; g < groups; g++) {
        const factor = this.pressures[g] / samples;
        for (let k = 0; k < moved; k++) gradient[g * width + k] += factor * this.attacks[g * moved + k];
      }
    }
    return total / (2 * rho * samples);
  }

  /** gamma <- (rho c + gamma)_+ at `pieces`. */
  updateMultipliers(pieces: Float64Array, mu: number): void {
    this.smoothNorms(pieces, mu);
    for (let from = 0; from < this.samples; from += this.rows) {
      const count = this.scoreRows(pieces, from);
      for (let row = 0; row < count; row++) this.multiplierRow(from + row, row * this.groups);
    }
  }

  /** Violations with the exact norm. */
  violation(pieces: Float64Array): ConeViolation {
    const { groups, width, moved, samples, data } = this;
    const sizes = new Float64Array(groups);
    for (let g = 0; g < groups; g++) {
      this.supports[g] = ballSupport(pieces, g * width, moved, data.norm, data.radius);
      for (let k = 0; k < width; k++) sizes[g] += pieces[g * width + k] ** 2;
      sizes[g] = Math.sqrt(sizes[g]);
    }
    const worst = { maximum: 0, mean: 0, relativeMaximum: 0, relativeMean: 0 };
    for (let from = 0; from < samples; from += this.rows) {
      const count = this.scoreRows(pieces, from);
      for (let row = 0; row < count; row++) {
        let square = 0;
        for (let k = 0; k < width; k++) square += this.inputs[(from + row) * width + k] ** 2;
        for (let g = 0; g < groups; g++) {
          const excess = this.supports[g] - this.sign(from + row, g) * this.scores[row * groups + g];
          if (excess <= 0) continue;
          const relative = sizes[g] > 0 && square > 0 ? excess / (sizes[g] * Math.sqrt(square)) : 0;
          worst.maximum = Math.max(worst.maximum, excess);
          worst.relativeMaximum = Math.max(worst.relativeMaximum, relative);
          worst.mean += excess / (samples * groups);
          worst.relativeMean += relative / (samples * groups);
        }
      }
    }
    return worst;
  }

  /** Smallest s_pi x_i'v_g - radius ||v_g||_{q*} over the samples, `[2 P C]`; >= 0 means the piece is in its robust cone. */
  margins(pieces: Float64Array, out: Float64Array): void {
    const { groups, width, moved, samples, data } = this;
    out.fill(Number.POSITIVE_INFINITY);
    for (let from = 0; from < samples; from += this.rows) {
      const count = this.scoreRows(pieces, from);
      for (let row = 0; row < count; row++) {
        for (let g = 0; g < groups; g++) {
          const score = this.sign(from + row, g) * this.scores[row * groups + g];
          if (score < out[g]) out[g] = score;
        }
      }
    }
    for (let g = 0; g < groups; g++) out[g] -= ballSupport(pieces, g * width, moved, data.norm, data.radius);
  }

  private sign(sample: number, group: number): number {
    const { bits, gateCount, classCount } = this.data;
    const gate = Math.floor(group / classCount) % gateCount;
    return bits[sample * gateCount + gate] === 1 ? 1 : -1;
  }

  private smoothNorms(pieces: Float64Array, mu: number): void {
    const { groups, width, moved, data } = this;
    for (let g = 0; g < groups; g++) {
      const attack = this.attacks.subarray(g * moved, (g + 1) * moved);
      this.supports[g] = smoothedSupport(pieces, g * width, moved, data.norm, data.radius, mu, attack);
    }
  }

  private scoreRows(pieces: Float64Array, from: number): number {
    const { width, groups, inputs, inputChunk, scores } = this;
    const count = Math.min(this.rows, this.samples - from);
    inputChunk.set(inputs.subarray(from * width, (from + count) * width));
    this.workspace.gemm(false, true, count, groups, width, 1, inputChunk, width, pieces, width, 0, scores, groups);
    return count;
  }

  // Turns a row of scores into -s (rho c + gamma)_+, adds to the pressures, returns the row's sum of (..)_+^2 - gamma^2.
  private penaltyRow(sample: number, at: number): number {
    const { groups, scores, supports, gamma, pressures, rho, data } = this;
    const { bits, gateCount, classCount } = data;
    const gammaAt = sample * groups;
    const half = groups / 2;
    let total = 0;
    for (let p = 0; p < gateCount; p++) {
      const sign = bits[sample * gateCount + p] === 1 ? 1 : -1;
      for (let side = 0; side < groups; side += half) {
        for (let g = side + p * classCount; g < side + (p + 1) * classCount; g++) {
          const old = gamma[gammaAt + g];
          const force = rho * (supports[g] - sign * scores[at + g]) + old;
          total -= old * old;
          if (force > 0) {
            total += force * force;
            scores[at + g] = -sign * force;
            pressures[g] += force;
          } else scores[at + g] = 0;
        }
      }
    }
    return total;
  }

  private multiplierRow(sample: number, at: number): void {
    const { groups, scores, supports, gamma, rho } = this;
    for (let g = 0; g < groups; g++) {
      const entry = sample * groups + g;
      const force = rho * (supports[g] - this.sign(sample, g) * scores[at + g]) + gamma[entry];
      gamma[entry] = Math.max(force, 0);
    }
  }
}
