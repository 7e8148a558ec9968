// The restricted master problem of one round: with the attacks held fixed, the network is linear in the sizes t_j of a
// list of atoms (u_j, s_j), and its optimal hinge weights are what the certificate needs:
//   min over t >= 0 of  sum_i kappa_i huber(max over cuts e of sample i of 1 - sum_j t_j H_ej) + beta sum_j t_j
//   H_ej = s_j y_i E[sigma(u_j'z_e)],  z_e the attacked point (or spread attack) of cut e
// A sample has one cut for its present attack and may keep cuts of earlier rounds: where several attacks are worst at once, the
// optimal dual is a mixture of them, and no single attack certifies it. At the optimum the weights p_e, with
// p_e >= 0 and sum over the cuts of i <= kappa_i, satisfy s_j h(u_j) <= beta for every atom in the list, so adding the atoms that
// violate and solving again drives the certificate up (column generation on the dual side).
// Damped Newton with an active set; nothing is allocated per step. A class, so that it stays compiled from one fit to the next.

import { type Workspace, workspaceSize } from "@worstcase/linalg";
import { CutSet } from "./cutSet.js";
import { gatherColumns, gradientOf, slackOf, smoothedMaxima } from "./masterColumns.js";
import type { AttackState, ObjectiveProblem } from "./objective.js";

const maximumSteps = 40;
/** Cuts a sample may hold. */
const mostCuts = 32;
/** Gradient at which `solve` stops, relative to beta: the bound loses about this share. */
const precision = 1e-4;

/** `keptCuts`: cuts of earlier rounds a sample may keep. */
export class Master {
  count = 0;
  readonly capacity: number;
  /** Sizes t_j of the atoms, `[capacity]`, `count` used. */
  readonly sizes: Float64Array;
  /** Sizes they were loaded with. */
  readonly starts: Float64Array;
  /** Unit directions, `[capacity, d]`, and signs. */
  readonly directions: Float64Array;
  readonly signs: Float64Array;
  readonly cuts: CutSet;
  /** p_e after `solve`, one per cut. */
  weights = new Float64Array(0);
  private readonly hingeWeights: Float64Array;
  private readonly beta: number;
  private readonly dimension: number;
  private readonly workspace: Workspace;
  private readonly gathered: Float64Array;
  private readonly full: Float64Array;
  private readonly hessian: Float64Array;
  private readonly step: Float64Array;
  private readonly trial: Float64Array;
  private readonly gradient: Float64Array;
  private readonly present: Int32Array;
  private readonly candidate: Int32Array;
  private readonly free: Int32Array;
  private readonly active: Int32Array;
  private readonly roots: Float64Array;
  private readonly tied: Int32Array;
  private slack = new Float64Array(0);
  private candidates = 0;
  /** Value at the present sizes. */
  private current = 0;

  constructor(
    { data, hingeWeights, beta, labels, activation }: ObjectiveProblem,
    private readonly keptCuts: () => number,
  ) {
    const { dimension, kernels, maxNeurons, buffers } = data;
    // All cuts of one sample fit.
    const block = Math.max(buffers.blockRows, mostCuts);
    const capacity = maxNeurons + 64;
    const sizes = [block * capacity, capacity * capacity, capacity * capacity, capacity];
    const workspace = kernels.workspace(workspaceSize(...sizes));
    [this.gathered, this.full, this.hessian, this.step] = sizes.map((size) => workspace.float64(size));
    [this.sizes, this.starts, this.signs, this.trial, this.gradient] = Array.from(
      { length: 5 },
      () => new Float64Array(capacity),
    );
    [this.present, this.candidate, this.free] = Array.from({ length: 3 }, () => new Int32Array(capacity));
    this.directions = new Float64Array(capacity * dimension);
    this.active = new Int32Array(block);
    this.roots = new Float64Array(block);
    this.tied = new Int32Array(2 * block);
    this.cuts = new CutSet({ data, labels, activation }, capacity);
    this.capacity = capacity;
    this.hingeWeights = hingeWeights;
    this.beta = beta;
    this.dimension = dimension;
    this.workspace = workspace;
  }

  /** Starts over with the neurons (v_j, s_j) as atoms, against the present attack on `samples` and earlier ones that are kept. */
  load(
    neurons: Float64Array,
    signs: Float64Array,
    neuronCount: number,
    attack: AttackState,
    samples: Int32Array,
  ): void {
    const { cuts, directions, dimension: d } = this;
    cuts.renew(attack, samples, this.weights, this.keptCuts());
    if (this.slack.length < cuts.count) this.slack = new Float64Array(cuts.count);
    this.weights = new Float64Array(cuts.count);
    let count = 0;
    for (let j = 0; j < neuronCount && count < this.capacity; j++) {
      let square = 0;
      for (let l = 0; l < d; l++) square += neurons[j * d + l] ** 2;
      if (!(square > 0)) continue;
      const length = Math.sqrt(square);
      for (let l = 0; l < d; l++) directions[count * d + l] = neurons[j * d + l] / length;
      this.signs[count] = signs[j];
      this.sizes[count] = square;
      this.starts[count++] = square;
    }
    this.count = count;
    cuts.fill(directions, this.signs, 0, count);
  }

  /** Adds unit directions with size 0 while there is room; returns how many. */
  add(atoms: readonly { readonly direction: Float64Array; readonly sign: number }[]): number {
    if (this.count + atoms.length > this.capacity) this.dropUnused();
    const before = this.count;
    for (const { direction, sign } of atoms.slice(0, this.capacity - before)) {
      this.directions.set(direction, this.count * this.dimension);
      this.signs[this.count] = sign;
      this.sizes[this.count] = 0;
      this.starts[this.count++] = 0;
    }
    this.cuts.fill(this.directions, this.signs, before, this.count);
    return this.count - before;
  }

