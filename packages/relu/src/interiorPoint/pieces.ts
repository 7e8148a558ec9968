// The groups of variables of a program, all v then all w, with regulariser and robust cones as barriers.
//   zeta_g >= ||theta_g||_2 (or ||theta_g||_1) with objective beta zeta_g;
//   rows s_pi x_i'theta_g - t_g >= 0 with t_g >= radius ||theta_g||_{q*} (t = 0 when radius is 0), s_pi = 2 d_pi - 1
// (one norm cone per group instead of one per sample). Eliminating zeta and t leaves a D x D matrix B_g and a right-hand side per group.
// theta: [G, D], G = 2 P outputs   rows: [n, G]

import type { Workspace } from "@worstcase/linalg";
import { lengthOf } from "../ballSupport.js";
import type { ReluProgram } from "../program/program.js";
import { createNormCones } from "./createNormCones.js";
import { factorWithCare } from "./factorWithCare.js";
import { longestLinearStep, type NormCones } from "./normCones.js";

export class Pieces {
  readonly groups: number;
  readonly theta: Float64Array;
  readonly thetaStep: Float64Array;
  /** B_g after `form`, `[G, D, D]`, lower triangles. */
  readonly matrices: Float64Array;
  /** Their Cholesky factors after `factorBlocks`. */
  readonly factors: Float64Array;
  /** Right-hand sides, `[G, D]`. */
  readonly side: Float64Array;
  /** Duals of the rows of the robust cones, `[n, G]`. */
  readonly dual: Float64Array;
  readonly robust: NormCones | null;
  readonly degree: number;
  private readonly norms: NormCones;
  private readonly zeta: Float64Array;
  private readonly zetaStep: Float64Array;
  private readonly t: Float64Array;
  private readonly tStep: Float64Array;
  readonly slack: Float64Array;
  readonly slackStep: Float64Array;
  readonly dualStep: Float64Array;
  readonly aim: Float64Array;
  readonly aimBefore: Float64Array;
  private readonly sideZeta: Float64Array;
  private readonly sideT: Float64Array;
  /** Newton matrix of t: corner and what couples it to theta. */
  private readonly tForm: Float64Array;
  private readonly tCross: Float64Array;
  private readonly inputs: Float64Array;
  private readonly weighted: Float64Array;
  private readonly scores: Float64Array;
  private readonly spare: Float64Array;

  static sizes(program: ReluProgram, samples: number): number[] {
    const { width, gateCount, outputs } = program;
    const groups = 2 * gateCount * outputs;
    return [
      samples * width,
      samples * width,
      samples * groups,
      groups * width,
      groups * width,
      groups * width,
      groups * width ** 2,
      groups * width ** 2,
      width * width,
    ];
  }

  constructor(
    private readonly program: ReluProgram,
    /** Samples whose cones count. */
    private readonly coneSamples: Int32Array,
    private readonly workspace: Workspace,
  ) {
    const { width, gateCount, outputs, regulariser, radius, featureCount, dualExponent } = program;
    const samples = coneSamples.length;
    const groups = 2 * gateCount * outputs;
    this.groups = groups;
    this.inputs = workspace.float64(samples * width);
    coneSamples.forEach((i, row) => {
      this.inputs.set(program.inputs.subarray(i * width, (i + 1) * width), row * width);
    });
    this.weighted = workspace.float64(samples * width);
    this.scores = workspace.float64(samples * groups);
    this.theta = workspace.float64(groups * width);
    this.thetaStep = workspace.float64(groups * width);
    this.matrices = workspace.float64(groups * width * width);
    this.factors = workspace.float64(groups * width * width);
    this.side = workspace.float64(groups * width);
    this.spare = workspace.float64(width * width);
    this.norms = createNormCones(groups, width, regulariser === "group" ? 2 : 1, 1);
    this.robust = radius > 0 ? createNormCones(groups, featureCount, dualExponent, radius) : null;
    const rows = samples * groups;
    this.slack = new Float64Array(rows);
    this.slackStep = new Float64Array(rows);
    this.dual = new Float64Array(rows);
    this.dualStep = new Float64Array(rows);
    this.aim = new Float64Array(rows);
    this.aimBefore = new Float64Array(rows);
    this.degree = this.norms.degree + (this.robust?.degree ?? 0) + rows;
    this.zeta = new Float64Array(groups);
    this.zetaStep = new Float64Array(groups);
    this.t = new Float64Array(groups);
    this.tStep = new Float64Array(groups);
    this.sideZeta = new Float64Array(groups);
    this.sideT = new Float64Array(groups);
    this.tForm = new Float64Array(groups);
    this.tCross = new Float64Array(groups * width);
  }

