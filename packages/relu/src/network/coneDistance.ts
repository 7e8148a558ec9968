// How much of a vector h a robust cone lets through: min over gamma of ||h + sum_j gamma_j a_j||_2, gamma >= 0, where the a_j are the vectors
// s_i x_i - z with ||z||_q <= radius that generate the dual cone. By Moreau this is the length of the projection of h on the cone, and a gate p
// cannot improve the objective while it stays at most beta for h_p and -h_p (math.md 13.6 with cone multipliers).
// Any gamma gives an upper bound. Fully corrective: add the generator most violated by the present residual (worst sample with its worst z),
// then least squares over the generators kept, dropping those whose weight turns negative (Lawson and Hanson's method for r = 0).

import { lengthOf } from "../ballSupport.js";
import type { ReluProgram } from "../program/program.js";

export class ConeDistance {
  /** After `measure`: h + sum gamma_j a_j, the projection of h on the cone if the search went to its end. */
  readonly residual: Float64Array;
  private readonly generators: Float64Array;
  private readonly weights: Float64Array;
  private readonly gram: Float64Array;
  private readonly target: Float64Array;
  private readonly factor: Float64Array;
  private readonly solution: Float64Array;
  private readonly capacity: number;

  constructor(
    private readonly program: ReluProgram,
    private readonly rows: Int32Array,
  ) {
    const { width } = program;
    this.capacity = width + 2;
    this.residual = new Float64Array(width);
    this.generators = new Float64Array(this.capacity * width);
    this.weights = new Float64Array(this.capacity);
    this.gram = new Float64Array(this.capacity ** 2);
    this.factor = new Float64Array(this.capacity ** 2);
    this.target = new Float64Array(this.capacity);
    this.solution = new Float64Array(this.capacity);
  }

  /** An upper bound of the distance, exact up to rounding unless it is at most `enough` already, where the search stops. */
  measure(p: number, h: Float64Array, from: number, sign: number, enough: number): number {
    const { program, residual, generators, weights, gram, target, capacity } = this;
    const { width } = program;
    for (let k = 0; k < width; k++) residual[k] = sign * h[from + k];
    let count = 0;
    let best = lengthOf(residual, 0, width, 2);
    const whole = best;
    for (let round = 0; round < 6 * capacity && best > enough; round++) {
      if (count === capacity || !this.worstGenerator(p, count * width, 1e-12 * whole)) break;
      for (let j = 0; j <= count; j++) {
        let product = 0;
        for (let k = 0; k < width; k++) product += generators[j * width + k] * generators[count * width + k];
        gram[j * capacity + count] = product;
        gram[count * capacity + j] = product;
      }
      let along = 0;
      for (let k = 0; k < width; k++) along -= sign * h[from + k] * generators[count * width + k];
      target[count] = along;
      weights[count] = 0;
      count = this.leastSquares(count + 1);
      for (let k = 0; k < width; k++) {
        let total = sign * h[from + k];
        for (let j = 0; j < count; j++) total += weights[j] * generators[j * width + k];
        residual[k] = total;
      }
      const next = lengthOf(residual, 0, width, 2);
      if (!(next < best * (1 - 1e-13))) break;
      best = next;
    }
    return best;
  }

  // Writes s_i x_i - z for the sample and z that the residual violates most; false when it violates none.
  private worstGenerator(p: number, to: number, tolerance: number): boolean {
    const { program, rows, residual, generators } = this;
    const { width, featureCount, inputs, bits, gateCount, radius, dualExponent } = program;
    let least = Number.POSITIVE_INFINITY;
    let at = -1;
    for (const i of rows) {
      let score = 0;
      for (let k = 0; k < width; k++) score += inputs[i * width + k] * residual[k];
      if (bits[i * gateCount + p] === 0) score = -score;
      if (score < least) {
        least = score;
        at = i;
      }
    }
    const size = radius > 0 ? lengthOf(residual, 0, featureCount, dualExponent) : 0;
    if (at < 0 || least - radius * size >= -tolerance) return false;
    const sign = bits[at * gateCount + p] === 0 ? -1 : 1;
    for (let k = 0; k < width; k++) generators[to + k] = sign * inputs[at * width + k];
    if (size > 0) this.subtractSupport(to, size);
    return true;
  }

  // generators[to ..) -= z with z'residual = radius ||residual||_{q*}, ||z||_q <= radius
  private subtractSupport(to: number, size: number): void {
    const { program, residual, generators } = this;
    const { featureCount, dualExponent, radius } = program;
    let left = true;
    for (let k = 0; k < featureCount; k++) {
      const t = residual[k];
      if (t === 0) continue;
      if (dualExponent === Number.POSITIVE_INFINITY) {
        if (left && Math.abs(t) === size) {
          generators[to + k] -= radius * Math.sign(t);
          left = false;
        }
      } else generators[to + k] -= radius * Math.sign(t) * (Math.abs(t) / size) ** (dualExponent - 1);
    }
  }

  // Nonnegative least squares over the first `count` generators from feasible weights; returns how many are kept.
  private leastSquares(count: number): number {
    const { weights, solution } = this;
    let kept = count;
    while (kept > 0) {
      if (!this.solveNormal(kept)) {
        kept--; // the newest generator depends on the others
        continue;
      }
      let step = 1;
      let worst = -1;
      for (let j = 0; j < kept; j++) {
        if (solution[j] > 0) continue;
        const to = weights[j] / (weights[j] - solution[j]);
        if (!(to >= step)) {
          step = Number.isFinite(to) ? to : 0;
          worst = j;
        }
      }
      for (let j = 0; j < kept; j++) weights[j] += step * (solution[j] - weights[j]);
      if (worst < 0) break;
      kept = this.remove(worst, kept);
    }
    return kept;
  }

  private solveNormal(count: number): boolean {
    const { gram, factor, target, solution, capacity } = this;
    for (let i = 0; i < count; i++) {
      for (let j = 0; j <= i; j++) {
        let total = gram[i * capacity + j];
        for (let k = 0; k < j; k++) total -= factor[i * capacity + k] * factor[j * capacity + k];
        if (i > j) factor[i * capacity + j] = total / factor[j * capacity + j];
        else if (total > 1e-14 * gram[i * capacity + i]) factor[i * capacity + i] = Math.sqrt(total);
        else return false;
      }
      let total = target[i];
      for (let k = 0; k < i; k++) total -= factor[i * capacity + k] * solution[k];
      solution[i] = total / factor[i * capacity + i];
    }
    for (let i = count - 1; i >= 0; i--) {
      let total = solution[i];
      for (let k = i + 1; k < count; k++) total -= factor[k * capacity + i] * solution[k];
      solution[i] = total / factor[i * capacity + i];
    }
    return true;
  }

  private remove(index: number, count: number): number {
    const { generators, weights, gram, target, capacity, program } = this;
    const { width } = program;
    generators.copyWithin(index * width, (index + 1) * width, count * width);
    weights.copyWithin(index, index + 1, count);
    target.copyWithin(index, index + 1, count);
    for (let i = 0; i < count; i++)
      gram.copyWithin(i * capacity + index, i * capacity + index + 1, i * capacity + count);
    gram.copyWithin(index * capacity, (index + 1) * capacity, count * capacity);
    return count - 1;
  }
}
