// The loss of a program as terms, one per sample and output or pair of classes, with the local variables of the interior-point method.
//   A_k = plus_k A_{i, first} - A_{i, second},  m = x_i'A_k,  tau_k >= radius ||A_k||_{q*} (normCones.ts; tau = 0 when radius is 0)
//   hinge     kappa xi,  rows xi >= 0 and xi - 1 + m - tau >= 0
//   logistic  kappa log(1 + exp(tau - m)), no rows
//   squared   kappa rho^2 / 2, rows rho - tau +- (m - target) >= 0; without a ball kappa (m - target)^2 / 2 and no rows
// kappa = 1/n. After elimination of xi or rho and tau a term is the form
//   scoreForm m^2 + 2 mixed m v'a + sum_k diagonal_k a_k^2 + outer (v'a)^2   with right-hand side sideScore on m and sideA on a.
// A: [terms, D]   a: its first d coordinates

import type { ReluProgram } from "../program/program.js";
import { createNormCones } from "./createNormCones.js";
import { longestLinearStep, type NormCones } from "./normCones.js";
import { indexTerms, type TermIndex } from "./termIndex.js";

export class LossTerms implements TermIndex {
  readonly count: number;
  readonly sample: Int32Array;
  readonly first: Int32Array;
  /** -1 for none. */
  readonly second: Int32Array;
  readonly plus: Float64Array;
  readonly kappa: number;
  /** Barrier degree. */
  readonly degree: number;
  /** A_k and m_k at the present point. */
  readonly sums: Float64Array;
  readonly score: Float64Array;
  readonly cones: NormCones | null;
  readonly scoreForm: Float64Array;
  readonly mixed: Float64Array;
  readonly outer: Float64Array;
  readonly sideScore: Float64Array;
  readonly sideA: Float64Array;
  readonly tau: Float64Array;
  readonly target: Float64Array;
  private readonly rows: number;
  /** xi or rho */
  private readonly local: Float64Array;
  private readonly tauStep: Float64Array;
  private readonly localStep: Float64Array;
  readonly slack: Float64Array;
  readonly dual: Float64Array;
  readonly aim: Float64Array;
  readonly aimBefore: Float64Array;
  readonly slackStep: Float64Array;
  readonly dualStep: Float64Array;
  private readonly tauForm: Float64Array;
  private readonly scoreTau: Float64Array;
  private readonly sideTau: Float64Array;
  private readonly sideLocal: Float64Array;

  constructor(private readonly program: ReluProgram) {
    const { loss, radius, featureCount, dualExponent, width } = program;
    const { count, sample, first, second, plus, target, kappa } = indexTerms(program);
    [this.count, this.kappa] = [count, kappa];
    [this.sample, this.first, this.second] = [sample, first, second];
    [this.plus, this.target] = [plus, target];
    this.cones = radius > 0 ? createNormCones(count, featureCount, dualExponent, radius) : null;
    this.rows = loss === "hinge" || (loss === "squared" && radius > 0) ? 2 : 0;
    this.degree = (this.cones?.degree ?? 0) + this.rows * count;
    this.sums = new Float64Array(count * width);
    this.score = new Float64Array(count);
    this.scoreForm = new Float64Array(count);
    this.mixed = new Float64Array(count);
    this.outer = new Float64Array(count);
    this.sideScore = new Float64Array(count);
    this.sideA = new Float64Array(radius > 0 ? count * featureCount : 0);
    this.tau = new Float64Array(count);
    this.tauStep = new Float64Array(count);
    this.local = new Float64Array(count);
    this.localStep = new Float64Array(count);
    this.tauForm = new Float64Array(count);
    this.scoreTau = new Float64Array(count);
    this.sideTau = new Float64Array(count);
    this.sideLocal = new Float64Array(count);
    this.slack = new Float64Array(count * this.rows);
    this.dual = new Float64Array(count * this.rows);
    this.aim = new Float64Array(count * this.rows);
    this.aimBefore = new Float64Array(count * this.rows);
    this.slackStep = new Float64Array(count * this.rows);
    this.dualStep = new Float64Array(count * this.rows);
  }

