// The ReLU program as a composite problem over (v, w) for accelerated proximal steps (math.md 24 G): T = v - w enters the smoothed loss, the
// robust cones enter through their augmented Lagrangian. For every piece g and sample i
//   c_gi = N(theta_g) - s_pi x_i'theta_g <= 0,   penalty = 1/(2 rho n) sum_{g,i} [(rho c_gi + gamma_gi)_+^2 - gamma_gi^2],  gamma <- (rho c + gamma)_+
// with the smoothed norm N <= radius ||.||_{q*} whose gradient z lies in the ball, so -(rho c + gamma)_+ (s x - z) / n is a multiplier of the
// dual bound and the gap needs no further terms. Only repaired, exactly feasible pieces count as best.
// pieces: [2, P, outputs, D]   gamma: [n, 2 P outputs]

import type { Workspace } from "@worstcase/linalg";
import { smoothedSupport, squaredReach } from "../ballSupport.js";
import { TermsProblem } from "../gated/termsProblem.js";
import { reluObjective } from "../network/feasible.js";
import { NearestFeasible } from "../network/nearestFeasible.js";
import type { Objective } from "../program/objective.js";
import type { ReluProgram } from "../program/program.js";
import type { CompositeProblem } from "../proximal/minimise.js";
import { PlainMetric } from "../proximal/sharedMetric.js";

const FIRST_RHO = 1;
const LARGEST_RHO = 1000;
const FIRST_WIDTH = 1e-2;
const LEAST_WIDTH = 1e-6;

export class ConeProblem implements CompositeProblem {
  readonly length: number;
  readonly groupLength: number;
  readonly beta: number;
  readonly metric: PlainMetric;
  readonly bestPieces: Float64Array;
  best: Objective;
  dualSum = 0;
  lastLoss = 0;
  private readonly loss: TermsProblem;
  private readonly weights: Float64Array;
  private readonly onWeights: Float64Array;
  private readonly inputs: Float64Array;
  private readonly scores: Float64Array;
  private readonly multipliers: Float64Array;
  private readonly attacks: Float64Array;
  private readonly supports: Float64Array;
  private readonly pressures: Float64Array;
  private readonly repaired: Float64Array;
  private readonly nearest: NearestFeasible;
  private readonly groups: number;
  private readonly reach: number;
  private rho = FIRST_RHO;
  private width = FIRST_WIDTH;
  private lastViolation = Number.POSITIVE_INFINITY;

  static sizes(program: ReluProgram): number[] {
    const { samples, gateCount, outputs, width } = program;
    const half = gateCount * outputs * width;
    return [...TermsProblem.sizes(program), half, half, samples * width, 2 * samples * gateCount * outputs];
  }

  constructor(
    private readonly program: ReluProgram,
    /** Interior directions of the cones, `[P, D]`. */
    directions: Float64Array,
    private readonly workspace: Workspace,
  ) {
    const { samples, gateCount, outputs, width, regulariser, beta, norm, radius, featureCount } = program;
    this.nearest = new NearestFeasible(program, directions);
    this.loss = new TermsProblem(program, workspace);
    const half = gateCount * outputs * width;
    this.groups = 2 * gateCount * outputs;
    this.length = 2 * half;
    this.groupLength = regulariser === "l1" ? 1 : width;
    this.beta = beta;
    this.metric = new PlainMetric(this.groupLength);
    this.weights = workspace.float64(half);
    this.onWeights = workspace.float64(half);
    this.inputs = workspace.float64(samples * width);
    this.inputs.set(program.inputs);
    this.scores = workspace.float64(samples * this.groups);
    this.multipliers = new Float64Array(samples * this.groups);
    this.attacks = new Float64Array(this.groups * featureCount);
    this.supports = new Float64Array(this.groups);
    this.pressures = new Float64Array(this.groups);
    this.repaired = new Float64Array(this.length);
    this.bestPieces = new Float64Array(this.length);
    this.reach = squaredReach(norm, radius, featureCount);
    this.best = reluObjective(program, this.bestPieces);
  }

  value(point: Float64Array): number {
    this.subtract(point);
    return this.loss.value(this.weights) + this.penalty(point, null);
  }

