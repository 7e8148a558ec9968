// The restricted master problem of one round: with the attacks held fixed, the network is linear in the sizes t_j of a
// list of atoms (u_j, s_j), and its optimal hinge weights are what the certificate needs:
//   min over t >= 0 of  sum_i kappa_i huber(max over cuts e of sample i of 1 - sum_j t_j H_ej) + beta sum_j t_j
//   H_ej = s_j y_i E[sigma(u_j'z_e)],  z_e the attacked point (or spread attack) of cut e
// A sample has one cut for its present attack and may keep cuts of earlier rounds: where several attacks are worst at once, the
// optimal dual is a mixture of them, and no single attack certifies it. At the optimum the weights p_e, with
// p_e >= 0 and sum over the cuts of i <= kappa_i, satisfy s_j h(u_j) <= beta for every atom in the list, so adding the atoms that
// violate and solving again drives the certificate up (column generation on the dual side).
// Damped Newton with an active set; nothing is allocated per step.

import { type Workspace, workspaceSize } from "@worstcase/linalg";
import { type CutSet, createCutSet } from "./cutSet.js";
import type { AttackState, ObjectiveProblem } from "./objective.js";

const maximumSteps = 40;
/** Cuts looked at at a time, so that what is written stays in the cache. */
const chunk = 1024;
/** Cuts a sample may hold. */
const mostCuts = 32;
/** Gradient at which `solve` stops, relative to beta: the bound loses about this share. */
const precision = 1e-4;

export interface Master {
  readonly count: number;
  /** Sizes t_j of the atoms, `[capacity]`, `count` used. */
  readonly sizes: Float64Array;
  /** Sizes they were loaded with. */
  readonly starts: Float64Array;
  /** Unit directions, `[capacity, d]`, and signs. */
  readonly directions: Float64Array;
  readonly signs: Float64Array;
  readonly cuts: CutSet;
  /** p_e after `solve`, one per cut. */
  readonly weights: Float64Array;
  readonly capacity: number;
  /** Starts over with the neurons (v_j, s_j) as atoms, against the present attack on `samples` and earlier ones that are kept. */
  load(neurons: Float64Array, signs: Float64Array, count: number, attack: AttackState, samples: Int32Array): void;
  /** Adds unit directions with size 0 while there is room; returns how many. */
  add(atoms: readonly { readonly direction: Float64Array; readonly sign: number }[]): number;
  /** Minimises from the present sizes; returns the smoothed value. */
  solve(width: number): number;
}