  /** Places the local variables at T = 0, strictly inside. */
  start(): void {
    const { cones, kappa, local, slack, dual, tau } = this;
    for (let k = 0; k < this.count; k++) {
      if (cones) {
        tau[k] = 1;
        cones.start(k, 1, this.sums, k * this.program.width, kappa / 2);
      }
      if (this.rows === 0) continue;
      local[k] = tau[k] + (this.program.loss === "hinge" ? 2 : 1 + Math.abs(this.target[k]));
      this.fillRows(slack, k, local[k], 0, tau[k], 1, this.target[k]);
      dual[2 * k] = kappa / 2 / slack[2 * k];
      dual[2 * k + 1] = kappa / 2 / slack[2 * k + 1];
    }
  }

  // The two rows at (local, m, tau); for steps the constants are left out.
  private fillRows(
    out: Float64Array,
    k: number,
    local: number,
    score: number,
    tau: number,
    one: number,
    target: number,
  ): void {
    if (this.program.loss === "hinge") {
      out[2 * k] = local;
      out[2 * k + 1] = local - one + score - tau;
    } else {
      out[2 * k] = local - tau - (score - target);
      out[2 * k + 1] = local - tau + (score - target);
    }
  }

  complementarity(): number {
    let total = this.cones?.complementarity() ?? 0;
    for (let row = 0; row < this.slack.length; row++) total += this.slack[row] * this.dual[row];
    return total;
  }

  complementarityAfter(primal: number, dualLength: number): number {
    const { slack, dual, slackStep, dualStep } = this;
    let total = this.cones?.complementarityAfter(primal, dualLength) ?? 0;
    for (let row = 0; row < slack.length; row++) {
      total += (slack[row] + primal * slackStep[row]) * (dual[row] + dualLength * dualStep[row]);
    }
    return total;
  }

  /** Quadratic forms at the present point. */
  scale(): void {
    const { kappa, cones, slack, dual, program } = this;
    for (let k = 0; k < this.count; k++) {
      let score: number;
      let scoreTau: number;
      let tau: number;
      if (program.loss === "squared" && this.rows === 0) {
        this.scoreForm[k] = kappa;
        continue;
      }
      if (program.loss === "squared") {
        const less = dual[2 * k] / slack[2 * k];
        const more = dual[2 * k + 1] / slack[2 * k + 1];
        const sum = less + more;
        score = (4 * less * more + sum * kappa) / (sum + kappa);
        scoreTau = (-(more - less) * kappa) / (sum + kappa);
        tau = (sum * kappa) / (sum + kappa);
      } else {
        score = this.marginForm(k);
        scoreTau = -score;
        tau = score;
      }
      this.tauForm[k] = tau;
      this.scoreTau[k] = scoreTau;
      if (!cones) {
        this.scoreForm[k] = score;
        continue;
      }
      cones.scale(k, this.sums, k * program.width);
      const corner = cones.corner[k];
      const lean = cones.lean[k];
      const whole = tau + corner;
      this.scoreForm[k] = program.loss === "squared" ? score - scoreTau ** 2 / whole : (score * corner) / whole;
      this.mixed[k] = (-scoreTau * lean) / whole;
      this.outer[k] = cones.outerWithoutTau[k] + ((lean * lean) / corner) * (tau / whole);
    }
  }

  private marginForm(k: number): number {
    const { slack, dual } = this;
    if (this.rows === 0) {
      const open = 1 / (1 + Math.exp(this.score[k] - this.tau[k]));
      return Math.max(this.kappa * open * (1 - open), 1e-16 * this.kappa);
    }
    return 1 / (slack[2 * k] / dual[2 * k] + slack[2 * k + 1] / dual[2 * k + 1]);
  }

  /** Right-hand sides for a step to complementarity `target`. */
  aimAt(target: number, share: number): void {
    const { cones, slack, slackStep, dualStep, aim, program } = this;
    for (let row = 0; row < slack.length; row++) {
      aim[row] = (target - share * slackStep[row] * dualStep[row]) / slack[row];
    }
    if (cones) {
      for (let k = 0; k < this.count; k++) cones.aimAt(k, target, share, this.tau[k], this.sums, k * program.width);
    }
    this.gatherSides();
  }

