// Points inside bounds by v = middle + half tanh(w), minimised over w with Adam (Kingma and Ba 2015, arXiv 1412.6980).
//   m <- 0.9 m + 0.1 g,  s <- 0.999 s + 0.001 g^2,  w <- w - a (m / (1 - 0.9^t)) / (sqrt(s / (1 - 0.999^t)) + 1e-8),  g = dL/dv dv/dw
// Without bounds v = w. w, m, s, points: [samples, size]

import type { Bounds, NumericBatch } from "@worstcase/core";
import { sampleSize } from "@worstcase/core";
import type { Values } from "../perturbationSet.js";

/** Inputs are drawn this much towards the middle, so that w stays finite at the bounds. */
const inset = 0.999999;

export class TanhBox {
  readonly points: Values;
  private readonly w: Float64Array;
  private readonly start: Float64Array;
  private readonly m: Float64Array;
  private readonly s: Float64Array;
  private readonly size: number;
  private readonly middle: number;
  private readonly half: number;
  private readonly low: number;
  private readonly high: number;
  private readonly bounded: boolean;

  constructor(
    inputs: NumericBatch,
    bounds: Bounds,
    private readonly stepSize: number,
  ) {
    this.bounded = bounds !== "unbounded";
    this.middle = bounds === "unbounded" ? 0 : (bounds.lower + bounds.upper) / 2;
    this.half = bounds === "unbounded" ? 1 : (bounds.upper - bounds.lower) / 2;
    this.low = bounds === "unbounded" ? Number.NEGATIVE_INFINITY : bounds.lower;
    this.high = bounds === "unbounded" ? Number.POSITIVE_INFINITY : bounds.upper;
    this.size = sampleSize(inputs);
    this.points = inputs.data.slice();
    this.start = Float64Array.from(inputs.data, (x) => {
      const place = Math.max(-1, Math.min(1, (x - this.middle) / this.half));
      return this.bounded ? Math.atanh(inset * place) : x;
    });
    this.w = this.start.slice();
    this.m = new Float64Array(this.w.length);
    this.s = new Float64Array(this.w.length);
  }

  /** Back to the samples, with an empty memory. */
  reset(): void {
    this.w.set(this.start);
    this.m.fill(0);
    this.s.fill(0);
  }

  /** Computes row i of `points`. */
  write(i: number): void {
    const { w, points, middle, half, bounded } = this;
    for (let k = i * this.size; k < (i + 1) * this.size; k++) {
      // kept to the bounds also after rounding
      if (bounded) points[k] = Math.max(this.low, Math.min(this.high, middle + half * Math.tanh(w[k])));
      else points[k] = w[k];
    }
  }

  /** Adam step t (from 1) of row i, from the gradient with respect to its point, `[size]`. */
  step(i: number, gradient: Float64Array, t: number): void {
    const { w, m, s, half, bounded, size } = this;
    const first = 1 - 0.9 ** t;
    const second = 1 - 0.999 ** t;
    for (let k = 0; k < size; k++) {
      const at = i * size + k;
      const inner = bounded ? half * (1 - Math.tanh(w[at]) ** 2) : 1;
      const g = gradient[k] * inner;
      m[at] = 0.9 * m[at] + 0.1 * g;
      s[at] = 0.999 * s[at] + 0.001 * g * g;
      w[at] -= (this.stepSize * (m[at] / first)) / (Math.sqrt(s[at] / second) + 1e-8);
    }
  }
}
