// Robust Weston-Watkins hinge of a gated model with the gates held fixed on the ball (math.md 13.3), value and gradient.
//   B_ic = sum_p d_pi t_pc,  A_ic = B_iy - B_ic,  u_ic = 1 - x_i'A_ic + radius ||A_ic||_{q*}
//   loss = kappa sum_i sum_{c != y_i} max(0, u_ic),  kappa = 1/n
// Smoothed from below: the norm by N_mu of ballSupport.ts, the hinge by t^2/(2 width) on [0, width], t - width/2 above.
// Its gradient defines dual weights alpha_ic in [0, kappa] and z_ic in the ball; with G_ic = alpha_ic (x_i - z_ic) for c != y and
// G_iy = -sum_c G_ic the gradient is D'G, computed over rows in chunks that stay in cache; rows without a positive hinge are skipped.
// weights T: [P, C, D]   D = d, or d+1 with an immutable constant coordinate   bits d: [n, P]   B, G: [rows, C D]

import type { Norm, NumericBatch } from "@worstcase/core";
import type { Workspace } from "@worstcase/linalg";
import { smoothedSupport, squaredReach } from "../ballSupport.js";

export interface HingeData {
  readonly features: NumericBatch;
  readonly labels: Int32Array;
  readonly classCount: number;
  readonly bits: Uint8Array;
  readonly gateCount: number;
  /** Whether a constant 1 is appended to the features; perturbations do not move it. */
  readonly bias: boolean;
  readonly norm: Norm;
  readonly radius: number;
}

export interface HingeValue {
  /** Smoothed mean loss. */
  smooth: number;
  /** Mean loss without smoothing. */
  loss: number;
  /** Sum of the dual weights alpha that belong to the gradient. */
  dualSum: number;
}

export class RobustHinge {
  readonly width: number;
  readonly pieces: number;
  readonly samples: number;
  private readonly rows: number;
  private readonly moved: number;
  private readonly reach: number;
  private readonly inputs: Float64Array;
  private readonly gateChunk: Float64Array;
  private readonly productChunk: Float64Array;
  private readonly attack: Float64Array;
  private readonly largestNorm: boolean;
  private readonly sumNorm: boolean;

  /** Numbers this evaluator takes from the workspace. */
  static sizes(samples: number, gateCount: number, rowLength: number): number[] {
    const rows = chunkRows(samples, rowLength);
    return [rows * gateCount, rows * rowLength];
  }

  constructor(
    private readonly data: HingeData,
    private readonly workspace: Workspace,
  ) {
    const featureCount = data.features.shape[1];
    this.samples = data.features.shape[0];
    this.moved = featureCount;
    this.width = featureCount + (data.bias ? 1 : 0);
    this.pieces = data.classCount * this.width;
    this.rows = chunkRows(this.samples, this.pieces);
    this.inputs = withConstant(data.features, data.bias);
    this.gateChunk = workspace.float64(this.rows * data.gateCount);
    this.productChunk = workspace.float64(this.rows * this.pieces);
    this.attack = new Float64Array(this.width);
    this.reach = squaredReach(data.norm, data.radius, featureCount);
    this.largestNorm = data.norm === "l1";
    this.sumNorm = data.norm === "linf";
  }

  /**
   * Value at `weights` [P, C D] (a workspace array) and, when `gradient` [P, C D] is given, its gradient there.
   * `smoothing` > 0 is the width of the smoothed hinge; the norm is smoothed so that it errs by at most half of it.
   */
  evaluate(weights: Float64Array, smoothing: number, gradient: Float64Array | null, value: HingeValue): void {
    const { gateCount } = this.data;
    const mu = this.reach > 0 ? smoothing / this.reach : 1;
    value.smooth = 0;
    value.loss = 0;
    value.dualSum = 0;
    gradient?.fill(0);
    for (let from = 0; from < this.samples; from += this.rows) {
      const count = Math.min(this.rows, this.samples - from);
      this.expandBits(from, count);
      this.workspace.gemm(
        false,
        false,
        count,
        this.pieces,
        gateCount,
        1,
        this.gateChunk,
        gateCount,
        weights,
        this.pieces,
        0,
        this.productChunk,
        this.pieces,
      );
      const active = this.hingeRows(from, count, smoothing, mu, gradient !== null, value);
      if (gradient !== null && active > 0) {
        this.workspace.gemm(
          true,
          false,
          gateCount,
          this.pieces,
          active,
          1 / this.samples,
          this.gateChunk,
          gateCount,
          this.productChunk,
          this.pieces,
          1,
          gradient,
          this.pieces,
        );
      }
    }
    value.smooth /= this.samples;
    value.loss /= this.samples;
    value.dualSum /= this.samples;
  }

