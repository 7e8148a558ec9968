// Splits a gated piece t = v - w with v and w in the robust cone of its pattern (math.md 13.2, 13.3), so that t becomes two ReLU neurons:
//   K = {u : s_i x_i'u >= r ||u||_{q*} for all i},  s_i = 2 d_i - 1,  the constant coordinate not in the norm
//   exact        minimise ||v||_2 + ||w||_2.  With sums fixed, ||v|| + ||w|| <= (||v||^2/a + a + ||w||^2/b + b)/2 (equality at a = ||v||, b = ||w||),
//                whose minimiser over w is the projection of -theta t, theta = b/(a + b), on {w : w and t + w in K}: repeated until theta rests.
//                For r > 0 the cones enter by cuts s_i x_i'u >= r z'u, z a subgradient of the norm at the last u, added where violated.
//                What the tolerance leaves is repaired by moving v and w together along an interior direction e of K, so v - w stays t.
//   approximate  the same with the rows softened by penalty/2 (shortfall)^2: exists always, leaves a shortfall in the cones
// inputs: [n, D]   signs s: [n]   t, v, w: [D]

import { ballSupport, type PerturbationNorm, smoothedSupport } from "../ballSupport.js";
import { projectOnPolyhedron } from "./polyhedronProjection.js";

export interface ConeData {
  readonly inputs: Float64Array;
  readonly signs: Int8Array;
  readonly width: number;
  /** Coordinates that perturbations move, the first ones. */
  readonly featureCount: number;
  readonly norm: PerturbationNorm;
  readonly radius: number;
}

export interface Decomposition {
  /** `exact`: both parts lie in the cone. `approximate`: they miss it by `shortfall`. */
  readonly status: "exact" | "approximate";
  readonly v: Float64Array;
  readonly w: Float64Array;
  /** max over samples and both parts of r ||u||_{q*} - s_i x_i'u, at least 0. */
  readonly shortfall: number;
}

const MOST_ROUNDS = 60;
const REST = 1e-9;

/** r ||u||_{q*} - min_i s_i x_i'u, at least 0: how far u is from the cone. */
export function coneShortfall(cone: ConeData, u: Float64Array): number {
  const { inputs, signs, width, featureCount, norm, radius } = cone;
  const reach = ballSupport(u, 0, featureCount, norm, radius);
  let short = 0;
  for (let i = 0; i < signs.length; i++) {
    let sum = 0;
    for (let k = 0; k < width; k++) sum += inputs[i * width + k] * u[k];
    short = Math.max(short, reach - signs[i] * sum);
  }
  return short;
}

/** The best split; null when t is not in the cone, nor -t, and no strictly interior direction is given. */
export function decomposeExactly(cone: ConeData, t: Float64Array, interior: Float64Array | null): Decomposition | null {
  const opposite = t.map((value) => -value);
  const zero = new Float64Array(t.length);
  if (coneShortfall(cone, t) === 0) return { status: "exact", v: t.slice(), w: zero, shortfall: 0 };
  if (coneShortfall(cone, opposite) === 0) return { status: "exact", v: zero, w: opposite, shortfall: 0 };
  if (!interior) return null;
  const w = split(cone, t, Number.POSITIVE_INFINITY);
  const v = w.map((value, k) => value + t[k]);
  const room = margin(cone, interior);
  for (let attempt = 0; attempt < 60; attempt++) {
    const shortfall = Math.max(coneShortfall(cone, v), coneShortfall(cone, w));
    if (shortfall === 0) return { status: "exact", v, w, shortfall: 0 };
    const step = (shortfall * 2 ** attempt * (1 + 1e-9)) / room;
    for (let k = 0; k < w.length; k++) {
      w[k] += step * interior[k];
      v[k] = w[k] + t[k];
    }
  }
  return null;
}

/** The penalised split. */
export function decomposeApproximately(cone: ConeData, t: Float64Array, penalty: number): Decomposition {
  const w = split(cone, t, penalty);
  const v = w.map((value, k) => value + t[k]);
  const shortfall = Math.max(coneShortfall(cone, v), coneShortfall(cone, w));
  return { status: shortfall === 0 ? "exact" : "approximate", v, w, shortfall };
}

