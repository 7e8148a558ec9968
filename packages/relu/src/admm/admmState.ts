// The split ReLU program (solveAdmm.ts): weights theta, their images, the copies of the images that carry the loss, the cones and the regulariser,
// and the scaled multipliers of copy = image. Each image has a weight, so that the theta step does not depend on rho:
//   u = theta                weight 1          beta R(u)
//   t = theta, d coordinates weight 1          with s in the robust cone of the piece
//   s_i = +-x_i'theta        weight scale / n
//   z = score_k              weight scale / n  the loss, with a
//   a = A_k, d coordinates   weight 1 / n
// t and a only where there is a ball.
// theta, u: [2 P outputs, D]   t: [2 P outputs, d]   s: [n, 2 P outputs]   z: [terms]   a: [terms, d]

import type { Workspace } from "@worstcase/linalg";
import { lengthOf } from "../ballSupport.js";
import { GateSums } from "../interiorPoint/gateSums.js";
import { indexTerms, type TermIndex } from "../interiorPoint/termIndex.js";
import type { ReluProgram } from "../program/program.js";
import { ConeProjection } from "./coneProjection.js";
import { LossProx } from "./lossProx.js";
import { NormalEquations } from "./normalEquations.js";

/** A copy, its multiplier over rho times its weight, and the image it should equal (after `advance`: the copy before). */
export interface Split {
  readonly weight: number;
  readonly copy: Float64Array;
  readonly multiplier: Float64Array;
  readonly image: Float64Array;
}

const RELAXATION = 1.6;
/** Relative accuracy of the theta step. */
const ACCURACY = 1e-4;

export class AdmmState {
  readonly theta: Float64Array;
  readonly terms: TermIndex;
  readonly sums: GateSums;
  readonly groups: number;
  readonly u: Split;
  readonly t: Split;
  readonly s: Split;
  readonly z: Split;
  readonly a: Split;
  private primal = 0;
  private dual = 0;
  private copySize = 0;
  private multiplierSize = 0;
  private readonly inputs: Float64Array;
  private readonly right: Float64Array;
  private readonly weights: Float64Array;
  private readonly pull: Float64Array;
  private readonly termSums: Float64Array;
  private readonly onScore: Float64Array;
  private readonly onA: Float64Array;
  private readonly forces: Float64Array;
  private readonly equations: NormalEquations;
  private readonly cone: ConeProjection;
  private readonly lossProx: LossProx;

  static sizes(program: ReluProgram): number[] {
    const { samples, gateCount, outputs, width } = program;
    const half = gateCount * outputs * width;
    const scores = samples * 2 * gateCount * outputs;
    return [
      ...GateSums.sizes(program),
      ...NormalEquations.sizes(program),
      ...[2 * half, 2 * half, half, half, samples * width, scores, scores],
    ];
  }

  constructor(
    private readonly program: ReluProgram,
    private readonly workspace: Workspace,
  ) {
    const { samples, gateCount, outputs, width, featureCount, radius } = program;
    const half = gateCount * outputs * width;
    const d = radius > 0 ? featureCount : 0;
    this.groups = 2 * gateCount * outputs;
    this.terms = indexTerms(program);
    const terms = this.terms.count;
    this.sums = new GateSums(program, this.terms, workspace);
    this.inputs = workspace.float64(samples * width);
    this.inputs.set(program.inputs);
    this.theta = workspace.float64(2 * half);
    this.right = workspace.float64(2 * half);
    this.weights = workspace.float64(half);
    this.pull = workspace.float64(half);
    this.forces = workspace.float64(samples * this.groups);
    this.termSums = new Float64Array(terms * width);
    this.onScore = new Float64Array(terms);
    this.onA = new Float64Array(terms * d);
    let square = 0;
    for (const x of program.inputs) square += x * x;
    const scale = square > 0 ? program.inputs.length / square : 1;
    const split = (weight: number, length: number, image: Float64Array = new Float64Array(length)): Split => {
      return { weight, copy: new Float64Array(length), multiplier: new Float64Array(length), image };
    };
    this.u = split(1, 2 * half);
    this.t = split(1, this.groups * d);
    this.s = split(scale / samples, samples * this.groups, workspace.float64(samples * this.groups));
    this.z = split(scale / samples, terms);
    this.a = split(1 / samples, terms * d);
    const scratch = { sums: this.termSums, score: new Float64Array(terms), onA: this.onA };
    this.equations = new NormalEquations(program, this.sums, this.inputs, scale, scratch, workspace);
    this.cone = new ConeProjection(program, this.s.weight, this.t.weight);
    this.lossProx = new LossProx(program);
  }

  /** Pieces as the first iterate and every copy its image. */
  begin(pieces: Float64Array): void {
    this.theta.set(pieces);
    this.fillImages();
    for (const { copy, image } of [this.u, this.t, this.s, this.z, this.a]) copy.set(image);
  }