  private expandBits(from: number, count: number): void {
    const { bits, gateCount } = this.data;
    const start = from * gateCount;
    for (let k = 0; k < count * gateCount; k++) this.gateChunk[k] = bits[start + k];
  }

  // Turns rows of B into rows of G in place and moves those that are not zero to the front; returns their number.
  private hingeRows(
    from: number,
    count: number,
    smoothing: number,
    mu: number,
    wanted: boolean,
    value: HingeValue,
  ): number {
    const { classCount, labels, norm, radius, gateCount } = this.data;
    const { width, pieces, moved, inputs, attack, productChunk: B } = this;
    let active = 0;
    for (let row = 0; row < count; row++) {
      const label = labels[from + row];
      const x = (from + row) * width;
      const own = row * pieces + label * width;
      const out = active * pieces;
      let any = false;
      for (let c = 0; c < classCount; c++) {
        if (c === label) continue;
        const rival = row * pieces + c * width;
        const excess = 1 + this.worstScore(own, rival, x);
        if (excess <= 0) {
          if (wanted) B.fill(0, rival, rival + width);
          continue;
        }
        value.loss += excess;
        // B at `rival` now holds -A; the attack on A is minus the attack on -A.
        const support = smoothedSupport(B, rival, moved, norm, radius, mu, attack);
        const u = 1 + this.plainScore + support;
        if (u <= 0) {
          if (wanted) B.fill(0, rival, rival + width);
          continue;
        }
        const alpha = u >= smoothing ? 1 : u / smoothing;
        value.smooth += u >= smoothing ? u - smoothing / 2 : (u * u) / (2 * smoothing);
        value.dualSum += alpha;
        if (!wanted) continue;
        any = true;
        for (let k = 0; k < moved; k++) B[rival + k] = alpha * (inputs[x + k] + attack[k]);
        if (width > moved) B[rival + moved] = alpha * inputs[x + moved];
      }
      if (any) {
        B.fill(0, own, own + width);
        for (let c = 0; c < classCount; c++) {
          if (c === label) continue;
          const rival = row * pieces + c * width;
          for (let k = 0; k < width; k++) B[own + k] -= B[rival + k];
        }
        if (active !== row) {
          B.copyWithin(out, row * pieces, (row + 1) * pieces);
          this.gateChunk.copyWithin(active * gateCount, row * gateCount, (row + 1) * gateCount);
        }
        active++;
      }
    }
    return active;
  }

  private plainScore = 0;

  // Writes -A = B_c - B_y over B_c, leaves x'(-A) in plainScore and returns x'(-A) + radius ||A||_{q*}.
  private worstScore(own: number, rival: number, x: number): number {
    const { productChunk: B, inputs, width, moved } = this;
    let score = 0;
    let size = 0;
    if (this.sumNorm) {
      for (let k = 0; k < moved; k++) {
        const a = B[rival + k] - B[own + k];
        B[rival + k] = a;
        score += a * inputs[x + k];
        size += Math.abs(a);
      }
    } else if (this.largestNorm) {
      for (let k = 0; k < moved; k++) {
        const a = B[rival + k] - B[own + k];
        B[rival + k] = a;
        score += a * inputs[x + k];
        const t = Math.abs(a);
        if (t > size) size = t;
      }
    } else {
      for (let k = 0; k < moved; k++) {
        const a = B[rival + k] - B[own + k];
        B[rival + k] = a;
        score += a * inputs[x + k];
        size += a * a;
      }
      size = Math.sqrt(size);
    }
    if (width > moved) {
      const a = B[rival + moved] - B[own + moved];
      B[rival + moved] = a;
      score += a * inputs[x + moved];
    }
    this.plainScore = score;
    return score + this.data.radius * size;
  }
}

/** Rows per chunk: about 2 MiB of products, at most 1024 rows. */
function chunkRows(samples: number, rowLength: number): number {
  return Math.max(1, Math.min(samples, 1024, Math.max(32, Math.floor(262144 / rowLength))));
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