function split(cone: ConeData, t: Float64Array, penalty: number): Float64Array {
  const { radius } = cone;
  const cuts = new Cuts(cone, t);
  let theta = 0.5;
  let w: Float64Array = new Float64Array(t.length);
  let last = Number.POSITIVE_INFINITY;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const target = t.map((value) => -theta * value);
    const projection = projectOnPolyhedron(cuts.rows(), cuts.bounds(), target, penalty);
    w = projection.point;
    const v = w.map((value, k) => value + t[k]);
    const [a, b] = [Math.hypot(...v), Math.hypot(...w)];
    if (radius > 0) cuts.forget(projection.multipliers, penalty < Number.POSITIVE_INFINITY);
    const added = radius > 0 ? cuts.add(v, t) + cuts.add(w, null) : 0;
    const next = a + b > 0 ? b / (a + b) : 0.5;
    if (added === 0 && (Math.abs(next - theta) <= REST || Math.abs(a + b - last) <= REST * (a + b))) break;
    theta = next;
    last = a + b;
  }
  return w;
}

/** Rows in w: those of the plain cone for w and t + w, and cuts of the norm. */
class Cuts {
  private readonly list: Float64Array[] = [];
  private readonly limits: number[] = [];
  private readonly slope: Float64Array;

  constructor(
    private readonly cone: ConeData,
    t: Float64Array,
  ) {
    const { inputs, signs, width, featureCount } = cone;
    this.slope = new Float64Array(featureCount);
    for (let i = 0; i < signs.length; i++) {
      const row = inputs.slice(i * width, (i + 1) * width);
      if (signs[i] < 0) negate(row, 0, width);
      let own = 0;
      for (let k = 0; k < width; k++) own += row[k] * t[k];
      this.list.push(row);
      this.limits.push(Math.max(0, -own)); // s_i x_i'w >= 0 and s_i x_i'(t + w) >= 0 in one
    }
  }

  rows(): Float64Array {
    const { width } = this.cone;
    const all = new Float64Array(this.list.length * width);
    this.list.forEach((row, i) => {
      all.set(row, i * width);
    });
    return all;
  }

  bounds(): Float64Array {
    return Float64Array.from(this.limits);
  }

  /** Drops old cuts: those without a multiplier, or all of them when they are soft (the same cut twice would weigh twice). */
  forget(multipliers: Float64Array, all: boolean): void {
    const { signs } = this.cone;
    let to = signs.length;
    for (let i = signs.length; i < this.list.length; i++) {
      if (all || multipliers[i] === 0) continue;
      this.list[to] = this.list[i];
      this.limits[to++] = this.limits[i];
    }
    this.list.length = to;
    this.limits.length = to;
  }

  /** Cuts for u = w + shift where its cone is violated; returns how many. */
  add(u: Float64Array, shift: Float64Array | null): number {
    const { inputs, signs, width, featureCount, norm, radius } = this.cone;
    const reach = ballSupport(u, 0, featureCount, norm, radius);
    if (reach === 0) return 0;
    // subgradient r z of the norm: the maximiser over the ball, with a smoothing too small to matter
    smoothedSupport(u, 0, featureCount, norm, radius, 1e-9 * (reach / radius / radius), this.slope);
    let added = 0;
    for (let i = 0; i < signs.length; i++) {
      let sum = 0;
      for (let k = 0; k < width; k++) sum += signs[i] * inputs[i * width + k] * u[k];
      if (reach - sum <= 1e-9 * reach) continue;
      const row = inputs.slice(i * width, (i + 1) * width);
      if (signs[i] < 0) negate(row, 0, width);
      for (let k = 0; k < featureCount; k++) row[k] -= this.slope[k];
      let limit = 0;
      if (shift) for (let k = 0; k < width; k++) limit -= row[k] * shift[k];
      this.list.push(row);
      this.limits.push(limit);
      added++;
    }
    return added;
  }
}

function margin(cone: ConeData, u: Float64Array): number {
  const { inputs, signs, width, featureCount, norm, radius } = cone;
  const reach = ballSupport(u, 0, featureCount, norm, radius);
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < signs.length; i++) {
    if (radius === 0 && isZero(inputs, i * width, width)) continue; // always in the cone
    let sum = 0;
    for (let k = 0; k < width; k++) sum += inputs[i * width + k] * u[k];
    least = Math.min(least, signs[i] * sum - reach);
  }
  return least;
}

function negate(values: Float64Array, from: number, length: number): void {
  for (let k = from; k < from + length; k++) values[k] = -values[k];
}

function isZero(values: Float64Array, from: number, length: number): boolean {
  for (let k = from; k < from + length; k++) if (values[k] !== 0) return false;
  return true;
}
