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
  const travel = new Float64Array(length);
  const value: TeamValue = { smooth: 0, loss: 0, dualSum: 0 };
  let { curvature } = options;
  let momentum = 1;
  let averageWeight = 0;
  let steps = 0;
  let settled = false;
  while (steps < mostSteps && length > 0) {
    const next = (1 + Math.sqrt(1 + 4 * momentum * momentum)) / 2;
    const push = (momentum - 1) / next;
    extrapolate(point, previous, push, place);
    team.evaluate(place, smoothing, gradient, value);
    if (steps > 0) {
      subtract(place, lastPlace, difference);
      const change = dotOfChange(gradient, lastGradient, difference);
      const square = metric.inner(difference, difference);
      const ratio = square > 0 ? change / (curvature * square) : 0;
      if (ratio > 1) curvature *= Math.min(4, 1.1 * ratio);
      else if (ratio < 0.7) curvature *= 0.97;
    }
    metric.proximal(place, gradient, curvature, beta, candidate);
    averageWeight += momentum;
    const share = momentum / averageWeight;
    subtract(place, candidate, difference);
    subtract(candidate, point, travel);
    follow(gradient, share, average);
    const turn = metric.inner(difference, travel);
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

// Loops of their own: those inside an asynchronous function start uncompiled after every wait.

function extrapolate(point: Float64Array, previous: Float64Array, push: number, out: Float64Array): void {
  for (let k = 0; k < out.length; k++) out[k] = point[k] + push * (point[k] - previous[k]);
}

function subtract(a: Float64Array, b: Float64Array, out: Float64Array): void {
  for (let k = 0; k < out.length; k++) out[k] = a[k] - b[k];
}

function dotOfChange(a: Float64Array, b: Float64Array, direction: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < direction.length; k++) sum += (a[k] - b[k]) * direction[k];
  return sum;
}

function follow(value: Float64Array, share: number, average: Float64Array): void {
  for (let k = 0; k < average.length; k++) average[k] += share * (value[k] - average[k]);
}