/** `keptCuts`: cuts of earlier rounds a sample may keep. */
export function createMaster(problem: ObjectiveProblem, keptCuts: () => number): Master {
  const { data, hingeWeights, beta } = problem;
  const { dimension: d, kernels } = data;
  // All cuts of one sample fit.
  const block = Math.max(data.buffers.blockRows, mostCuts);
  const capacity = data.maxNeurons + 64;
  const workspace: Workspace = kernels.workspace(
    workspaceSize(block * capacity, capacity * capacity, capacity * capacity, capacity),
  );
  const gathered = workspace.float64(block * capacity);
  const full = workspace.float64(capacity * capacity);
  const hessian = workspace.float64(capacity * capacity);
  const step = workspace.float64(capacity);
  const directions = new Float64Array(capacity * d);
  const signs = new Float64Array(capacity);
  const sizes = new Float64Array(capacity);
  const starts = new Float64Array(capacity);
  const trial = new Float64Array(capacity);
  const gradient = new Float64Array(capacity);
  const present = new Int32Array(capacity);
  const candidate = new Int32Array(capacity);
  const free = new Int32Array(capacity);
  const cuts = createCutSet(problem, capacity);
  let slack = new Float64Array(0);
  const active = new Int32Array(block);
  const roots = new Float64Array(block);
  const tied = new Int32Array(2 * block);
  let weights = new Float64Array(0);
  let count = 0;
  let candidates = 0;

  /** Value at t; fills slack = 1 - H t. */
  function value(t: Float64Array, width: number): number {
    const { starts: groups, samples } = cuts;
    let total = 0;
    let used = 0;
    for (let j = 0; j < count; j++) {
      total += beta * t[j];
      if (t[j] > 0) present[used++] = j;
    }
    slack.fill(1, 0, cuts.count);
    for (let from = 0; from < cuts.count; from += chunk) {
      const to = Math.min(cuts.count, from + chunk);
      for (let f = 0; f < used; f += 4) subtractColumns(t, f, Math.min(4, used - f), from, to);
    }
    for (let g = 0; g < samples.length; g++) {
      total += hingeWeights[samples[g]] * smoothedMaximum(groups[g], groups[g + 1], width);
    }
    return total;
  }

  /** slack -= t_j H_j over up to four columns j of `present` and the cuts from .. to - 1. */
  function subtractColumns(t: Float64Array, first: number, columns: number, from: number, to: number): void {
    const { table, stride } = cuts;
    if (columns < 4) {
      for (let f = first; f < first + columns; f++) {
        const j = present[f];
        const size = t[j];
        for (let e = from, p = j * stride + from; e < to; e++, p++) slack[e] -= size * table[p];
      }
      return;
    }
    const t0 = t[present[first]];
    const t1 = t[present[first + 1]];
    const t2 = t[present[first + 2]];
    const t3 = t[present[first + 3]];
    const p0 = present[first] * stride;
    const p1 = present[first + 1] * stride;
    const p2 = present[first + 2] * stride;
    const p3 = present[first + 3] * stride;
    for (let e = from; e < to; e++) {
      slack[e] -= t0 * table[p0 + e] + t1 * table[p1 + e] + t2 * table[p2 + e] + t3 * table[p3 + e];
    }
  }

  /**
   * max over q >= 0, sum q <= 1 of q'm - width/2 ||q||^2 over the cuts of one sample: q into `weights`. With one cut this is
   * the Huber hinge.
   */
  function smoothedMaximum(from: number, to: number, width: number): number {
    let threshold = 0;
    let support = 0;
    for (let previous = -1; ; ) {
      let sum = 0;
      support = 0;
      for (let e = from; e < to; e++) {
        if (slack[e] > threshold) {
          sum += slack[e];
          support++;
        }
      }
      if (support === 0 || support === previous) break;
      previous = support;
      const next = (sum - width) / support;
      if (!(next > threshold)) break;
      threshold = next;
    }
    let total = 0;
    for (let e = from; e < to; e++) {
      const m = slack[e];
      const q = m > threshold ? (m - threshold) / width : 0;
      weights[e] = q;
      total += q * (m - 0.5 * width * q);
    }
    return total;
  }

  /** Gradient and weights at the slack last computed. */
  function differentiate(): void {
    const { starts: groups, samples } = cuts;
    for (let g = 0; g < samples.length; g++) {
      const kappa = hingeWeights[samples[g]];
      for (let e = groups[g]; e < groups[g + 1]; e++) weights[e] *= kappa;
    }
    gradient.fill(beta, 0, count);
    for (let from = 0; from < cuts.count; from += chunk) {
      const to = Math.min(cuts.count, from + chunk);
      for (let j = 0; j < count; j += 4) subtractProducts(j, Math.min(4, count - j), from, to);
    }
  }

  /** gradient_j -= p'H_j over up to four columns from `first` on and the cuts from .. to - 1. */
  function subtractProducts(first: number, columns: number, from: number, to: number): void {
    const { table, stride } = cuts;
    if (columns < 4) {
      for (let j = first; j < first + columns; j++) {
        let sum = 0;
        for (let e = from, p = j * stride + from; e < to; e++, p++) sum += weights[e] * table[p];
        gradient[j] -= sum;
      }
      return;
    }
    const p0 = first * stride;
    const p1 = p0 + stride;
    const p2 = p1 + stride;
    const p3 = p2 + stride;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let e = from; e < to; e++) {
      const p = weights[e];
      s0 += p * table[p0 + e];
      s1 += p * table[p1 + e];
      s2 += p * table[p2 + e];
      s3 += p * table[p3 + e];
    }
    gradient[first] -= s0;
    gradient[first + 1] -= s1;
    gradient[first + 2] -= s2;
    gradient[first + 3] -= s3;
  }

  /**
   * Second derivatives over the sizes that may move, at the weights last computed. Cuts with 0 < q < 1 count in full while their
   * sum is below 1; at sum 1 only their differences do.
   */
  function differentiateTwice(width: number): void {
    const { table, stride, starts: groups, samples } = cuts;
    candidates = 0;
    for (let j = 0; j < count; j++) if (sizes[j] > 0 || gradient[j] < 0) candidate[candidates++] = j;
    const m = candidates;
    full.fill(0, 0, m * m);
    let rows = 0;
    let ties = 0;
    const flush = () => {
      if (rows === 0) return;
      for (let f = 0; f < m; f++) {
        const column = candidate[f] * stride;
        for (let row = 0, p = f; row < rows; row++, p += m) gathered[p] = roots[row] * table[column + active[row]];
      }
      // Rows of one sample whose weights add up to its most: only their differences count.
      for (let k = 0; k < ties; k += 2) {
        const [first, last] = [tied[k], tied[k + 1]];
        for (let f = 0; f < m; f++) {
          let mean = 0;
          for (let row = first; row < last; row++) mean += gathered[row * m + f];
          mean /= last - first;
          for (let row = first; row < last; row++) gathered[row * m + f] -= mean;
        }
      }
      workspace.syrk(true, m, rows, 1 / width, gathered, m, 1, full, m);
      rows = 0;
      ties = 0;
    };
    for (let g = 0; g < samples.length; g++) {
      const kappa = hingeWeights[samples[g]];
      if (kappa === 0) continue;
      let sum = 0;
      let support = 0;
      for (let e = groups[g]; e < groups[g + 1]; e++) {
        if (!(weights[e] > 0)) continue;
        sum += weights[e];
        support++;
      }
      const saturated = sum >= kappa * (1 - 1e-12);
      if (support === 0 || (saturated && support === 1)) continue;
      if (rows + support > block) flush();
      const root = Math.sqrt(kappa);
      if (saturated) tied[ties++] = rows;
      for (let e = groups[g]; e < groups[g + 1]; e++) {
        if (!(weights[e] > 0)) continue;
        active[rows] = e;
        roots[rows++] = root;
      }
      if (saturated) tied[ties++] = rows;
    }
    flush();
  }

  /**
   * Damped Newton step over the free sizes into `step`. Sizes at zero that would turn negative leave the free set and the
   * step is taken again, so the direction descends and can be followed. Returns the number of free sizes, 0 for none.
   */
  function newton(damping: number): number {
    let m = candidates;
    for (let f = 0; f < m; f++) present[f] = f;
    while (m > 0) {
      let trace = 0;
      for (let f = 0; f < m; f++) trace += full[present[f] * candidates + present[f]];
      for (let f = 0; f < m; f++) {
        for (let g = 0; g < m; g++) hessian[f * m + g] = full[present[f] * candidates + present[g]];
        hessian[f * m + f] += damping * (trace > 0 ? trace / m : beta);
        free[f] = candidate[present[f]];
        step[f] = -gradient[free[f]];
      }
      if (workspace.potrf(m, hessian, m) !== 0) return -1;
      workspace.trsm("left", false, m, 1, hessian, m, step, 1);
      workspace.trsm("left", true, m, 1, hessian, m, step, 1);
      let kept = 0;
      for (let f = 0; f < m; f++) if (sizes[free[f]] > 0 || step[f] >= 0) present[kept++] = present[f];
      if (kept === m) return m;
      m = kept;
    }
    return 0;
  }

  /** Makes room: atoms that have no size, and had none at first, leave. */
  function dropUnused(): void {
    let kept = 0;
    for (let j = 0; j < count; j++) {
      if (!(sizes[j] > 0 || starts[j] > 0)) continue;
      directions.copyWithin(kept * d, j * d, (j + 1) * d);
      signs[kept] = signs[j];
      sizes[kept] = sizes[j];
      starts[kept] = starts[j];
      cuts.moveColumn(j, kept++);
    }
    count = kept;
  }

  /** Largest violation of the optimality conditions. */
  function violation(): number {
    let worst = 0;
    for (let j = 0; j < count; j++) {
      if (sizes[j] > 0 || gradient[j] < 0) worst = Math.max(worst, Math.abs(gradient[j]));
    }
    return worst;
  }

  return {
    get count() {
      return count;
    },
    sizes,
    starts,
    directions,
    signs,
    cuts,
    get weights() {
      return weights;
    },
    capacity,
    load(neurons, neuronSigns, neuronCount, state, samples) {
      cuts.renew(state, samples, weights, keptCuts());
      if (slack.length < cuts.count) slack = new Float64Array(cuts.count);
      weights = new Float64Array(cuts.count);
      count = 0;
      for (let j = 0; j < neuronCount && count < capacity; j++) {
        let square = 0;
        for (let l = 0; l < d; l++) square += neurons[j * d + l] ** 2;
        if (!(square > 0)) continue;
        const length = Math.sqrt(square);
        for (let l = 0; l < d; l++) directions[count * d + l] = neurons[j * d + l] / length;
        signs[count] = neuronSigns[j];
        sizes[count] = square;
        starts[count] = square;
        count++;
      }
      cuts.fill(directions, signs, 0, count);
    },
    add(atoms) {
      if (count + atoms.length > capacity) dropUnused();
      const before = count;
      for (const { direction, sign } of atoms.slice(0, capacity - count)) {
        directions.set(direction, count * d);
        signs[count] = sign;
        sizes[count] = 0;
        starts[count] = 0;
        count++;
      }
      cuts.fill(directions, signs, before, count);
      return count - before;
    },
    solve(width) {
      let current = value(sizes, width);
      differentiate();
      let damping = 1e-8;
      for (let iteration = 0; iteration < maximumSteps && violation() > precision * beta; iteration++) {
        differentiateTwice(width);
        let moved = false;
        while (!moved && damping < 1e6) {
          const m = newton(damping);
          if (m === 0) break;
          moved = m > 0 && follow(m);
          damping = moved ? Math.max(1e-10, 0.1 * damping) : 100 * damping;
        }
        if (!moved) break;
        differentiate();
      }
      // The trial points of the line search spoil the slack and the weights.
      value(sizes, width);
      differentiate();
      return current;

      /** Goes along the step, at most to the first bound; false when no decrease was found. */
      function follow(m: number): boolean {
        let longest = 1;
        let slope = 0;
        for (let f = 0; f < m; f++) {
          slope += gradient[free[f]] * step[f];
          if (step[f] < 0) longest = Math.min(longest, -sizes[free[f]] / step[f]);
        }
        for (let length = longest, search = 0; search < 12; search++, length *= 0.4) {
          trial.set(sizes);
          for (let f = 0; f < m; f++) {
            const j = free[f];
            const next = sizes[j] + length * step[f];
            // The size that blocks ends at exactly zero.
            trial[j] = next > 1e-14 * sizes[j] ? next : 0;
          }
          const next = value(trial, width);
          if (next <= current + 1e-4 * length * slope && next < current) {
            sizes.set(trial);
            current = next;
            return true;
          }
        }
        return false;
      }
    },
  };
}