  valueAndGradient(point: Float64Array, gradient: Float64Array): number {
    const half = this.weights.length;
    this.subtract(point);
    const loss = this.loss.valueAndGradient(this.weights, this.onWeights);
    this.dualSum = this.loss.dualSum;
    for (let k = 0; k < half; k++) {
      gradient[k] = this.onWeights[k];
      gradient[half + k] = -this.onWeights[k];
    }
    return loss + this.penalty(point, gradient);
  }

  recentre(point: Float64Array): void {
    this.loss.recentre();
    const violation = this.updateMultipliers(point);
    if (violation > 0.5 * this.lastViolation) this.rho = Math.min(LARGEST_RHO, 2 * this.rho);
    this.lastViolation = violation;
    this.width = Math.max(LEAST_WIDTH, this.width / 2);
  }

  keepBest(point: Float64Array, endOfBlock: boolean): void {
    if (!endOfBlock) return;
    this.lastLoss = reluObjective(this.program, point).total;
    this.repaired.set(point);
    this.nearest.repair(this.repaired);
    const objective = reluObjective(this.program, this.repaired);
    if (objective.total >= this.best.total) return;
    this.best = objective;
    this.bestPieces.set(this.repaired);
  }

  private subtract(pieces: Float64Array): void {
    const half = this.weights.length;
    for (let k = 0; k < half; k++) this.weights[k] = pieces[k] - pieces[half + k];
  }

  // supports, attacks and s_pi x_i'theta_g (in `scores`) at `pieces`
  private scoreAll(pieces: Float64Array): void {
    const { program, workspace, inputs, scores, groups, supports, attacks, reach } = this;
    const { samples, width, featureCount, norm, radius, bits, gateCount, outputs } = program;
    const mu = reach > 0 ? this.width / reach : 1;
    for (let g = 0; g < groups; g++) {
      const attack = attacks.subarray(g * featureCount, (g + 1) * featureCount);
      supports[g] = smoothedSupport(pieces, g * width, featureCount, norm, radius, mu, attack);
    }
    workspace.gemm(false, true, samples, groups, width, 1, inputs, width, pieces, width, 0, scores, groups);
    for (let i = 0; i < samples; i++) {
      for (let g = 0; g < groups; g++) {
        if (bits[i * gateCount + (Math.floor(g / outputs) % gateCount)] === 0) scores[i * groups + g] *= -1;
      }
    }
  }

  private penalty(pieces: Float64Array, gradient: Float64Array | null): number {
    const { program, workspace, inputs, scores, groups, supports, attacks, multipliers, pressures, rho } = this;
    const { samples, width, featureCount, bits, gateCount, outputs } = program;
    this.scoreAll(pieces);
    pressures.fill(0);
    let total = 0;
    for (let i = 0; i < samples; i++) {
      for (let g = 0; g < groups; g++) {
        const at = i * groups + g;
        const old = multipliers[at];
        const force = Math.max(0, rho * (supports[g] - scores[at]) + old);
        total += force * force - old * old;
        if (gradient === null) continue;
        pressures[g] += force;
        scores[at] = bits[i * gateCount + (Math.floor(g / outputs) % gateCount)] === 1 ? -force : force;
      }
    }
    if (gradient !== null) {
      workspace.gemm(
        true,
        false,
        groups,
        width,
        samples,
        1 / samples,
        scores,
        groups,
        inputs,
        width,
        1,
        gradient,
        width,
      );
      for (let g = 0; g < groups; g++) {
        const factor = pressures[g] / samples;
        for (let k = 0; k < featureCount; k++) gradient[g * width + k] += factor * attacks[g * featureCount + k];
      }
    }
    return total / (2 * rho * samples);
  }

  // gamma <- (rho c + gamma)_+; returns the mean violation
  private updateMultipliers(pieces: Float64Array): number {
    const { scores, supports, multipliers, groups, rho } = this;
    this.scoreAll(pieces);
    let violation = 0;
    for (let at = 0; at < scores.length; at++) {
      const excess = supports[at % groups] - scores[at];
      violation += Math.max(0, excess);
      multipliers[at] = Math.max(0, rho * excess + multipliers[at]);
    }
    return violation / scores.length;
  }
}
