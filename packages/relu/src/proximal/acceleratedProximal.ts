// Accelerated proximal gradient with backtracking and adaptive restart (R-FISTA; math.md 13.2, arXiv 2202.01331) for
//   minimise f(t) + beta sum_g ||t_g||_2,   f smooth and convex, groups g of equal length.
// One step: y = t + m (t - t_previous),  t_next = prox(y - grad f(y) / L),  L doubled until
//   f(t_next) <= f(y) + <grad f(y), t_next - y> + L/2 ||t_next - y||_M^2   (M: the metric of sharedMetric.ts),
// momentum dropped when <M (y - t_next), t_next - t> > 0 (O'Donoghue and Candes, arXiv 1204.3982).
// All vectors: [groups * groupLength], taken once from the workspace.

import type { Workspace } from "@worstcase/linalg";
import type { Metric } from "./sharedMetric.js";

export interface SmoothPart {
  /** f at `point`. */
  value(point: Float64Array): number;
  /** f at `point`; writes its gradient. */
  valueAndGradient(point: Float64Array, gradient: Float64Array): number;
}

export interface ProximalState {
  readonly point: Float64Array;
  readonly previous: Float64Array;
  readonly gradient: Float64Array;
  readonly smoothValue: number;
  readonly curvature: number;
  readonly momentum: number;
}

export class AcceleratedProximal {
  point: Float64Array;
  /** Where the last gradient was taken. */
  readonly extrapolated: Float64Array;
  readonly gradient: Float64Array;
  /** Smooth value at `point` after a step. */
  smoothValue = 0;
  /** Inverse step length. */
  curvature: number;
  /** Momentum counter; 1 right after a restart. */
  momentum = 1;
  private readonly metric: Metric;
  private readonly beta: number;
  private previous: Float64Array;
  private candidate: Float64Array;
  private readonly difference: Float64Array;
  private readonly image: Float64Array;

  static sizes(length: number): number[] {
    return [length, length, length, length, length];
  }

  constructor(
    private readonly part: SmoothPart,
    { metric, beta, length }: { readonly metric: Metric; readonly beta: number; readonly length: number },
    workspace: Workspace,
    curvature: number,
  ) {
    this.metric = metric;
    this.beta = beta;
    this.point = workspace.float64(length);
    this.extrapolated = workspace.float64(length);
    this.gradient = workspace.float64(length);
    this.previous = workspace.float64(length);
    this.candidate = workspace.float64(length);
    this.curvature = curvature;
    this.difference = new Float64Array(length);
    this.image = new Float64Array(length);
  }

  /** Forgets the momentum; call it after f or the point was changed. */
  restart(): void {
    this.momentum = 1;
    this.previous.set(this.point);
  }

  state(): ProximalState {
    const { smoothValue, curvature, momentum } = this;
    const { point, previous, gradient } = this;
    const vectors = { point: point.slice(), previous: previous.slice(), gradient: gradient.slice() };
    return { ...vectors, smoothValue, curvature, momentum };
  }

  restore(state: ProximalState): void {
    this.point.set(state.point);
    this.previous.set(state.previous);
    this.gradient.set(state.gradient);
    this.smoothValue = state.smoothValue;
    this.curvature = state.curvature;
    this.momentum = state.momentum;
  }

  /** One accepted step. Returns false when no step length gave a decrease (the point is then unchanged). */
  step(): boolean {
    const { part, metric, beta, extrapolated: y, gradient, difference, image } = this;
    const next = (1 + Math.sqrt(1 + 4 * this.momentum * this.momentum)) / 2;
    const push = (this.momentum - 1) / next;
    for (let k = 0; k < y.length; k++) y[k] = this.point[k] + push * (this.point[k] - this.previous[k]);
    const atY = part.valueAndGradient(y, gradient);
    this.curvature *= 0.95;
    for (let attempt = 0; attempt < 60; attempt++) {
      metric.proximal(y, gradient, this.curvature, beta, this.candidate);
      for (let k = 0; k < y.length; k++) difference[k] = this.candidate[k] - y[k];
      metric.apply(difference, image);
      let linear = 0;
      let square = 0;
      for (let k = 0; k < y.length; k++) {
        linear += gradient[k] * difference[k];
        square += difference[k] * image[k];
      }
      const value = part.value(this.candidate);
      if (value <= atY + linear + (this.curvature / 2) * square + 1e-13 * Math.abs(atY)) {
        this.accept(value, next);
        return true;
      }
      this.curvature *= 2;
    }
    return false;
  }

  private accept(value: number, next: number): void {
    let turn = 0;
    for (let k = 0; k < this.point.length; k++) {
      turn -= this.image[k] * (this.candidate[k] - this.point[k]);
    }
    const spare = this.previous;
    this.previous = this.point;
    this.point = this.candidate;
    this.candidate = spare;
    this.smoothValue = value;
    this.momentum = next;
    if (turn > 0) this.restart();
  }
}

/** sum_g ||t_g||_2 */
export function sumOfGroupNorms(values: Float64Array, groupLength: number): number {
  let total = 0;
  for (let from = 0; from < values.length; from += groupLength) total += groupNorm(values, from, groupLength);
  return total;
}

/** max_g ||t_g||_2 */
export function largestGroupNorm(values: Float64Array, groupLength: number): number {
  let largest = 0;
  for (let from = 0; from < values.length; from += groupLength) {
    largest = Math.max(largest, groupNorm(values, from, groupLength));
  }
  return largest;
}

/** ||values[from .. from + length)||_2 */
export function groupNorm(values: Float64Array, from: number, length: number): number {
  let square = 0;
  for (let k = from; k < from + length; k++) square += values[k] * values[k];
  return Math.sqrt(square);
}