  /** Minimises from the present sizes; returns the smoothed value. */
  solve(width: number): number {
    this.current = this.value(this.sizes, width);
    this.differentiate();
    let damping = 1e-8;
    for (let iteration = 0; iteration < maximumSteps && this.violation() > precision * this.beta; iteration++) {
      this.differentiateTwice(width);
      let moved = false;
      while (!moved && damping < 1e6) {
        const m = this.newton(damping);
        if (m === 0) break;
        moved = m > 0 && this.follow(m, width);
        damping = moved ? Math.max(1e-10, 0.1 * damping) : 100 * damping;
      }
      if (!moved) break;
      this.differentiate();
    }
    // The trial points of the line search spoil the slack and the weights.
    this.value(this.sizes, width);
    this.differentiate();
    return this.current;
  }

  /** Value at t; fills slack = 1 - H t, and the weights. */
  private value(t: Float64Array, width: number): number {
    const { cuts, count, present, beta, slack } = this;
    let size = 0;
    let used = 0;
    for (let j = 0; j < count; j++) {
      size += t[j];
      if (t[j] > 0) present[used++] = j;
    }
    slackOf(slack, cuts.table, cuts.stride, cuts.count, t, present, used);
    return beta * size + smoothedMaxima(slack, this.weights, cuts.starts, cuts.samples, this.hingeWeights, width);
  }

  /** Gradient at the weights last computed. */
  private differentiate(): void {
    const { table, stride, count } = this.cuts;
    gradientOf(this.gradient, table, stride, count, this.weights, this.beta, this.count);
  }

  /**
   * Second derivatives over the sizes that may move, at the weights last computed. Cuts with 0 < q < 1 count in full while their
   * sum is below 1; at sum 1 only their differences do.
   */
  private differentiateTwice(width: number): void {
    const { sizes, gradient, candidate, full, weights, hingeWeights, active, roots, tied } = this;
    const { starts: groups, samples } = this.cuts;
    const block = active.length;
    let m = 0;
    for (let j = 0; j < this.count; j++) if (sizes[j] > 0 || gradient[j] < 0) candidate[m++] = j;
    this.candidates = m;
    full.fill(0, 0, m * m);
    let rows = 0;
    let ties = 0;
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
      if (rows + support > block) {
        this.addCurvature(rows, ties, width);
        rows = 0;
        ties = 0;
      }
      const root = Math.sqrt(kappa);
      if (saturated) tied[ties++] = rows;
      for (let e = groups[g]; e < groups[g + 1]; e++) {
        if (!(weights[e] > 0)) continue;
        active[rows] = e;
        roots[rows++] = root;
      }
      if (saturated) tied[ties++] = rows;
    }
    this.addCurvature(rows, ties, width);
  }

  /** full += H'H / width over the cuts listed in `active`. */
  private addCurvature(rows: number, ties: number, width: number): void {
    if (rows === 0) return;
    const { gathered, tied, candidates: m } = this;
    const { table, stride } = this.cuts;
    gatherColumns(gathered, table, stride, this.candidate, m, this.active, this.roots, rows);
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
    this.workspace.syrk(true, m, rows, 1 / width, gathered, m, 1, this.full, m);
  }

  /**
   * Damped Newton step over the free sizes into `step`. Sizes at zero that would turn negative leave the free set and the
   * step is taken again, so the direction descends and can be followed. Returns the number of free sizes, 0 for none.
   */
  private newton(damping: number): number {
    const { candidates, present, full, hessian, free, candidate, step, gradient, sizes, workspace } = this;
    let m = candidates;
    for (let f = 0; f < m; f++) present[f] = f;
    while (m > 0) {
      let trace = 0;
      for (let f = 0; f < m; f++) trace += full[present[f] * candidates + present[f]];
      for (let f = 0; f < m; f++) {
        for (let g = 0; g < m; g++) hessian[f * m + g] = full[present[f] * candidates + present[g]];
        hessian[f * m + f] += damping * (trace > 0 ? trace / m : this.beta);
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

  /** Goes along the step, at most to the first bound; false when no decrease was found. */
  private follow(m: number, width: number): boolean {
    const { gradient, free, step, sizes, trial } = this;
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
      const next = this.value(trial, width);
      if (next <= this.current + 1e-4 * length * slope && next < this.current) {
        sizes.set(trial);
        this.current = next;
        return true;
      }
    }
    return false;
  }

  /** Makes room: atoms that have no size, and had none at first, leave. */
  private dropUnused(): void {
    const { sizes, starts, directions, signs, cuts, dimension: d } = this;
    let kept = 0;
    for (let j = 0; j < this.count; j++) {
      if (!(sizes[j] > 0 || starts[j] > 0)) continue;
      directions.copyWithin(kept * d, j * d, (j + 1) * d);
      signs[kept] = signs[j];
      sizes[kept] = sizes[j];
      starts[kept] = starts[j];
      cuts.moveColumn(j, kept++);
    }
    this.count = kept;
  }

  /** Largest violation of the optimality conditions. */
  private violation(): number {
    const { sizes, gradient, count } = this;
    let worst = 0;
    for (let j = 0; j < count; j++) {
      if (sizes[j] > 0 || gradient[j] < 0) worst = Math.max(worst, Math.abs(gradient[j]));
    }
    return worst;
  }
}