  /**
   * Starts at multiples of `directions` [P, D], as long as on the central path of the cones alone (beta ||theta|| = rows complementarity, since
   * the barrier is logarithmically homogeneous; far shorter starts make thin cones block every step), with all products of slack and
   * dual equal to `complementarity`.
   */
  start(complementarity: number, directions: Float64Array): void {
    const { program, groups, theta, zeta, robust, slack, t } = this;
    const { width, gateCount, outputs, beta, radius, featureCount, dualExponent } = program;
    const samples = this.rows;
    const size = complementarity / beta;
    for (let g = 0; g < groups; g++) {
      const p = Math.floor(g / outputs) % gateCount;
      for (let k = 0; k < width; k++) theta[g * width + k] = size * samples * directions[p * width + k];
      const length = lengthOf(theta, g * width, width, program.regulariser === "l1" ? 1 : 2);
      zeta[g] = length + (program.regulariser === "l1" ? size * Math.sqrt(width) : size);
    }
    this.multiplyInputs(theta, slack);
    for (let g = 0; g < groups; g++) {
      let least = Number.POSITIVE_INFINITY;
      for (let i = 0; i < samples; i++) least = Math.min(least, slack[i * groups + g]);
      if (robust) t[g] = (radius * lengthOf(theta, g * width, featureCount, dualExponent) + least) / 2;
      for (let i = 0; i < samples; i++) slack[i * groups + g] -= t[g];
    }
    this.startDuals(complementarity);
  }

  /** One Newton step of the primal barrier of the pieces without the loss (centrePieces.ts); returns its length. Needs `factors`. */
  centringStep(complementarity: number, closeness: number): number {
    this.form();
    if (!this.factorBlocks(new Float64Array(0))) return 1;
    this.aimAt(complementarity, 0);
    this.thetaStep.set(this.side);
    this.solveBlocks(this.thetaStep);
    this.step();
    const length = Math.min(1, closeness * this.longestSlackStep(2));
    this.advance(length, 0);
    this.startDuals(complementarity);
    return length;
  }

  // Duals of the present slacks whose products are `complementarity`.
  private startDuals(complementarity: number): void {
    const { groups, program, norms, robust, slack, dual, theta, zeta, t } = this;
    for (let g = 0; g < groups; g++) {
      norms.start(g, zeta[g], theta, g * program.width, complementarity);
      robust?.start(g, t[g], theta, g * program.width, complementarity);
    }
    for (let row = 0; row < slack.length; row++) dual[row] = complementarity / slack[row];
  }

  /** out = s_pi x_i'theta_g, `[n, G]` */
  multiplyInputs(theta: Float64Array, out: Float64Array): void {
    const { groups, scores, inputs, program, workspace } = this;
    const { width } = program;
    const samples = this.rows;
    workspace.gemm(false, true, samples, groups, width, 1, inputs, width, theta, width, 0, scores, groups);
    for (let i = 0; i < samples; i++) {
      for (let g = 0; g < groups; g++) out[i * groups + g] = this.sign(i, g) * scores[i * groups + g];
    }
  }

  /** out += sum_i s_pi rows_ig x_i, `[G, D]`; `out` is a workspace array. */
  addRows(rows: Float64Array, out: Float64Array): void {
    const { groups, scores, inputs, program, workspace } = this;
    const { width } = program;
    const samples = this.rows;
    for (let i = 0; i < samples; i++) {
      for (let g = 0; g < groups; g++) scores[i * groups + g] = this.sign(i, g) * rows[i * groups + g];
    }
    workspace.gemm(true, false, groups, width, samples, 1, scores, groups, inputs, width, 1, out, width);
  }

  get rows(): number {
    return this.coneSamples.length;
  }

  private sign(row: number, g: number): number {
    const { bits, gateCount, outputs } = this.program;
    return bits[this.coneSamples[row] * gateCount + (Math.floor(g / outputs) % gateCount)] === 1 ? 1 : -1;
  }

