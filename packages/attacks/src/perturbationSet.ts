// The points an attack may choose for each sample: { v : ||v - x|| <= epsilon } intersected with the model's bounds.
//   linf: a box per coordinate, so projection is clamping.
//   l2:   the projection of x + z is x + clip(s z), where clip keeps the bounds and s <= 1 is the largest scale with
//         ||clip(s z)|| <= epsilon (KKT conditions of ball and box). With s unlimited the same formula is the point that
//         maximises a linear function with gradient z. s comes from an active set: once clipped, always clipped.
//   l1:   soft thresholding inside the bounds (l1Ball.ts).
// Points are stored in the number type of the inputs and rounded inwards, so that the measured distance keeps to the budget.
// origin: [samples, size]

import { type Bounds, type Budget, type NumericBatch, type Rng, sampleCount, sampleSize } from "@worstcase/core";
import { projectionThreshold, steepestDisplacement } from "./l1Ball.js";

export type Values = Float32Array | Float64Array;

/** Measured distances may exceed epsilon by this relative amount, for rounding. */
export const budgetTolerance = 1e-6;

export class PerturbationSet {
  readonly size: number;
  private readonly origin: Values;
  private readonly epsilon: number;
  /** linf: `[samples * size]`; else one value per end, the same for every coordinate. */
  private readonly lower: Values;
  private readonly upper: Values;
  private readonly delta: Float64Array;
  /** l1: distance of every coordinate to its bound in the direction of `delta`, and a displacement. */
  private readonly room: Float64Array;
  private readonly spent: Float64Array;
  private readonly norm: Budget["norm"];

  constructor(inputs: NumericBatch, budget: Budget, bounds: Bounds) {
    this.size = sampleSize(inputs);
    this.origin = inputs.data;
    this.epsilon = budget.epsilon;
    this.norm = budget.norm;
    this.delta = new Float64Array(this.size);
    this.room = new Float64Array(budget.norm === "l1" ? this.size : 0);
    this.spent = new Float64Array(this.room.length);
    const count = budget.norm === "linf" ? sampleCount(inputs) * this.size : 1;
    this.lower = emptyLike(inputs.data, count);
    this.upper = emptyLike(inputs.data, count);
    const low = bounds === "unbounded" ? Number.NEGATIVE_INFINITY : bounds.lower;
    const high = bounds === "unbounded" ? Number.POSITIVE_INFINITY : bounds.upper;
    if (budget.norm === "linf") this.fillBox(low, high);
    else {
      this.lower[0] = low;
      this.upper[0] = high;
    }
  }

  private fillBox(low: number, high: number): void {
    const { origin, lower, upper, epsilon } = this;
    for (let k = 0; k < origin.length; k++) {
      const x = origin[k];
      lower[k] = Math.max(low, x - epsilon);
      upper[k] = Math.min(high, x + epsilon);
      if (x - lower[k] > epsilon) lower[k] = inwards(lower, k, x, epsilon);
      if (upper[k] - x > epsilon) upper[k] = inwards(upper, k, x, epsilon);
      if (lower[k] > x) lower[k] = x;
      if (upper[k] < x) upper[k] = x;
    }
  }

  /** Writes the point of the set farthest along `direction` (row `from`), the worst case of a linear loss, into row `to`. */
  steepest(direction: Values, from: number, target: Values, to: number, sample: number, rng: () => Rng): void {
    const { size } = this;
    if (this.norm === "linf") {
      const base = sample * size;
      for (let k = 0; k < size; k++) {
        const g = direction[from * size + k];
        target[to * size + k] = g > 0 ? this.upper[base + k] : g < 0 ? this.lower[base + k] : this.origin[base + k];
      }
      return;
    }
    this.loadDirection(direction, from, rng);
    if (this.norm === "l1") {
      this.measureRoom(sample);
      steepestDisplacement(this.delta, this.room, this.epsilon, this.spent);
      this.delta.set(this.spent);
    }
    this.place(target, to, sample, Number.POSITIVE_INFINITY);
  }