  /** Right-hand sides of m and a from the aims. */
  gatherSides(): void {
    const { kappa, cones, slack, dual, aim, program } = this;
    const d = program.featureCount;
    for (let k = 0; k < this.count; k++) {
      let score: number;
      let tau: number;
      if (program.loss === "logistic") {
        score = kappa / (1 + Math.exp(this.score[k] - this.tau[k]));
        tau = -score;
      } else if (this.rows === 0) {
        score = -kappa * (this.score[k] - this.target[k]);
        tau = 0;
      } else {
        const one = aim[2 * k];
        const two = aim[2 * k + 1];
        const weightOne = dual[2 * k] / slack[2 * k];
        const weightTwo = dual[2 * k + 1] / slack[2 * k + 1];
        if (program.loss === "hinge") {
          const local = one + two - kappa;
          const share = weightTwo / (weightOne + weightTwo);
          this.sideLocal[k] = local;
          score = two - share * local;
          tau = -score;
        } else {
          const local = one + two - kappa * this.local[k];
          const sum = weightOne + weightTwo;
          this.sideLocal[k] = local;
          score = two - one - ((weightTwo - weightOne) / (sum + kappa)) * local;
          tau = -(one + two) + (sum / (sum + kappa)) * local;
        }
      }
      if (cones) {
        tau += cones.sideTau[k];
        const pull = tau / (this.tauForm[k] + cones.corner[k]);
        this.sideTau[k] = tau;
        score -= this.scoreTau[k] * pull;
        const lean = cones.lean[k] * pull;
        for (let j = k * d; j < (k + 1) * d; j++) this.sideA[j] = cones.sideA[j] - lean * cones.vector[j];
      }
      this.sideScore[k] = score;
    }
  }

  /** Steps of all local variables that belong to steps of A and m. */
  step(sums: Float64Array, score: Float64Array): void {
    const { cones, slack, dual, slackStep, dualStep, aim, tauStep, localStep, program, kappa } = this;
    const { width, featureCount: d } = program;
    for (let k = 0; k < this.count; k++) {
      let tau = 0;
      if (cones) {
        let along = 0;
        for (let j = 0; j < d; j++) along += cones.vector[k * d + j] * sums[k * width + j];
        tau = this.sideTau[k] - this.scoreTau[k] * score[k] - cones.lean[k] * along;
        tau /= this.tauForm[k] + cones.corner[k];
        tauStep[k] = tau;
        cones.step(k, tau, sums, k * width);
      }
      if (this.rows === 0) continue;
      const one = dual[2 * k] / slack[2 * k];
      const two = dual[2 * k + 1] / slack[2 * k + 1];
      if (program.loss === "hinge") localStep[k] = (this.sideLocal[k] - two * (score[k] - tau)) / (one + two);
      else {
        const sum = one + two;
        localStep[k] = (this.sideLocal[k] + sum * tau - (two - one) * score[k]) / (sum + kappa);
      }
      this.fillRows(slackStep, k, localStep[k], score[k], tau, 0, 0);
    }
    for (let row = 0; row < slack.length; row++) {
      dualStep[row] = aim[row] - dual[row] - (dual[row] / slack[row]) * slackStep[row];
    }
  }

  longestSlackStep(limit: number): number {
    const own = longestLinearStep(this.slack, this.slackStep, limit);
    return this.cones ? this.cones.longestSlackStep(own) : own;
  }

  longestDualStep(limit: number): number {
    const own = longestLinearStep(this.dual, this.dualStep, limit);
    return this.cones ? this.cones.longestDualStep(own) : own;
  }

  /** Local variables move; `sums` and `score` are the caller's to refresh. */
  advance(primal: number, dualLength: number): void {
    const { slack, dual, slackStep, dualStep } = this;
    this.cones?.advance(primal, dualLength);
    for (let k = 0; k < this.count; k++) {
      this.tau[k] += primal * this.tauStep[k];
      this.local[k] += primal * this.localStep[k];
    }
    for (let row = 0; row < slack.length; row++) {
      slack[row] += primal * slackStep[row];
      dual[row] += dualLength * dualStep[row];
    }
  }
}