  /** Builds every B_g. */
  form(): void {
    const { groups, program, workspace, inputs, weighted, norms, robust, slack, dual, theta } = this;
    const { width, featureCount } = program;
    const samples = this.rows;
    for (let g = 0; g < groups; g++) {
      const from = g * width * width;
      const matrix = this.matrices.subarray(from, from + width * width);
      matrix.fill(0);
      norms.scale(g, theta, g * width);
      const cross = this.tCross.subarray(g * width, (g + 1) * width);
      cross.fill(0);
      let total = 0;
      for (let i = 0; i < samples; i++) {
        const weight = dual[i * groups + g] / slack[i * groups + g];
        const root = Math.sqrt(weight);
        const signed = this.robust ? -weight * this.sign(i, g) : 0;
        total += weight;
        for (let k = 0; k < width; k++) {
          const x = inputs[i * width + k];
          weighted[i * width + k] = root * x;
          cross[k] += signed * x;
        }
      }
      workspace.syrk(true, width, samples, 1, weighted, width, 0, matrix, width);
      if (robust) {
        robust.scale(g, theta, g * width);
        const corner = robust.corner[g];
        const lean = robust.lean[g];
        const whole = total + corner;
        this.tForm[g] = whole;
        const v = robust.vector.subarray(g * featureCount, (g + 1) * featureCount);
        const outer = robust.outerWithoutTau[g] + ((lean * lean) / corner) * (total / whole);
        for (let k = 0; k < width; k++) {
          const vk = k < featureCount ? v[k] : 0;
          for (let j = 0; j <= k; j++) {
            const vj = j < featureCount ? v[j] : 0;
            matrix[k * width + j] +=
              outer * vk * vj - (lean * (vk * cross[j] + cross[k] * vj) + cross[k] * cross[j]) / whole;
          }
          if (k < featureCount) matrix[k * width + k] += robust.diagonal[g * featureCount + k];
        }
        for (let k = 0; k < featureCount; k++) cross[k] += lean * v[k];
      }
      const outer = norms.outerWithoutTau[g];
      for (let k = 0; k < width; k++) {
        const scaled = outer * norms.vector[g * width + k];
        for (let j = 0; j <= k; j++) matrix[k * width + j] += scaled * norms.vector[g * width + j];
        matrix[k * width + k] += norms.diagonal[g * width + k];
      }
    }
  }

  /** Cholesky factors of every B_g, with `added` [P outputs, D, D] (or nothing) on top. Returns false when one is not positive definite. */
  factorBlocks(added: Float64Array): boolean {
    const { groups, factors, matrices, workspace, program } = this;
    const size = program.width ** 2;
    factors.set(matrices);
    if (added.length > 0) for (let k = 0; k < factors.length; k++) factors[k] += added[k % added.length];
    for (let g = 0; g < groups; g++) {
      const factor = factors.subarray(g * size, (g + 1) * size);
      if (!factorWithCare(workspace, factor, program.width, this.spare)) return false;
    }
    return true;
  }

  /** step_g <- B_g^-1 step_g; a workspace array. */
  solveBlocks(step: Float64Array): void {
    const { workspace, factors, groups, program } = this;
    const { width } = program;
    for (let g = 0; g < groups; g++) {
      const factor = factors.subarray(g * width * width, (g + 1) * width * width);
      const part = step.subarray(g * width, (g + 1) * width);
      workspace.trsv(false, width, factor, width, part);
      workspace.trsv(true, width, factor, width, part);
    }
  }

  /** out_g = B_g step_g */
  applyBlocks(step: Float64Array, out: Float64Array): void {
    const { workspace, matrices, groups, program } = this;
    const { width } = program;
    for (let g = 0; g < groups; g++) {
      const matrix = matrices.subarray(g * width * width, (g + 1) * width * width);
      const part = step.subarray(g * width, (g + 1) * width);
      workspace.symv(width, 1, matrix, width, part, 0, out.subarray(g * width, (g + 1) * width));
    }
  }

  /** Right-hand sides for a step to complementarity `target`. */
  aimAt(target: number, share: number): void {
    const { groups, program, norms, robust, slack, slackStep, dualStep, aim, theta } = this;
    const { width } = program;
    for (let row = 0; row < aim.length; row++) {
      aim[row] = (target - share * slackStep[row] * dualStep[row]) / slack[row];
    }
    for (let g = 0; g < groups; g++) {
      norms.aimAt(g, target, share, this.zeta[g], theta, g * width);
      robust?.aimAt(g, target, share, this.t[g], theta, g * width);
    }
    this.gatherSides();
  }