  /** Moves row `row` by a step of this length along `direction` (sign for linf, else unit vector in l2) and projects it. */
  step(
    points: Values,
    row: number,
    direction: Values,
    from: number,
    length: number,
    sample: number,
    rng: () => Rng,
  ): void {
    const { size, delta } = this;
    if (this.norm === "linf") {
      for (let k = 0; k < size; k++) {
        const g = direction[from * size + k];
        points[row * size + k] += g > 0 ? length : g < 0 ? -length : 0;
      }
    } else {
      const scale = length / this.loadDirection(direction, from, rng);
      for (let k = 0; k < size; k++)
        delta[k] = points[row * size + k] + scale * delta[k] - this.origin[sample * size + k];
      this.place(points, row, sample, 1);
      return;
    }
    this.project(points, row, sample);
  }

  /** Moves row `row` to the nearest point of the set, in Euclidean distance. */
  project(points: Values, row: number, sample: number): void {
    const { size, delta } = this;
    const base = sample * size;
    if (this.norm === "linf") {
      for (let k = 0; k < size; k++) {
        const value = points[row * size + k];
        const low = this.lower[base + k];
        const high = this.upper[base + k];
        points[row * size + k] = value < low ? low : Math.min(value, high);
      }
      return;
    }
    for (let k = 0; k < size; k++) delta[k] = points[row * size + k] - this.origin[base + k];
    this.place(points, row, sample, 1);
  }

  /** A uniformly random point of the ball, projected onto the bounds. */
  random(target: Values, to: number, sample: number, rng: Rng): void {
    const { size, delta } = this;
    if (this.norm === "linf") {
      const base = sample * size;
      for (let k = 0; k < size; k++) {
        const low = this.lower[base + k];
        target[to * size + k] = low + (this.upper[base + k] - low) * rng.uniform();
      }
      this.project(target, to, sample);
      return;
    }
    // directions by the cone measure of the ball: normal coordinates for l2, signed exponential ones for l1
    const cross = this.norm === "l1";
    for (let k = 0; k < size; k++) delta[k] = cross ? signedExponential(rng) : rng.normal();
    const radius = this.epsilon * rng.uniform() ** (1 / size);
    const scale = radius / (cross ? sumOfMagnitudes(delta) : lengthOf(delta));
    for (let k = 0; k < size; k++) delta[k] *= scale;
    this.place(target, to, sample, 1);
  }

  /** A random point near the edge: a uniform (linf) or normal vector (l2) of length epsilon; a normal one projected (l1). */
  edge(target: Values, to: number, sample: number, rng: Rng): void {
    const { size, delta, epsilon } = this;
    const base = sample * size;
    for (let k = 0; k < size; k++) delta[k] = this.norm === "linf" ? 2 * rng.uniform() - 1 : rng.normal();
    if (this.norm === "l1") {
      this.place(target, to, sample, 1);
      return;
    }
    let length = 0;
    if (this.norm === "l2") length = lengthOf(delta);
    else for (let k = 0; k < size; k++) length = Math.max(length, Math.abs(delta[k]));
    const scale = epsilon / (length || 1);
    for (let k = 0; k < size; k++) target[to * size + k] = this.origin[base + k] + scale * delta[k];
    this.project(target, to, sample);
  }

  private measureRoom(sample: number): void {
    const { size, delta, origin, room } = this;
    for (let k = 0; k < size; k++) {
      const x = origin[sample * size + k];
      room[k] = Math.max(0, delta[k] > 0 ? this.upper[0] - x : x - this.lower[0]);
    }
  }

  /** Puts the direction into `delta`; a zero direction becomes a random one. Returns its length. */
  private loadDirection(direction: Values, from: number, rng: () => Rng): number {
    const { size, delta } = this;
    for (let k = 0; k < size; k++) delta[k] = direction[from * size + k];
    const length = lengthOf(delta);
    if (length > 0) return length;
    const source = rng();
    for (let k = 0; k < size; k++) delta[k] = source.normal();
    return lengthOf(delta);
  }

  /** Writes x + clip(s * delta) with the largest s <= limit that keeps to the budget, as measured after rounding. */
  private place(target: Values, to: number, sample: number, limit: number): void {
    if (this.norm === "l1") {
      this.placeThresholded(target, to, sample);
      return;
    }
    let scale = this.largestScale(sample * this.size, limit);
    for (let attempt = 0; attempt < 20; attempt++) {
      const distance = this.write(target, to, sample, scale);
      if (distance <= this.epsilon * (1 + budgetTolerance / 2)) return;
      scale *= (this.epsilon / distance) * (1 - 1e-7 * 2 ** attempt);
    }
    target.set(this.origin.subarray(sample * this.size, (sample + 1) * this.size), to * this.size);
  }

