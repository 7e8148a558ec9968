// The samples of the barrier trainer of l-infinity certificates (math.md 12.1, 24 F, appendix A). In the coordinates t of a
// sample's box, z = x + centre + half t, the margin 1 - slack is certified by multipliers nu > 0 when
//   M = [[y H + diag nu, y g], [y g', y f(x + centre) + slack - 1 - sum nu]] > 0,   slack > 0,
// with curvature y H and slope y g linear in the weights S. The local variables v = (nu, slack) are eliminated from every Newton step:
//   P = M^-1,  R = T P,  K = R T',  T = [[half, x + centre], [0, 1]],  local Hessian B'(P o P)B + 1 / v^2,  B v = (nu; slack - sum nu).
// d features, m free coordinates of a box, q = d + 1; S and its lift are symmetric [q, q].

import type { NumericBatch } from "@worstcase/core";
import { type Kernels, workspaceSize } from "@worstcase/linalg";
import type { Quadratic } from "../quadratic.js";
import { bestStep } from "./bestStep.js";
import { allocateBoxProblem, type BoxAdversary, loadBoxProblem } from "./boxProblem.js";

/** Shrinks every move by more than its rounding, so that attacks stay in their boxes. */
const inside = 1 - 1e-12;
/** Newton steps of one sample's own variables, and the decrement where they end. */
const ownSteps = 60;
const ownCentre = 0.02;

export interface BoxBlocks {
  /** Complementarity pairs of all samples. */
  readonly degree: number;
  /** The minimiser of the barrier for weight t of the objective while S = 0. */
  start(t: number): void;
  /** sum kappa slack: an upper bound of the loss of the present weights. */
  loss(): number;
  /** t loss minus the logarithms at the lift plus `step` of the last direction; +Infinity outside. */
  barrier(t: number, lift: Quadratic, step: number): number;
  /**
   * Prepares P at the lift, with every sample's own variables moved to where its barrier is least: steps that all samples share
   * would be held up by the few that lie next to their boundaries. False when some M is not positive definite.
   */
  setPoint(t: number, lift: Quadratic): boolean;
  /**
   * Adds to raw derivatives over pairs of entries: gradient -y (K + sum w r r') and Hessian (K K + K K) / 2 less what the local
   * variables take. pairs: row and column of each of the N entries.
   */
  addDerivatives(t: number, pairs: Int32Array, gradient: Float64Array, hessian: Float64Array): void;
  /** The local changes that go with a change of the lift; returns gradient times direction, the samples' part of -decrement^2. */
  setDirection(t: number, change: Quadratic): number;
  /** The attacks of the last point and direction: sum p y E[(z;1)(z;1)'] `[q, q]`, sum p, sum p |z|^2. */
  moments(t: number, lifted: Float64Array): { mass: number; squares: number };
  advance(step: number): void;
}

