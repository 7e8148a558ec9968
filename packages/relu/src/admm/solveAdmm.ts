// The ReLU program by the alternating direction method of multipliers (Boyd et al. 2011; for this program without a ball Feng, Frangella and
// Pilanci's CRONOS): theta = (v, w) is split from copies of everything that is not quadratic (admmState.ts), so an iteration is one linear system,
// solved by preconditioned conjugate gradients (normalEquations.ts), and projections that are exact in the l_q ball of any q.
// At any iterate the multipliers of the copies are admissible weights of the dual bound (lowerBound.ts); now and then those of the cones are replaced
// by the best ones for the same weights of the loss (coneDistance.ts). The objective is that of repaired pieces.

import { throwIfAborted } from "@worstcase/core";
import { type Workspace, workspaceSize } from "@worstcase/linalg";
import { lengthOf } from "../ballSupport.js";
import { boundValue, shorten } from "../interiorPoint/lowerBound.js";
import { ConeDistance } from "../network/coneDistance.js";
import { reluObjective } from "../network/feasible.js";
import { NearestFeasible } from "../network/nearestFeasible.js";
import { distinctRows } from "../network/openCones.js";
import type { OpenGatesOptions, OpenGatesResult } from "../network/openGates.js";
import type { Objective } from "../program/objective.js";
import type { ReluProgram } from "../program/program.js";
import { AdmmState } from "./admmState.js";

/** Iterations between two looks at objective and bound, and between changes of rho: so many, later a tenth of those done. */
const LOOK = 20;
/** The first look at which the multipliers of the cones are made the best; the others follow at twice as many iterations each, and at the end. */
const FIRST_SHARP = 80;
/** The residuals may differ by this factor. */
const BALANCED = 2;
/** rho follows the residuals up to here, then stays, so that the method converges. */
const ADAPT_UNTIL = 1000;

/** `program` has open gates only; `directions` [P, D] lie strictly inside their cones. */
export async function solveAdmm(
  program: ReluProgram,
  directions: Float64Array,
  options: OpenGatesOptions,
): Promise<OpenGatesResult> {
  const { kernels, tolerance, maximumIterations, where, signal, onEvent } = options;
  const half = program.gateCount * program.outputs * program.width;
  const workspace = kernels.workspace(workspaceSize(...AdmmState.sizes(program), half));
  const state = new AdmmState(program, workspace);
  const nearest = new NearestFeasible(program, directions);
  const bound = new AdmmBound(program, state, workspace);
  const best = { pieces: new Float64Array(state.theta.length), objective: undefined as Objective | undefined };
  if (options.start) {
    state.begin(options.start);
    best.pieces.set(options.start);
  }
  best.objective = reluObjective(program, best.pieces);
  let { lowerBound } = options;
  const candidate = new Float64Array(state.theta.length);
  let rho = 10 * program.beta;
  let paused = performance.now();
  let iteration = 0;
  let look = LOOK;
  let sharp = FIRST_SHARP;
  while (iteration < maximumIterations) {
    throwIfAborted(signal, where);
    if (performance.now() - paused > 50) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      paused = performance.now();
    }
    state.advance(rho);
    iteration++;
    if (iteration < look && iteration < maximumIterations) continue;
    look = iteration + Math.max(LOOK, Math.floor(iteration / 10));
    candidate.set(state.u.copy);
    nearest.repair(candidate);
    const objective = reluObjective(program, candidate);
    if (objective.total < best.objective.total) {
      best.objective = objective;
      best.pieces.set(candidate);
    }
    const { total } = best.objective;
    lowerBound = Math.min(total, Math.max(lowerBound, bound.evaluate(rho)));
    if (iteration >= sharp || iteration >= maximumIterations) {
      if (total - lowerBound > tolerance * total) lowerBound = Math.min(total, Math.max(lowerBound, bound.sharpen()));
      sharp = 2 * iteration;
    }
    const gap = total > 0 ? (total - lowerBound) / total : 0;
    onEvent?.({ type: "iteration", iteration, objective: total, lowerBound, gap });
    if (gap <= tolerance) break;
    if (iteration > ADAPT_UNTIL) continue;
    const ratio = state.imbalance;
    if (ratio < BALANCED && ratio > 1 / BALANCED) continue;
    const factor = Math.min(5, Math.max(0.2, Math.sqrt(ratio)));
    rho *= factor;
    state.rescale(factor);
  }
  return { pieces: best.pieces, objective: best.objective, lowerBound, iterations: iteration };
}

