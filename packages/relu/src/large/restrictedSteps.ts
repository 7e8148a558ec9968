// Accelerated proximal steps over the groups and rows in use, one evaluation a step: instead of a line search the curvature follows the change of
// the gradient between two evaluations, <g - g', y - y'> <= L ||y - y'||_M^2. Momentum restarts by the gradient (arXiv 1204.3982).
// Nothing here is certified: the exact pass judges what comes out.
// point, gradient: [groups, D]

import { largestGroupNorm, sumOfGroupNorms } from "../proximal/acceleratedProximal.js";
import type { LowRankMetric } from "./lowRankMetric.js";
import type { Smoothing, Team, TeamValue } from "./team.js";

export interface RestrictedOptions {
  readonly beta: number;
  readonly width: number;
  readonly smoothing: Smoothing;
  /** First curvature. */
  readonly curvature: number;
  readonly mostSteps: number;
  /** Called every BLOCK steps and awaited; false ends the steps. */
  readonly pause: () => Promise<boolean>;
}

export interface RestrictedOutcome {
  readonly point: Float64Array;
  readonly curvature: number;
  readonly steps: number;
  /** Whether what smoothing adds outweighs the lack of stationarity: time to move the centres. */
  readonly settled: boolean;
}

const BLOCK = 10;

export async function takeSteps(
  team: Team,
  metric: LowRankMetric,
  start: Float64Array,
  options: RestrictedOptions,
): Promise<RestrictedOutcome> {
  const { beta, width, smoothing, mostSteps } = options;
  const length = start.length;
  let point = start.slice();
  let previous = start.slice();
  let candidate = new Float64Array(length);
  let place = new Float64Array(length);
  let lastPlace = new Float64Array(length);
  let gradient = new Float64Array(length);
  let lastGradient = new Float64Array(length);
  const average = new Float64Array(length);
  const difference = new Float64Array(length);
  const image = new Float64Array(length);
  const value: TeamValue = { smooth: 0, loss: 0, dualSum: 0 };
  let { curvature } = options;
  let momentum = 1;
  let averageWeight = 0;
  let averageSum = 0;
  let steps = 0;
  let settled = false;
  while (steps < mostSteps && length > 0) {
    const next = (1 + Math.sqrt(1 + 4 * momentum * momentum)) / 2;
    const push = (momentum - 1) / next;
    for (let k = 0; k < length; k++) place[k] = point[k] + push * (point[k] - previous[k]);
    team.evaluate(place, smoothing, gradient, value);
    if (steps > 0) {
      let change = 0;
      for (let k = 0; k < length; k++) {
        difference[k] = place[k] - lastPlace[k];
        change += (gradient[k] - lastGradient[k]) * difference[k];
      }
      metric.apply(difference, image);
      let square = 0;
      for (let k = 0; k < length; k++) square += image[k] * difference[k];
      const ratio = square > 0 ? change / (curvature * square) : 0;
      if (ratio > 1) curvature *= Math.min(4, 1.1 * ratio);
      else if (ratio < 0.7) curvature *= 0.97;
    }
    metric.proximal(place, gradient, curvature, beta, candidate);
    averageWeight += momentum;
    const share = momentum / averageWeight;
    for (let k = 0; k < length; k++) {
      difference[k] = candidate[k] - place[k];
      average[k] += share * (gradient[k] - average[k]);
    }
    averageSum += share * (value.dualSum - averageSum);
    metric.apply(difference, image);
    let turn = 0;
    for (let k = 0; k < length; k++) turn -= image[k] * (candidate[k] - point[k]);
    [previous, point, candidate] = [point, candidate, previous];
    [lastPlace, place] = [place, lastPlace];
    [lastGradient, gradient] = [gradient, lastGradient];
    momentum = next;
    if (turn > 0) {
      momentum = 1;
      previous.set(point);
    }
    steps++;
    if (steps % BLOCK !== 0) continue;
    const goOn = await options.pause();
    const violation = Math.min(largestGroupNorm(lastGradient, width), largestGroupNorm(average, width)) / beta;
    const excess = 1 - 1 / Math.max(1, violation);
    const objective = value.loss + beta * sumOfGroupNorms(lastPlace, width);
    settled = Math.abs(objective - value.dualSum) > 0.5 * value.dualSum * excess;
    if (!goOn || (settled && steps >= 2 * BLOCK)) break;
  }
  return { point, curvature, steps, settled };
}
