// The cone-constrained ReLU program as a composite problem over pieces (v, w): T = v - w enters the robust hinge, the cones enter
// through their augmented Lagrangian. Only repaired, exactly feasible pieces count as best.
// pieces: [2, P, C, D]   T: [P, C, D]

import type { Workspace } from "@worstcase/linalg";
import { squaredReach } from "../ballSupport.js";
import { HINGE_SMOOTHING, NORM_DECAY, NORM_SMOOTHING } from "../gated/gatedProblem.js";
import { type HingeData, type HingeValue, RobustHinge } from "../gated/robustHinge.js";
import type { GateSet } from "../patterns/gateSet.js";
import type { Objective } from "../program/objective.js";
import { sumOfGroupNorms } from "../proximal/acceleratedProximal.js";
import type { CompositeProblem } from "../proximal/minimise.js";
import { PlainMetric } from "../proximal/sharedMetric.js";
import { type Interiors, interiorDirections, repairPieces } from "./repair.js";
import { type ConeViolation, RobustCones } from "./robustCones.js";

/** The penalty weight starts at 1 and doubles up to this while violations do not fall. */
const LARGEST_RHO = 16;

export class ReluProblem implements CompositeProblem {
  readonly length: number;
  readonly groupLength: number;
  readonly metric: PlainMetric;
  readonly bestPieces: Float64Array;
  readonly cones: RobustCones;
  readonly interiors: Interiors;
  best: Objective;
  dualSum = 0;
  lastLoss = 0;
  private readonly hinge: RobustHinge;
  private readonly evaluation: HingeValue = { smooth: 0, loss: 0, dualSum: 0 };
  private readonly weights: Float64Array;
  private readonly weightGradient: Float64Array;
  private readonly repaired: Float64Array;
  private readonly reach: number;
  private normSmoothing = NORM_SMOOTHING;
  private lastViolation = Number.POSITIVE_INFINITY;

  static sizes(length: number): number[] {
    return [length / 2, length / 2, length];
  }

  constructor(
    private readonly data: HingeData,
    gates: GateSet,
    readonly beta: number,
    workspace: Workspace,
  ) {
    this.hinge = new RobustHinge(data, workspace);
    this.cones = new RobustCones(data, workspace);
    this.groupLength = this.hinge.width;
    const half = data.gateCount * data.classCount * this.groupLength;
    this.length = 2 * half;
    this.metric = new PlainMetric(this.groupLength);
    this.weights = workspace.float64(half);
    this.weightGradient = workspace.float64(half);
    this.repaired = workspace.float64(this.length);
    this.bestPieces = new Float64Array(this.length);
    this.reach = squaredReach(data.norm, data.radius, data.features.shape[1]);
    this.interiors = interiorDirections(data, gates);
    this.best = { total: data.classCount - 1, loss: data.classCount - 1, regulariser: 0 };
  }

  value(point: Float64Array): number {
    this.subtract(point);
    this.hinge.evaluate(this.weights, HINGE_SMOOTHING, this.normSmoothing, null, this.evaluation);
    return this.evaluation.smooth + this.cones.penalty(point, this.mu(), null);
  }

  valueAndGradient(point: Float64Array, gradient: Float64Array): number {
    const half = this.weights.length;
    this.subtract(point);
    this.hinge.evaluate(this.weights, HINGE_SMOOTHING, this.normSmoothing, this.weightGradient, this.evaluation);
    this.dualSum = this.evaluation.dualSum;
    for (let k = 0; k < half; k++) {
      gradient[k] = this.weightGradient[k];
      gradient[half + k] = -this.weightGradient[k];
    }
    return this.evaluation.smooth + this.cones.penalty(point, this.mu(), gradient);
  }

  recentre(point: Float64Array): void {
    this.subtract(point);
    this.hinge.recentre(this.weights, HINGE_SMOOTHING, this.normSmoothing);
    this.cones.updateMultipliers(point, this.mu());
    const { mean } = this.cones.violation(point);
    if (mean > 0.95 * this.lastViolation && this.cones.rho < LARGEST_RHO) this.cones.rho *= 2;
    this.lastViolation = mean;
    this.normSmoothing = Math.max(1e-6, NORM_DECAY * this.normSmoothing);
  }

  keepBest(point: Float64Array, endOfBlock: boolean): void {
    this.lastLoss = this.evaluation.loss + this.beta * sumOfGroupNorms(point, this.groupLength);
    if (!endOfBlock) return;
    for (const drop of [false, true]) {
      repairPieces(point, this.cones, this.interiors, this.data.classCount, drop, this.repaired);
      this.subtract(this.repaired);
      this.hinge.evaluate(this.weights, HINGE_SMOOTHING, this.normSmoothing, null, this.evaluation);
      const loss = this.evaluation.loss;
      const regulariser = this.beta * sumOfGroupNorms(this.repaired, this.groupLength);
      if (loss + regulariser >= this.best.total) continue;
      this.best = { total: loss + regulariser, loss, regulariser };
      this.bestPieces.set(this.repaired);
    }
  }

  /** Violation of the best pieces with respect to the exact cones. */
  bestViolation(): ConeViolation {
    this.repaired.set(this.bestPieces);
    return this.cones.violation(this.repaired);
  }

  private mu(): number {
    return this.reach > 0 ? this.normSmoothing / (HINGE_SMOOTHING * this.reach) / 100 : 1;
  }

  private subtract(pieces: Float64Array): void {
    const half = this.weights.length;
    for (let k = 0; k < half; k++) this.weights[k] = pieces[k] - pieces[half + k];
  }
}