  /** One iteration. */
  advance(rho: number): void {
    this.solveTheta();
    this.fillImages();
    this.primal = this.dual = this.copySize = this.multiplierSize = 0;
    for (const split of [this.u, this.t, this.s, this.z, this.a]) this.relax(split);
    this.shrink(rho);
    const { cone, s, t, groups, program } = this;
    const d = t.copy.length / groups;
    for (let g = 0; g < groups; g++) cone.project(s.copy, g, groups, t.copy, g * d);
    const { terms, z, a, lossProx } = this;
    const [pz, pa] = [rho * z.weight * program.samples, rho * a.weight * program.samples];
    const e = a.copy.length / terms.count;
    for (let k = 0; k < terms.count; k++) z.copy[k] = lossProx.step(z.copy[k], terms.target[k], a.copy, k * e, pz, pa);
    for (const split of [this.u, this.t, this.s, this.z, this.a]) this.update(split);
  }

  /** Image minus copy relative to the copies, over the move of the copies relative to the multipliers: above 1 rho should rise. */
  get imbalance(): number {
    const { primal, dual, copySize, multiplierSize } = this;
    return Math.sqrt((primal * multiplierSize) / Math.max(dual * copySize, Number.MIN_VALUE));
  }

  /** rho changes by `factor`: the true multipliers stay. */
  rescale(factor: number): void {
    for (const { multiplier } of [this.u, this.t, this.s, this.z, this.a]) {
      for (let k = 0; k < multiplier.length; k++) multiplier[k] /= factor;
    }
  }

  private solveTheta(): void {
    const { right, u, t, s, z, a, program, forces, inputs, workspace, groups, onScore, onA, pull, theta } = this;
    const { samples, width, featureCount, radius } = program;
    for (let k = 0; k < right.length; k++) right[k] = u.copy[k] - u.multiplier[k];
    if (radius > 0) {
      for (let g = 0; g < groups; g++) {
        for (let k = 0; k < featureCount; k++) {
          const at = g * featureCount + k;
          right[g * width + k] += t.copy[at] - t.multiplier[at];
        }
      }
    }
    for (let e = 0; e < forces.length; e++) forces[e] = s.copy[e] - s.multiplier[e];
    this.applySigns(forces);
    workspace.gemm(true, false, groups, width, samples, s.weight, forces, groups, inputs, width, 1, right, width);
    for (let k = 0; k < onScore.length; k++) onScore[k] = z.weight * (z.copy[k] - z.multiplier[k]);
    for (let e = 0; e < onA.length; e++) onA[e] = a.weight * (a.copy[e] - a.multiplier[e]);
    this.sums.transpose(onScore, radius > 0 ? onA : null, pull);
    for (let k = 0; k < pull.length; k++) {
      right[k] += pull[k];
      right[pull.length + k] -= pull[k];
    }
    this.equations.solve(right, theta, ACCURACY);
  }

  private fillImages(): void {
    const { program, theta, weights, u, t, s, z, a, termSums, workspace, inputs, groups } = this;
    const { samples, width, featureCount, radius } = program;
    const half = weights.length;
    u.image.set(theta);
    workspace.gemm(false, true, samples, groups, width, 1, inputs, width, theta, width, 0, s.image, groups);
    this.applySigns(s.image);
    for (let k = 0; k < half; k++) weights[k] = theta[k] - theta[half + k];
    this.sums.apply(weights, termSums, z.image);
    if (radius === 0) return;
    for (let g = 0; g < groups; g++) {
      for (let k = 0; k < featureCount; k++) t.image[g * featureCount + k] = theta[g * width + k];
    }
    for (let k = 0; k < z.image.length; k++) {
      for (let j = 0; j < featureCount; j++) a.image[k * featureCount + j] = termSums[k * width + j];
    }
  }

  /** Scores of closed gates change sign: `[n, 2 P outputs]` in place. */
  applySigns(scores: Float64Array): void {
    const { samples, gateCount, outputs, bits } = this.program;
    let at = 0;
    for (let i = 0; i < samples; i++) {
      for (let side = 0; side < 2; side++) {
        for (let p = 0; p < gateCount; p++) {
          const closed = bits[i * gateCount + p] === 0;
          for (let o = 0; o < outputs; o++, at++) if (closed) scores[at] = -scores[at];
        }
      }
    }
  }

  /** copy <- relaxed image + multiplier, the point of its proximal step, which the multiplier holds too; image <- the old copy. */
  private relax({ copy, multiplier, image, weight }: Split): void {
    let square = 0;
    for (let k = 0; k < copy.length; k++) {
      const old = copy[k];
      const difference = image[k] - old;
      square += difference * difference;
      multiplier[k] += RELAXATION * image[k] + (1 - RELAXATION) * old;
      copy[k] = multiplier[k];
      image[k] = old;
    }
    this.primal += weight * square;
  }

  private shrink(rho: number): void {
    const { program, u } = this;
    const { width, regulariser, beta } = program;
    const size = regulariser === "l1" ? 1 : width;
    for (let from = 0; from < u.copy.length; from += size) {
      const length = lengthOf(u.copy, from, size, 2);
      const factor = length > beta / rho ? 1 - beta / (rho * length) : 0;
      for (let k = from; k < from + size; k++) u.copy[k] *= factor;
    }
  }

  private update({ copy, multiplier, image, weight }: Split): void {
    let moved = 0;
    let size = 0;
    let force = 0;
    for (let k = 0; k < copy.length; k++) {
      multiplier[k] -= copy[k];
      moved += (copy[k] - image[k]) ** 2;
      size += copy[k] * copy[k];
      force += multiplier[k] * multiplier[k];
    }
    this.dual += weight * moved;
    this.copySize += weight * size;
    this.multiplierSize += weight * force;
  }
}
