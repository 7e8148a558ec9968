// Accelerated proximal gradient with backtracking and adaptive restart (R-FISTA; math.md 13.2, arXiv 2202.01331) for
//   minimise f(t) + beta sum_g ||t_g||_2,   f smooth and convex, groups g of equal length.
// One step: y = t + m (t - t_previous),  t_next = prox(y - grad f(y) / L),  L doubled until
//   f(t_next) <= f(y) + <grad f(y), t_next - y> + L/2 ||t_next - y||^2,
// momentum dropped when <y - t_next, t_next - t> > 0 (O'Donoghue and Candes, arXiv 1204.3982).
// All vectors: [groups * groupLength], taken once from the workspace.

import type { Workspace } from "@worstcase/linalg";

export interface SmoothPart {
  /** f at `point`. */
  value(point: Float64Array): number;
  /** f at `point`; writes its gradient. */
  valueAndGradient(point: Float64Array, gradient: Float64Array): number;
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
  private previous: Float64Array;
  private candidate: Float64Array;

  static sizes(length: number): number[] {
    return [length, length, length, length, length];
  }

  constructor(
    private readonly part: SmoothPart,
    private readonly groupLength: number,
    readonly beta: number,
    length: number,
    workspace: Workspace,
    curvature: number,
  ) {
    this.point = workspace.float64(length);
    this.extrapolated = workspace.float64(length);
    this.gradient = workspace.float64(length);
    this.previous = workspace.float64(length);
    this.candidate = workspace.float64(length);
    this.curvature = curvature;
  }

  /** Forgets the momentum; call it after f or the point was changed. */
  restart(): void {
    this.momentum = 1;
    this.previous.set(this.point);
  }

  /** One accepted step. Returns false when no step length gave a decrease (the point is then unchanged). */
  step(): boolean {
    const { part, groupLength, beta, extrapolated: y, gradient } = this;
    const next = (1 + Math.sqrt(1 + 4 * this.momentum * this.momentum)) / 2;
    const push = (this.momentum - 1) / next;
    for (let k = 0; k < y.length; k++) y[k] = this.point[k] + push * (this.point[k] - this.previous[k]);
    const atY = part.valueAndGradient(y, gradient);
    this.curvature *= 0.95;
    for (let attempt = 0; attempt < 60; attempt++) {
      shrinkGroups(y, gradient, this.curvature, beta, groupLength, this.candidate);
      let linear = 0;
      let square = 0;
      for (let k = 0; k < y.length; k++) {
        const step = this.candidate[k] - y[k];
        linear += gradient[k] * step;
        square += step * step;
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
      turn += (this.extrapolated[k] - this.candidate[k]) * (this.candidate[k] - this.point[k]);
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

// out = prox of (beta / L) sum ||.||_2 at y - gradient / L.
function shrinkGroups(
  y: Float64Array,
  gradient: Float64Array,
  curvature: number,
  beta: number,
  groupLength: number,
  out: Float64Array,
): void {
  const threshold = beta / curvature;
  for (let from = 0; from < y.length; from += groupLength) {
    let square = 0;
    for (let k = from; k < from + groupLength; k++) {
      const t = y[k] - gradient[k] / curvature;
      out[k] = t;
      square += t * t;
    }
    const size = Math.sqrt(square);
    const factor = size > threshold ? 1 - threshold / size : 0;
    for (let k = from; k < from + groupLength; k++) out[k] *= factor;
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

function groupNorm(values: Float64Array, from: number, length: number): number {
  let square = 0;
  for (let k = from; k < from + length; k++) square += values[k] * values[k];
  return Math.sqrt(square);
}
