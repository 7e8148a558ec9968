// The shortest step d from a point t to a hyperplane inside bounds (Croce and Hein 2020, arXiv 1907.02044, section 3.1):
//   minimise ||d||  subject to  w . d = gap,  low <= t + d <= high
// Every coordinate moves in the direction s_k = sign(gap w_k), at most by its room r_k. With a scalar a >= 0
//   linf: |d_k| = min(a, r_k)        l2: |d_k| = min(a |w_k|, r_k)        l1: coordinates in order of falling |w_k|, each to its room
// For linf and l2 the reached gap is concave and increasing in a, so the active-set iteration "once at its bound, always at its
// bound" ends at the solution. When the hyperplane cannot be reached, every coordinate goes to its bound.

import type { Bounds, Norm } from "@worstcase/core";

export class HyperplaneStep {
  /** The step, `[size]`; overwritten by the next call. */
  readonly step: Float64Array;
  private readonly room: Float64Array;
  private readonly low: number;
  private readonly high: number;

  constructor(
    private readonly size: number,
    private readonly norm: Norm,
    bounds: Bounds,
  ) {
    this.step = new Float64Array(size);
    this.room = new Float64Array(size);
    this.low = bounds === "unbounded" ? Number.NEGATIVE_INFINITY : bounds.lower;
    this.high = bounds === "unbounded" ? Number.POSITIVE_INFINITY : bounds.upper;
  }

  /** Solves for the point at `from` in `points` and the normal at `at` in `normals`. Returns the norm of the step. */
  solve(points: ArrayLike<number>, from: number, normals: ArrayLike<number>, at: number, gap: number): number {
    const { size, step, room } = this;
    const direction = Math.sign(gap);
    step.fill(0);
    if (direction === 0) return 0;
    for (let k = 0; k < size; k++) {
      const move = direction * normals[at + k];
      const t = points[from + k];
      room[k] = move === 0 ? 0 : Math.max(0, move > 0 ? this.high - t : t - this.low);
    }
    if (this.norm === "l1") this.greedy(normals, at, Math.abs(gap));
    else this.capped(normals, at, Math.abs(gap));
    let length = 0;
    for (let k = 0; k < size; k++) {
      const magnitude = step[k];
      step[k] *= direction * Math.sign(normals[at + k]);
      if (this.norm === "linf") length = Math.max(length, magnitude);
      else length += this.norm === "l1" ? magnitude : magnitude * magnitude;
    }
    return this.norm === "l2" ? Math.sqrt(length) : length;
  }

  /** Magnitudes min(a u_k, r_k) with u_k = 1 (linf) or |w_k| (l2) and sum |w_k| min(a u_k, r_k) = gap. */
  private capped(normals: ArrayLike<number>, at: number, gap: number): void {
    const { size, step, room } = this;
    const linf = this.norm === "linf";
    let a = 0;
    for (let pass = 0; pass <= size; pass++) {
      let reached = 0;
      let slope = 0;
      for (let k = 0; k < size; k++) {
        const w = Math.abs(normals[at + k]);
        const unit = linf ? 1 : w;
        if (w === 0) continue;
        if (a * unit >= room[k]) reached += w * room[k];
        else slope += w * unit;
      }
      if (slope === 0) {
        a = Number.POSITIVE_INFINITY;
        break;
      }
      const next = (gap - reached) / slope;
      if (!(next > a * (1 + 1e-15))) break;
      a = next;
    }
    for (let k = 0; k < size; k++) {
      const w = Math.abs(normals[at + k]);
      step[k] = w === 0 ? 0 : Math.min(a * (linf ? 1 : w), room[k]);
    }
  }

  private greedy(normals: ArrayLike<number>, at: number, gap: number): void {
    const { size, step, room } = this;
    const order = Array.from({ length: size }, (_, k) => k);
    order.sort((a, b) => Math.abs(normals[at + b]) - Math.abs(normals[at + a]) || a - b);
    let left = gap;
    for (const k of order) {
      const w = Math.abs(normals[at + k]);
      if (left <= 0 || w === 0) break;
      step[k] = Math.min(room[k], left / w);
      left -= w * step[k];
    }
  }
}
