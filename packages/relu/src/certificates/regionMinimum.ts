// Minimum of a linear form over a ball cut by half-spaces, some of them soft, with a bound that holds whatever the accuracy:
//   minimise over ||z||_q <= r   c + a'z + sum_{soft j} cap_j max(0, -(e_j'z + f_j))    subject to  e_j'z + f_j >= 0 for hard j
//   dual, 0 <= lambda_j <= cap_j (no cap for hard j):   D(lambda) = c - f'lambda - r ||a - E'lambda||_{q*}
// Every admissible lambda gives a lower bound D; D has no limit when the region is empty. Newton's method on the dual with barriers for the
// ball and for lambda needs no feasible start, and its z lies strictly inside the ball and, near the optimum, inside the half-spaces.
// Cost of a step: m^2 d + m^3 / 3 for m half-spaces.
// e: rows [m, d], f: [m], caps: [m]

import { ballSupport, lengthOf, normExponent, type PerturbationNorm } from "../ballSupport.js";
import { BallBarrier } from "./ballBarrier.js";

/** A linear form with half-spaces. `rows` are given by reference and not changed. */
export interface Region {
  constant: number;
  readonly form: Float64Array;
  readonly rows: Float64Array[];
  readonly offsets: number[];
  /** Infinity for a hard half-space. */
  readonly caps: number[];
}

export interface RegionMinimum {
  /** No point of the region has a smaller value (rounding included). */
  lower: number;
  /** Best point seen, `[d]`, strictly inside the ball; a view that the next call overwrites. Not in the region when that is empty. */
  readonly point: Float64Array;
}

const MOST_STEPS = 120;
const MU_DECREASE = 0.06;
/** Below this share of the scale z is lost to rounding: it depends on (a - E'lambda) / mu. */
const LEAST_MU = 1e-10;
const ROUNDING = 1e-13;

export class RegionSolver {
  private readonly exponent: number;
  private readonly barrier: BallBarrier;
  private readonly w: Float64Array;
  private readonly best: Float64Array;
  private readonly corrected: Float64Array;
  private lambda = new Float64Array(8);
  private slope = new Float64Array(8);
  private matrix = new Float64Array(64);

  constructor(
    private readonly norm: PerturbationNorm,
    private readonly radius: number,
    private readonly length: number,
  ) {
    this.exponent = normExponent(norm);
    this.barrier = new BallBarrier(norm, radius, length);
    this.w = new Float64Array(length);
    this.best = new Float64Array(length);
    this.corrected = new Float64Array(length);
  }

  /** Solves to a gap of `tolerance`, or stops as soon as the lower bound reaches `cutoff`. Needs radius > 0. */
  minimise(region: Region, tolerance: number, cutoff: number): RegionMinimum {
    const m = region.rows.length;
    const { barrier } = this;
    this.reserve(m);
    const scale = this.start(region);
    const result = { lower: this.dualValue(region), point: this.best };
    let upper = Number.POSITIVE_INFINITY;
    let mu = 0.1 * scale;
    for (let step = 0; step < MOST_STEPS && result.lower < cutoff; step++) {
      this.combine(region);
      barrier.evaluate(this.w, mu);
      const decrement = m === 0 ? 0 : this.newtonDirection(region, mu);
      if (decrement < 0.25) {
        const value = this.primalValue(region);
        if (value <= upper) {
          upper = value;
          this.best.set(this.corrected);
        }
        if (upper - result.lower <= tolerance || mu < LEAST_MU * scale) break;
        mu *= MU_DECREASE;
        if (m === 0 || decrement < 1e-3) continue;
        this.follow(region);
      } else this.advance(region, mu, decrement);
      result.lower = Math.max(result.lower, this.dualValue(region));
    }
    return result;
  }

  private start(region: Region): number {
    const { norm, radius, length } = this;
    let scale = ballSupport(region.form, 0, length, norm, radius);
    for (let j = 0; j < region.rows.length; j++) {
      const reach = ballSupport(region.rows[j], 0, length, norm, radius);
      if (region.caps[j] < Number.POSITIVE_INFINITY) scale = Math.max(scale, region.caps[j] * reach);
    }
    scale ||= Number.MIN_VALUE ** 0.25;
    for (let j = 0; j < region.rows.length; j++) {
      const reach = ballSupport(region.rows[j], 0, length, norm, radius) || 1;
      this.lambda[j] = Math.min(region.caps[j] / 2, (0.1 * scale) / reach);
    }
    return scale;
  }

  /** w = a - E'lambda */
  private combine({ form, rows }: Region): void {
    const { w, lambda, length } = this;
    w.set(form);
    for (let j = 0; j < rows.length; j++) {
      const row = rows[j];
      for (let k = 0; k < length; k++) w[k] -= lambda[j] * row[k];
    }
  }

  private dualValue(region: Region): number {
    const { lambda, norm, radius, length } = this;
    this.combine(region);
    const support = ballSupport(this.w, 0, length, norm, radius);
    let value = region.constant - support;
    let size = Math.abs(region.constant) + support + ballSupport(region.form, 0, length, norm, radius);
    for (let j = 0; j < region.rows.length; j++) {
      value -= lambda[j] * region.offsets[j];
      size += lambda[j] * (Math.abs(region.offsets[j]) + ballSupport(region.rows[j], 0, length, norm, radius));
    }
    return value - ROUNDING * size;
  }

