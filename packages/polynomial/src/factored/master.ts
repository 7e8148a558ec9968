// The restricted master problem of one round: with the attacks held fixed, the network is linear in the sizes t_j of a
// list of atoms (u_j, s_j), and its optimal hinge weights are what the certificate needs:
//   min over t >= 0 of  sum_i kappa_i huber(1 - sum_j t_j H_ij) + beta sum_j t_j,   H_ij = s_j y_i E[sigma(u_j'z_i)]
// At the optimum p_i = kappa_i clip((1 - (Ht)_i)/width, 0, 1) satisfies s_j h(u_j) <= beta for every atom in the list, so
// adding the atoms that violate and solving again drives the certificate up (column generation on the dual side).
// Damped Newton with an active set on a handful of variables; nothing is allocated per step.

import { type Workspace, workspaceSize } from "@worstcase/linalg";
import type { AttackState, ObjectiveProblem } from "./objective.js";

const block = 256;
const maximumSteps = 40;
/** Gradient at which `solve` stops, relative to beta: the bound loses about this share. */
const precision = 1e-4;

export interface Master {
  readonly count: number;
  /** Sizes t_j of the atoms, `[count]` used. */
  readonly sizes: Float64Array;
  /** Unit directions, `[capacity, d]`, and signs. */
  readonly directions: Float64Array;
  readonly signs: Float64Array;
  /** p_i after `solve`, `[n]` */
  readonly weights: Float64Array;
  readonly capacity: number;
  /** Starts over with the neurons (v_j, s_j) as atoms, against the present attack. */
  load(neurons: Float64Array, signs: Float64Array, count: number, attack: AttackState): void;
  /** Adds a unit direction with size 0; returns false when full. */
  add(direction: Float64Array, sign: number): boolean;
  /** Minimises from the present sizes; returns the smoothed value. */
  solve(width: number): number;
}

export function createMaster(problem: ObjectiveProblem): Master {
  const { data, labels, hingeWeights, beta, activation } = problem;
  const { samples: n, dimension: d, kernels } = data;
  const { points, moves, basis } = data.buffers;
  const capacity = data.maxNeurons + 64;
  const workspace: Workspace = kernels.workspace(
    workspaceSize(block * capacity, capacity * capacity, capacity * capacity, capacity),
  );
  const gathered = workspace.float64(block * capacity);
  const full = workspace.float64(capacity * capacity);
  const hessian = workspace.float64(capacity * capacity);
  const step = workspace.float64(capacity);
  const table = new Float64Array(n * capacity);
  const directions = new Float64Array(capacity * d);
  const signs = new Float64Array(capacity);
  const sizes = new Float64Array(capacity);
  const trial = new Float64Array(capacity);
  const gradient = new Float64Array(capacity);
  const present = new Int32Array(capacity);
  const candidate = new Int32Array(capacity);
  const free = new Int32Array(capacity);
  const slack = new Float64Array(n);
  const weights = new Float64Array(n);
  const projection = new Float64Array(data.dimension);
  let attack: AttackState | null = null;
  let count = 0;
  let candidates = 0;

  /** Fills column j of the table. */
  function fill(j: number): void {
    const { rank, variances } = attack as AttackState;
    const u = directions.subarray(j * d, (j + 1) * d);
    for (let k = 0; k < rank; k++) {
      projection[k] = 0;
      for (let l = 0; l < d; l++) projection[k] += basis[k * d + l] * u[l];
    }
    const { a, b, c } = activation;
    for (let i = 0; i < n; i++) {
      let t = 0;
      for (let l = 0, p = i * d; l < d; l++) t += points[p + l] * u[l];
      let spread = 0;
      for (let k = 0, p = i * rank; k < rank; k++) t += moves[p + k] * projection[k];
      if (variances) for (let k = 0, p = i * rank; k < rank; k++) spread += variances[p + k] * projection[k] ** 2;
      table[i * capacity + j] = signs[j] * labels[i] * (a * (t * t + spread) + b * t + c);
    }
  }

  /** Value at t; fills slack = 1 - H t. */
  function value(t: Float64Array, width: number): number {
    let total = 0;
    let used = 0;
    for (let j = 0; j < count; j++) {
      total += beta * t[j];
      if (t[j] > 0) present[used++] = j;
    }
    for (let i = 0; i < n; i++) {
      let m = 1;
      for (let f = 0, p = i * capacity; f < used; f++) m -= t[present[f]] * table[p + present[f]];
      slack[i] = m;
      if (m > 0) total += hingeWeights[i] * (m < width ? (0.5 * m * m) / width : m - 0.5 * width);
    }
    return total;
  }

  /** Gradient and weights at the slack last computed. */
  function differentiate(width: number): void {
    for (let j = 0; j < count; j++) gradient[j] = beta;
    for (let i = 0; i < n; i++) {
      const p = slack[i] <= 0 ? 0 : hingeWeights[i] * Math.min(1, slack[i] / width);
      weights[i] = p;
      if (p > 0) for (let j = 0, q = i * capacity; j < count; j++) gradient[j] -= p * table[q + j];
    }
  }

  /** Second derivatives over the sizes that may move, at the slack last computed. */
  function differentiateTwice(width: number): void {
    candidates = 0;
    for (let j = 0; j < count; j++) if (sizes[j] > 0 || gradient[j] < 0) candidate[candidates++] = j;
    const m = candidates;
    full.fill(0, 0, m * m);
    let rows = 0;
    const flush = () => {
      if (rows > 0) workspace.syrk(true, m, rows, 1 / width, gathered, m, 1, full, m);
      rows = 0;
    };
    for (let i = 0; i < n; i++) {
      if (!(slack[i] > 0 && slack[i] < width) || hingeWeights[i] === 0) continue;
      const root = Math.sqrt(hingeWeights[i]);
      for (let f = 0, p = rows * m, q = i * capacity; f < m; f++) gathered[p + f] = root * table[q + candidate[f]];
      if (++rows === block) flush();
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
    directions,
    signs,
    weights,
    capacity,
    load(neurons, neuronSigns, neuronCount, state) {
      attack = state;
      count = 0;
      for (let j = 0; j < neuronCount && count < capacity; j++) {
        let square = 0;
        for (let l = 0; l < d; l++) square += neurons[j * d + l] ** 2;
        if (!(square > 0)) continue;
        const length = Math.sqrt(square);
        for (let l = 0; l < d; l++) directions[count * d + l] = neurons[j * d + l] / length;
        signs[count] = neuronSigns[j];
        sizes[count] = square;
        count++;
      }
      for (let j = 0; j < count; j++) fill(j);
    },
    add(direction, sign) {
      if (count === capacity) return false;
      directions.set(direction, count * d);
      signs[count] = sign;
      sizes[count] = 0;
      fill(count);
      count++;
      return true;
    },
    solve(width) {
      let current = value(sizes, width);
      differentiate(width);
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
        differentiate(width);
      }
      // The trial points of the line search spoil the slack.
      value(sizes, width);
      differentiate(width);
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