/** The certified bound from the multipliers of the copies. */
class AdmmBound {
  private readonly onScore: Float64Array;
  private readonly weight: Float64Array;
  private readonly onA: Float64Array;
  private readonly pull: Float64Array;
  private readonly total: Float64Array;
  private readonly forces: Float64Array;
  private readonly psi: Float64Array;
  private readonly distance: ConeDistance;

  constructor(
    private readonly program: ReluProgram,
    private readonly state: AdmmState,
    workspace: Workspace,
  ) {
    const { terms, a, theta, s } = state;
    this.onScore = new Float64Array(terms.count);
    this.weight = new Float64Array(terms.count);
    this.onA = new Float64Array(a.copy.length);
    this.pull = workspace.float64(theta.length / 2);
    this.total = new Float64Array(theta.length);
    this.forces = new Float64Array(s.copy.length);
    this.psi = new Float64Array(program.featureCount);
    this.distance = new ConeDistance(program, distinctRows(program));
  }

  evaluate(rho: number): number {
    const { program, state, pull, total, onScore, weight, onA } = this;
    const { width, beta, regulariser, radius } = program;
    this.readLoss(rho);
    state.sums.transpose(onScore, radius > 0 ? onA : null, pull);
    for (let k = 0; k < pull.length; k++) {
      total[k] = pull[k];
      total[pull.length + k] = -pull[k];
    }
    this.addCones(rho);
    const p = regulariser === "group" ? 2 : Number.POSITIVE_INFINITY;
    let largest = 0;
    for (let from = 0; from < total.length; from += width) largest = Math.max(largest, lengthOf(total, from, width, p));
    const most = largest > 0 ? beta / largest : Number.POSITIVE_INFINITY;
    return boundValue(program, state.terms, { onScore, weight, onA }, most);
  }

  /** After `evaluate`: the bound of the same weights of the loss with the best multipliers of the cones. Group norms only. */
  sharpen(): number {
    const { program, state, pull, onScore, weight, onA, distance } = this;
    const { width, beta, radius, gateCount, outputs, regulariser } = program;
    if (regulariser !== "group") return 0;
    state.sums.transpose(onScore, radius > 0 ? onA : null, pull);
    let largest = 0;
    for (let p = 0; p < gateCount; p++) {
      for (let from = p * outputs * width; from < (p + 1) * outputs * width; from += width) {
        for (const sign of [1, -1]) {
          largest = Math.max(largest, distance.measure(p, pull, from, sign, Math.max(largest, beta)));
        }
      }
    }
    const most = largest > 0 ? beta / largest : Number.POSITIVE_INFINITY;
    return boundValue(program, state.terms, { onScore, weight, onA }, most);
  }

  private readLoss(rho: number): void {
    const { program, state, onScore, weight, onA } = this;
    const { loss, radius, featureCount, exponent } = program;
    const { terms, z, a } = state;
    for (let k = 0; k < terms.count; k++) {
      const force = -rho * z.weight * z.multiplier[k];
      const from = k * featureCount;
      if (radius > 0) for (let j = from; j < from + featureCount; j++) onA[j] = -rho * a.weight * a.multiplier[j];
      if (loss === "squared") {
        onScore[k] = force;
        weight[k] = Math.abs(force);
        if (radius > 0) weight[k] = Math.max(weight[k], lengthOf(onA, from, featureCount, exponent) / radius);
      } else {
        weight[k] = Math.min(terms.kappa, Math.max(0, force));
        onScore[k] = weight[k];
      }
      if (radius > 0) shorten(onA, from, featureCount, exponent, radius * weight[k]);
    }
  }

  private addCones(rho: number): void {
    const { program, state, forces, total, psi } = this;
    const { samples, width, featureCount, inputs, radius, exponent } = program;
    const { groups, s, t } = state;
    for (let e = 0; e < forces.length; e++) forces[e] = Math.max(0, -rho * s.weight * s.multiplier[e]);
    for (let g = 0; g < groups && radius > 0; g++) {
      let gamma = 0;
      for (let i = 0; i < samples; i++) gamma += forces[i * groups + g];
      for (let k = 0; k < featureCount; k++) psi[k] = -rho * t.weight * t.multiplier[g * featureCount + k];
      shorten(psi, 0, featureCount, exponent, radius * gamma);
      for (let k = 0; k < featureCount; k++) total[g * width + k] += psi[k];
    }
    state.applySigns(forces);
    for (let i = 0; i < samples; i++) {
      for (let g = 0; g < groups; g++) {
        const force = forces[i * groups + g];
        if (force !== 0) for (let k = 0; k < width; k++) total[g * width + k] += force * inputs[i * width + k];
      }
    }
  }
}