export function createBoxBlocks(
  points: NumericBatch,
  labels: Float64Array,
  kappa: Float64Array,
  boxes: BoxAdversary,
  kernels: Kernels,
): BoxBlocks {
  const [n, d] = points.shape as [number, number];
  const q = d + 1;
  const order = q * q;
  const entries = (q * (q + 1)) / 2;
  const problem = allocateBoxProblem(d);
  const workspace = kernels.workspace(workspaceSize(order, order, order, order, q, q * entries, entries * entries));
  const [factor, unit, inverseOut, local] = Array.from({ length: 4 }, () => workspace.float64(order));
  const column = workspace.float64(q);
  const cross = workspace.float64(q * entries);
  const sum = workspace.float64(entries * entries);
  const [lower, upper] = [new Float64Array(d), new Float64Array(d)];
  // Per sample: free coordinates, P, Cholesky factor of the local Hessian, dM of the last direction, (nu, slack) and its change.
  const sizes = new Int32Array(n);
  const inverses = new Float64Array(n * order);
  const locals = new Float64Array(n * order);
  const changes = new Float64Array(n * order);
  const variables = new Float64Array(n * q);
  const directions = new Float64Array(n * q);
  const reach = new Float64Array(order);
  const lifted = new Float64Array(order);
  const product = new Float64Array(order);
  const spread = new Float64Array(q);
  const base = new Float64Array(order);
  const trial = new Float64Array(q);
  const used = kappa.map((weight) => (weight > 0 ? 1 : 0));
  const zero: Quadratic = { dimension: d, Q: new Float64Array(d * d), q: new Float64Array(d), s: 0 };
  let degree = 0;
  for (let i = 0; i < n; i++) {
    load(i, zero);
    sizes[i] = problem.size;
    if (used[i]) degree += 2 * problem.size + 2;
  }

  function load(i: number, score: Quadratic): void {
    boxes.boxAt(points, i, lower, upper);
    loadBoxProblem(problem, score, points.data, i * d, labels[i], lower, upper);
  }

  /** The part of M that is linear in S, `[m + 1, m + 1]`. */
  function blockOf(out: Float64Array, at: number): void {
    const { size: m, curvature, slope, value } = problem;
    const p = m + 1;
    for (let a = 0; a < m; a++) {
      for (let b = 0; b < m; b++) out[at + a * p + b] = curvature[a * m + b];
      out[at + a * p + m] = slope[a];
      out[at + m * p + a] = slope[a];
    }
    out[at + p * p - 1] = value;
  }

  /** Adds diag(nu; slack - sum nu) of values at `from`. */
  function addLocal(out: Float64Array, at: number, m: number, values: Float64Array, from: number, share = 1): void {
    const p = m + 1;
    for (let a = 0; a < m; a++) {
      out[at + a * p + a] += share * values[from + a];
      out[at + p * p - 1] -= share * values[from + a];
    }
    out[at + p * p - 1] += share * values[from + m];
  }

  /** R = T X of a symmetric X `[m + 1, m + 1]` into `reach`, then T X T' into `lifted`; `load` must have been called for i. */
  function lift(i: number, m: number, matrix: Float64Array, at: number, share: number): void {
    const p = m + 1;
    const { half, centre, index } = problem;
    for (let l = 0; l < d; l++) {
      const offset = points.data[i * d + l] + centre[l];
      for (let b = 0; b < p; b++) reach[l * p + b] = offset * matrix[at + m * p + b];
    }
    for (let a = 0; a < m; a++) {
      const l = index[a];
      for (let b = 0; b < p; b++) reach[l * p + b] += share * half[l] * matrix[at + a * p + b];
    }
    for (let b = 0; b < p; b++) reach[d * p + b] = matrix[at + m * p + b];
    for (let k = 0; k < q; k++) {
      for (let l = 0; l < d; l++) {
        lifted[k * q + l] = reach[k * p + m] * (points.data[i * d + l] + centre[l]);
      }
      for (let a = 0; a < m; a++) lifted[k * q + index[a]] += share * half[index[a]] * reach[k * p + a];
      lifted[k * q + d] = reach[k * p + m];
    }
  }

  return {
    degree,
    start(t) {
      for (let i = 0; i < n; i++) {
        if (!used[i]) continue;
        const m = sizes[i];
        // nu = 2 u, slack = 1 + (2 m + 1) u with t kappa = 1 / u + 1 / slack, u the slack of the corner.
        let [low, high] = [0, 2 / (t * kappa[i])];
        for (let step = 0; step < 60; step++) {
          const u = 0.5 * (low + high);
          if (1 / u + 1 / (1 + (2 * m + 1) * u) > t * kappa[i]) low = u;
          else high = u;
        }
        variables.fill(2 * high, i * q, i * q + m);
        variables[i * q + m] = 1 + (2 * m + 1) * high;
      }
    },
    loss() {
      let total = 0;
      for (let i = 0; i < n; i++) if (used[i]) total += kappa[i] * variables[i * q + sizes[i]];
      return total;
    },
    barrier(t, score, step) {
      let total = 0;
      for (let i = 0; i < n; i++) {
        if (!used[i]) continue;
        load(i, score);
        blockOf(base, 0);
        total += ownBarrier(t, i, step);
        if (total === Number.POSITIVE_INFINITY) break;
      }
      return total;
    },
    setPoint(t, score) {
      for (let i = 0; i < n; i++) {
        if (!used[i]) continue;
        load(i, score);
        blockOf(base, 0);
        for (let step = 0; step < ownSteps; step++) {
          if (!invert(i)) return false;
          if (!ownDirection(t, i)) return false;
          let square = 0;
          for (let a = 0; a <= sizes[i]; a++) {
            directions[i * q + a] = column[a];
            square -= column[a] * localGradient(t, i, a);
          }
          const decrement = Math.sqrt(Math.max(0, square));
          if (process.env.DBG2 && step > 40 && step < 46)
            process.stderr.write(
              `i ${i} step ${step} dec ${decrement} t*kappa ${t * kappa[i]} v ${Array.from(variables.subarray(i * q, i * q + sizes[i] + 1)).map((x) => x.toExponential(2))} dv ${Array.from(column.subarray(0, sizes[i] + 1)).map((x) => x.toExponential(2))} Pd ${Array.from({ length: sizes[i] + 1 }, (_, a) => inverses[i * order + a * (sizes[i] + 1) + a].toExponential(2))}\n`,
            );
          if (decrement < ownCentre) break;
          const length = decrement < 0.25 ? 1 : bestStep((share) => ownBarrier(t, i, share), decrement);
          if (length === 0) break;
          for (let a = 0; a <= sizes[i]; a++) variables[i * q + a] += length * column[a];
        }
      }
      return true;
    },
    addDerivatives(t, pairs, gradient, hessian) {
      sum.fill(0);
      for (let i = 0; i < n; i++) {
        if (!used[i]) continue;
        const m = sizes[i];
        const p = m + 1;
        const at = i * order;
        load(i, zero);
        lift(i, m, inverses, at, 1);
        if (!ownDirection(t, i)) {
          gradient.fill(Number.NaN);
          return;
        }
        for (let a = 0; a < p; a++) column[a] = -column[a];
        let all = 0;
        for (let a = 0; a < m; a++) all += column[a];
        const y = labels[i];
        for (let e = 0; e < entries; e++) {
          const [k, l] = [pairs[2 * e], pairs[2 * e + 1]];
          const last = reach[k * p + m] * reach[l * p + m];
          let drift = lifted[k * q + l] + (column[m] - all) * last;
          for (let a = 0; a < m; a++) {
            const own = reach[k * p + a] * reach[l * p + a];
            drift += column[a] * own;
            cross[a * entries + e] = own - last;
          }
          cross[m * entries + e] = last;
          gradient[e] -= y * drift;
        }
        workspace.trsm("left", false, p, entries, local, p, cross, entries);
        workspace.syrk(true, entries, p, -1, cross, entries, 1, sum, entries);
        for (let e = 0; e < entries; e++) {
          const rowK = pairs[2 * e] * q;
          const rowL = pairs[2 * e + 1] * q;
          for (let g = 0, h = e * entries; g <= e; g++) {
            const [k, l] = [pairs[2 * g], pairs[2 * g + 1]];
            hessian[h + g] += 0.5 * (lifted[rowK + k] * lifted[rowL + l] + lifted[rowK + l] * lifted[rowL + k]);
          }
        }
      }
      for (let e = 0; e < entries; e++) {
        for (let g = 0; g <= e; g++) hessian[e * entries + g] += sum[e * entries + g];
      }
    },
    setDirection(t, change) {
      let along = 0;
      for (let i = 0; i < n; i++) {
        if (!used[i]) continue;
        const m = sizes[i];
        const p = m + 1;
        const at = i * order;
        load(i, change);
        blockOf(changes, at);
        const own = inverses.subarray(at, at + p * p);
        // diag(P dM P) and <P, dM> of the change of S alone
        for (let a = 0; a < p; a++) {
          let total = 0;
          for (let b = 0; b < p; b++) {
            let entry = 0;
            for (let c = 0; c < p; c++) entry += changes[at + b * p + c] * own[c * p + a];
            total += own[a * p + b] * entry;
            along -= own[a * p + b] * changes[at + b * p + a];
          }
          spread[a] = total;
        }
        for (let a = 0; a < p; a++) {
          column[a] = -localGradient(t, i, a) - (a < m ? spread[a] - spread[m] : spread[m]);
        }
        local.set(locals.subarray(at, at + p * p));
        workspace.trsv(false, p, local, p, column);
        workspace.trsv(true, p, local, p, column);
        for (let a = 0; a < p; a++) {
          directions[i * q + a] = column[a];
          along += column[a] * localGradient(t, i, a);
        }
        addLocal(changes, at, m, directions, i * q);
      }
      return along;
    },
    moments(t, out) {
      out.fill(0);
      let mass = 0;
      let squares = 0;
      for (let i = 0; i < n; i++) {
        if (!used[i]) continue;
        const m = sizes[i];
        const p = m + 1;
        const at = i * order;
        load(i, zero);
        // X = P - P dM P, exactly feasible for the linear equations of the dual when the direction is a full Newton step
        for (let a = 0; a < p; a++) {
          for (let b = 0; b < p; b++) {
            let entry = 0;
            for (let c = 0; c < p; c++) entry += changes[at + a * p + c] * inverses[at + c * p + b];
            product[a * p + b] = entry;
          }
        }
        for (let a = 0; a < p; a++) {
          for (let b = 0; b <= a; b++) {
            let entry = inverses[at + a * p + b];
            for (let c = 0; c < p; c++) entry -= inverses[at + a * p + c] * product[c * p + b];
            unit[a * p + b] = entry;
            unit[b * p + a] = entry;
          }
        }
        const corner = unit[p * p - 1];
        // Rounding, or a direction that was no Newton step: back into the box, and below kappa.
        for (let a = 0; a < m; a++) {
          const excess = unit[a * p + a] / corner;
          if (!(excess > 1)) continue;
          const back = 1 / Math.sqrt(excess);
          for (let b = 0; b < p; b++) {
            unit[a * p + b] *= back;
            unit[b * p + a] *= back;
          }
        }
        const weight = Math.min(1 / t, kappa[i] / corner);
        lift(i, m, unit, 0, inside);
        for (let e = 0; e < order; e++) out[e] += labels[i] * weight * lifted[e];
        for (let l = 0; l < d; l++) squares += weight * lifted[l * q + l];
        mass += weight * corner;
      }
      return { mass, squares };
    },
    advance(step) {
      for (let i = 0; i < n * q; i++) variables[i] += step * directions[i];
    },
  };

  /** Barrier of one sample at its variables plus `share` of their direction; `base` must hold the block of S. */
  function ownBarrier(t: number, i: number, share: number): number {
    const m = sizes[i];
    const p = m + 1;
    let total = 0;
    for (let a = 0; a < p; a++) {
      const value = variables[i * q + a] + share * directions[i * q + a];
      if (!(value > 0)) return Number.POSITIVE_INFINITY;
      trial[a] = value;
      total -= Math.log(value);
    }
    total += t * kappa[i] * trial[m];
    factor.set(base.subarray(0, p * p));
    addLocal(factor, 0, m, trial, 0);
    factor[p * p - 1] -= 1;
    if (workspace.potrf(p, factor, p) !== 0) return Number.POSITIVE_INFINITY;
    for (let a = 0; a < p; a++) total -= 2 * Math.log(factor[a * p + a]);
    return total;
  }

  /** P of one sample; false when M is not positive definite. `base` must hold the block of S. */
  function invert(i: number): boolean {
    const m = sizes[i];
    const p = m + 1;
    factor.set(base.subarray(0, p * p));
    addLocal(factor, 0, m, variables, i * q);
    factor[p * p - 1] -= 1;
    if (workspace.potrf(p, factor, p) !== 0) return false;
    unit.fill(0, 0, p * p);
    for (let a = 0; a < p; a++) unit[a * p + a] = 1;
    workspace.trsm("left", false, p, p, factor, p, unit, p);
    workspace.syrk(true, p, p, 1, unit, p, 0, inverseOut, p);
    inverses.set(inverseOut.subarray(0, p * p), i * order);
    return true;
  }

  /** Newton direction of one sample's variables into `column`, the factor of B'(P o P)B + diag(1 / v^2) into `local` and `locals`. */
  function ownDirection(t: number, i: number): boolean {
    const m = sizes[i];
    const p = m + 1;
    const at = i * order;
    const corner = inverses[at + p * p - 1] ** 2;
    for (let a = 0; a < p; a++) {
      for (let b = 0; b <= a; b++) {
        const last = inverses[at + m * p + b] ** 2;
        let entry = inverses[at + a * p + b] ** 2;
        if (a < m) entry += corner - last - inverses[at + m * p + a] ** 2;
        else if (b < m) entry -= corner;
        local[a * p + b] = entry;
      }
      local[a * p + a] += 1 / variables[i * q + a] ** 2;
      column[a] = -localGradient(t, i, a);
    }
    if (workspace.potrf(p, local, p) !== 0) return false;
    locals.set(local.subarray(0, p * p), at);
    workspace.trsv(false, p, local, p, column);
    workspace.trsv(true, p, local, p, column);
    return true;
  }

  function localGradient(t: number, i: number, a: number): number {
    const m = sizes[i];
    const p = m + 1;
    const at = i * order;
    const corner = inverses[at + p * p - 1];
    const own = variables[i * q + a];
    return a === m ? t * kappa[i] - corner - 1 / own : corner - inverses[at + a * p + a] - 1 / own;
  }
}
