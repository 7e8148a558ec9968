// The gated program as a composite problem: the robust hinge, its centres and smoothing, the best iterate by the TRUE objective.
// T: [P, C, D]

import type { Workspace } from "@worstcase/linalg";
import { squaredReach } from "../ballSupport.js";
import type { Objective } from "../program/objective.js";
import { sumOfGroupNorms } from "../proximal/acceleratedProximal.js";
import type { CompositeProblem } from "../proximal/minimise.js";
import { type SharedMetric, sharedMetric } from "../proximal/sharedMetric.js";
import type { HingeData, HingeEvaluator, HingeValue } from "./robustHinge.js";

/** Width of the smoothed hinge, in margins. */
export const HINGE_SMOOTHING = 2;
/** First width of the smoothed norm; recentring multiplies it by NORM_DECAY down to a floor (higher where the norm has centres, l1 and linf). */
const NORM_SMOOTHING = 0.1;
const NORM_DECAY = 0.8;
const NORM_FLOOR = 1e-7;
const CENTRED_FLOOR = 1e-2;

export interface GatedState {
  readonly best: Objective;
  readonly bestWeights: Float64Array;
  readonly numbers: readonly [normSmoothing: number, dualSum: number, lastLoss: number];
  readonly metric: Float64Array;
  readonly hinge: unknown;
}

export class GatedProblem implements CompositeProblem {
  readonly length: number;
  readonly groupLength: number;
  readonly metric: SharedMetric;
  readonly bestWeights: Float64Array;
  best: Objective;
  dualSum = 0;
  lastLoss = 0;
  private readonly evaluation: HingeValue = { smooth: 0, loss: 0, dualSum: 0 };
  private normSmoothing = NORM_SMOOTHING;

  constructor(
    data: HingeData,
    readonly beta: number,
    private readonly hinge: HingeEvaluator,
    workspace: Workspace,
  ) {
    this.groupLength = this.hinge.width;
    this.length = data.gateCount * data.classCount * this.groupLength;
    this.metric = sharedMetric(data, squaredReach(data.norm, data.radius, data.features.shape[1]), workspace);
    this.bestWeights = new Float64Array(this.length);
    this.best = { total: data.classCount - 1, loss: data.classCount - 1, regulariser: 0 };
  }

  value(point: Float64Array): number {
    this.hinge.evaluate(point, HINGE_SMOOTHING, this.normSmoothing, null, this.evaluation);
    return this.evaluation.smooth;
  }

  valueAndGradient(point: Float64Array, gradient: Float64Array): number {
    this.hinge.evaluate(point, HINGE_SMOOTHING, this.normSmoothing, gradient, this.evaluation);
    this.dualSum = this.evaluation.dualSum;
    return this.evaluation.smooth;
  }

  recentre(point: Float64Array): void {
    this.hinge.recentre(point, HINGE_SMOOTHING, this.normSmoothing);
    const floor = this.hinge.hasBallCentres ? CENTRED_FLOOR : NORM_FLOOR;
    this.normSmoothing = Math.max(floor, NORM_DECAY * this.normSmoothing);
  }

  keepBest(point: Float64Array): void {
    const loss = this.evaluation.loss;
    const regulariser = this.beta * sumOfGroupNorms(point, this.groupLength);
    this.lastLoss = loss + regulariser;
    if (this.lastLoss >= this.best.total) return;
    this.best = { total: this.lastLoss, loss, regulariser };
    this.bestWeights.set(point);
  }

  state(): GatedState {
    const { best, bestWeights, metric, hinge } = this;
    const numbers = [this.normSmoothing, this.dualSum, this.lastLoss] as const;
    return { best, bestWeights: bestWeights.slice(), numbers, metric: metric.state(), hinge: hinge.state() };
  }

  restore(state: GatedState): void {
    this.best = state.best;
    this.bestWeights.set(state.bestWeights);
    [this.normSmoothing, this.dualSum, this.lastLoss] = state.numbers;
    this.metric.restore(state.metric);
    this.hinge.restore(state.hinge as never);
  }
}