  /**
   * Value at z + M E' slope, the point of the Newton step: for a decrement below 1 it lies in the ball and in the hard half-spaces. Infinity
   * where rounding left it outside of one.
   */
  private primalValue({ constant, form, rows, offsets, caps }: Region): number {
    const { slope, corrected, length } = this;
    const { z, diagonal, direction, factor } = this.barrier;
    corrected.fill(0);
    for (let j = 0; j < rows.length; j++) {
      for (let k = 0; k < length; k++) corrected[k] += slope[j] * rows[j][k];
    }
    let share = 0;
    for (let k = 0; k < length; k++) share += direction[k] * corrected[k];
    if (factor === 0) share = 0;
    let value = constant;
    for (let k = 0; k < length; k++) {
      corrected[k] = z[k] + diagonal[k] * corrected[k] - factor * share * direction[k];
      value += form[k] * corrected[k];
    }
    if (lengthOf(corrected, 0, length, this.exponent) > this.radius) return Number.POSITIVE_INFINITY;
    for (let j = 0; j < rows.length; j++) {
      let room = offsets[j];
      for (let k = 0; k < length; k++) room += rows[j][k] * corrected[k];
      if (room < 0) value -= caps[j] * room;
    }
    return value;
  }

  /** The full Newton step, which a decrement below 1 keeps inside 0 < lambda < cap. */
  private follow({ rows }: Region): void {
    for (let j = 0; j < rows.length; j++) this.lambda[j] += this.slope[j];
  }

  /** Leaves the Newton direction in `slope`; returns the squared Newton decrement over mu. */
  private newtonDirection({ rows, offsets, caps }: Region, mu: number): number {
    const m = rows.length;
    const { length, lambda, slope, matrix } = this;
    const { z, diagonal, direction, factor } = this.barrier;
    for (let i = 0; i < m; i++) {
      const row = rows[i];
      let opening = 0;
      let share = 0;
      for (let k = 0; k < length; k++) {
        opening += row[k] * z[k];
        share += row[k] * direction[k];
      }
      const rest = caps[i] - lambda[i];
      slope[i] = -offsets[i] - opening + mu / lambda[i] - mu / rest;
      this.shares[i] = share;
      for (let j = 0; j <= i; j++) {
        const other = rows[j];
        let sum = 0;
        for (let k = 0; k < length; k++) sum += row[k] * diagonal[k] * other[k];
        matrix[i * m + j] = sum - factor * share * this.shares[j];
      }
      matrix[i * m + i] += mu / (lambda[i] * lambda[i]) + mu / (rest * rest);
    }
    let decrement = 0;
    this.gradient.set(slope.subarray(0, m));
    solveInPlace(matrix, slope, m);
    for (let i = 0; i < m; i++) decrement += this.gradient[i] * slope[i];
    return Math.max(0, decrement / mu);
  }

  // Step along `slope` with backtracking on the barrier function; stays inside 0 < lambda < cap.
  private advance(region: Region, mu: number, decrement: number): void {
    const { caps, rows } = region;
    const { lambda, slope, barrier } = this;
    let share = 1;
    for (let j = 0; j < rows.length; j++) {
      const room = slope[j] > 0 ? caps[j] - lambda[j] : lambda[j];
      if (share * Math.abs(slope[j]) > 0.95 * room) share = (0.95 * room) / Math.abs(slope[j]);
    }
    const before = this.barrierValue(region, mu);
    let taken = 0;
    for (let trial = 0; trial < 30; trial++) {
      for (let j = 0; j < rows.length; j++) lambda[j] += (share - taken) * slope[j];
      taken = share;
      this.combine(region);
      barrier.evaluate(this.w, mu);
      if (this.barrierValue(region, mu) >= before + 0.1 * share * mu * decrement - 1e-14 * Math.abs(before)) return;
      share /= 2;
    }
  }

  // -f'lambda - S(a - E'lambda) + mu sum log lambda + mu sum log(cap - lambda), with S from the last evaluation
  private barrierValue({ rows, offsets, caps }: Region, mu: number): number {
    let value = -this.barrier.value;
    for (let j = 0; j < rows.length; j++) {
      value += mu * Math.log(this.lambda[j]) - this.lambda[j] * offsets[j];
      if (caps[j] < Number.POSITIVE_INFINITY) value += mu * Math.log(caps[j] - this.lambda[j]);
    }
    return value;
  }

  private shares = new Float64Array(8);
  private gradient = new Float64Array(8);

  private reserve(m: number): void {
    if (m <= this.lambda.length) return;
    const size = 2 * m;
    this.lambda = new Float64Array(size);
    this.slope = new Float64Array(size);
    this.shares = new Float64Array(size);
    this.gradient = new Float64Array(size);
    this.matrix = new Float64Array(size * size);
  }
}

/** Solves A x = b in place by Cholesky, A [m, m] with its lower triangle; pivots that rounding made not positive are raised. */
function solveInPlace(a: Float64Array, b: Float64Array, m: number): void {
  for (let j = 0; j < m; j++) {
    const before = a[j * m + j];
    for (let k = 0; k < j; k++) a[j * m + j] -= a[j * m + k] * a[j * m + k];
    const pivot = Math.sqrt(Math.max(a[j * m + j], 1e-14 * before, Number.MIN_VALUE));
    a[j * m + j] = pivot;
    for (let i = j + 1; i < m; i++) {
      for (let k = 0; k < j; k++) a[i * m + j] -= a[i * m + k] * a[j * m + k];
      a[i * m + j] /= pivot;
    }
  }
  for (let i = 0; i < m; i++) {
    for (let k = 0; k < i; k++) b[i] -= a[i * m + k] * b[k];
    b[i] /= a[i * m + i];
  }
  for (let i = m - 1; i >= 0; i--) {
    for (let k = i + 1; k < m; k++) b[i] -= a[k * m + i] * b[k];
    b[i] /= a[i * m + i];
  }
}