  /** Writes the projection of x + delta onto the l1 ball and the bounds, with a larger threshold where rounding asks for it. */
  private placeThresholded(target: Values, to: number, sample: number): void {
    const { size, delta, epsilon } = this;
    this.measureRoom(sample);
    for (let attempt = 0; attempt < 20; attempt++) {
      const allowed = attempt === 0 ? epsilon : epsilon * (1 - 1e-7 * 2 ** attempt);
      const t = projectionThreshold(delta, this.room, allowed);
      for (let k = 0; k < size; k++) delta[k] = Math.sign(delta[k]) * Math.max(0, Math.abs(delta[k]) - t);
      if (this.write(target, to, sample, 1) <= epsilon * (1 + budgetTolerance / 2)) return;
    }
    target.set(this.origin.subarray(sample * size, (sample + 1) * size), to * size);
  }

  private largestScale(base: number, limit: number): number {
    const { size, delta, origin, epsilon } = this;
    const low = this.lower[0];
    const high = this.upper[0];
    const length = lengthOf(delta);
    if (length === 0) return 0;
    let scale = epsilon / length;
    for (let pass = 0; pass < size; pass++) {
      if (scale >= limit) return limit;
      let clipped = 0;
      let free = 0;
      for (let k = 0; k < size; k++) {
        const room = Math.max(0, delta[k] > 0 ? high - origin[base + k] : origin[base + k] - low);
        if (scale * Math.abs(delta[k]) >= room) clipped += room * room;
        else free += delta[k] * delta[k];
      }
      if (free === 0) break;
      const larger = Math.sqrt(Math.max(0, epsilon * epsilon - clipped) / free);
      if (!(larger > scale * (1 + 1e-14))) break;
      scale = larger;
    }
    return Math.min(scale, limit);
  }

  /** Writes x + clip(scale * delta) and returns the measured distance. */
  private write(target: Values, to: number, sample: number, scale: number): number {
    const { size, delta, origin } = this;
    const low = this.lower[0];
    const high = this.upper[0];
    let total = 0;
    for (let k = 0; k < size; k++) {
      const x = origin[sample * size + k];
      const wanted = x + scale * delta[k];
      // bounds that the inputs themselves exceed by a rounding error stay where the inputs are
      const value = wanted < low ? Math.min(low, x) : wanted > high ? Math.max(high, x) : wanted;
      target[to * size + k] = value;
      const difference = target[to * size + k] - x;
      total += this.norm === "l1" ? Math.abs(difference) : difference * difference;
    }
    return this.norm === "l1" ? total : Math.sqrt(total);
  }
}

/** A zero array of the same number type. */
export function emptyLike(values: Values, length: number): Values {
  return values instanceof Float64Array ? new Float64Array(length) : new Float32Array(length);
}

/** The next representable values from `values[k]` towards `x`, until the distance is at most epsilon. */
function inwards(values: Values, k: number, x: number, epsilon: number): number {
  const spacing = values instanceof Float64Array ? 2 ** -52 : 2 ** -23;
  const direction = Math.sign(x - values[k]);
  for (let attempt = 0; attempt < 4; attempt++) {
    values[k] += direction * Math.abs(values[k]) * spacing;
    if (Math.abs(values[k] - x) <= epsilon || Math.sign(x - values[k]) !== direction) break;
  }
  return Math.sign(x - values[k]) === direction && Math.abs(values[k] - x) <= epsilon ? values[k] : x;
}

function lengthOf(vector: Float64Array): number {
  let total = 0;
  for (let k = 0; k < vector.length; k++) total += vector[k] * vector[k];
  return Math.sqrt(total);
}

function signedExponential(rng: Rng): number {
  const sign = rng.uniform() < 0.5 ? -1 : 1;
  return -sign * Math.log(1 - rng.uniform());
}

function sumOfMagnitudes(vector: Float64Array): number {
  let total = 0;
  for (let k = 0; k < vector.length; k++) total += Math.abs(vector[k]);
  return total;
}