  /** Right-hand sides of theta, zeta and t from the aims. */
  gatherSides(): void {
    const { groups, program, norms, robust, aim, side } = this;
    const { width, featureCount, beta } = program;
    const samples = this.rows;
    side.fill(0);
    this.addRows(aim, side);
    for (let g = 0; g < groups; g++) {
      const zeta = norms.sideTau[g] - beta;
      this.sideZeta[g] = zeta;
      const pull = (norms.lean[g] * zeta) / norms.corner[g];
      for (let k = g * width; k < (g + 1) * width; k++) side[k] += norms.sideA[k] - pull * norms.vector[k];
      if (!robust) continue;
      let t = robust.sideTau[g];
      for (let i = 0; i < samples; i++) t -= aim[i * groups + g];
      this.sideT[g] = t;
      for (let k = 0; k < width; k++) {
        if (k < featureCount) side[g * width + k] += robust.sideA[g * featureCount + k];
        side[g * width + k] -= (this.tCross[g * width + k] * t) / this.tForm[g];
      }
    }
  }

  /** Steps of all local variables that belong to `thetaStep`. */
  step(): void {
    const { groups, program, norms, robust, thetaStep, slack, slackStep, dual, dualStep, aim, tStep, zetaStep } = this;
    const { width } = program;
    const samples = this.rows;
    for (let g = 0; g < groups; g++) {
      let along = 0;
      let cross = 0;
      for (let k = g * width; k < (g + 1) * width; k++) {
        along += norms.vector[k] * thetaStep[k];
        cross += this.tCross[k] * thetaStep[k];
      }
      zetaStep[g] = (this.sideZeta[g] - norms.lean[g] * along) / norms.corner[g];
      norms.step(g, zetaStep[g], thetaStep, g * width);
      if (!robust) continue;
      tStep[g] = (this.sideT[g] - cross) / this.tForm[g];
      robust.step(g, tStep[g], thetaStep, g * width);
    }
    this.multiplyInputs(thetaStep, slackStep);
    for (let i = 0; i < samples; i++) {
      for (let g = 0; g < groups; g++) {
        const row = i * groups + g;
        slackStep[row] -= tStep[g];
        dualStep[row] = aim[row] - dual[row] - (dual[row] / slack[row]) * slackStep[row];
      }
    }
  }

  longestSlackStep(limit: number): number {
    const own = this.norms.longestSlackStep(longestLinearStep(this.slack, this.slackStep, limit));
    return this.robust ? this.robust.longestSlackStep(own) : own;
  }

  longestDualStep(limit: number): number {
    const own = this.norms.longestDualStep(longestLinearStep(this.dual, this.dualStep, limit));
    return this.robust ? this.robust.longestDualStep(own) : own;
  }

  advance(primal: number, dualLength: number): void {
    const { slack, dual, slackStep, dualStep, theta, thetaStep, zeta, zetaStep, t, tStep } = this;
    this.norms.advance(primal, dualLength);
    this.robust?.advance(primal, dualLength);
    for (let row = 0; row < slack.length; row++) {
      slack[row] += primal * slackStep[row];
      dual[row] += dualLength * dualStep[row];
    }
    for (let k = 0; k < theta.length; k++) theta[k] += primal * thetaStep[k];
    for (let g = 0; g < this.groups; g++) {
      zeta[g] += primal * zetaStep[g];
      t[g] += primal * tStep[g];
    }
  }

  complementarity(): number {
    let total = this.norms.complementarity() + (this.robust?.complementarity() ?? 0);
    for (let row = 0; row < this.slack.length; row++) total += this.slack[row] * this.dual[row];
    return total;
  }

  complementarityAfter(primal: number, dualLength: number): number {
    const { slack, dual, slackStep, dualStep } = this;
    let total =
      this.norms.complementarityAfter(primal, dualLength) +
      (this.robust?.complementarityAfter(primal, dualLength) ?? 0);
    for (let row = 0; row < slack.length; row++) {
      total += (slack[row] + primal * slackStep[row]) * (dual[row] + dualLength * dualStep[row]);
    }
    return total;
  }
}
