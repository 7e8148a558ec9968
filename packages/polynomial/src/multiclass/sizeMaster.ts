// The restricted master of one round of the joint trainer: with the attacks held fixed, every margin is linear in the sizes
// t_j >= 0 of a list of atoms (unit direction u_j, sign s_j, block c_j), and the optimal dual weights are what a certificate needs:
//   min over t >= 0 of  sum_i kappa_i loss_i(1 - H t) + beta sum_j t_j,   H_rj = s_j (+-1) E[sigma(u_j'z_r)]
// At the optimum s_j h_c(u_j) <= beta for every atom of the list. Damped Newton over the sizes that may move, on the smoothed loss.

import { type Kernels, type Workspace, workspaceSize } from "@worstcase/linalg";
import type { Adversary, FactoredNetwork, RowGroup } from "./adversary.js";
import { evaluateRows, type RowLoss } from "./rowLoss.js";

const block = 256;
const maximumSteps = 40;
/** Atoms of size 0 whose gradient is below this share of beta are kept. */
const enteringShare = 0.2;

interface MasterAtom {
  readonly direction: Float64Array;
  readonly sign: number;
  readonly block: number;
  /** Size when it was loaded; 0 for added atoms. */
  readonly start: number;
  size: number;
  /** H column of each group that holds the block: [group, values by active row of the group]. */
  readonly columns: readonly (readonly [number, Float64Array])[];
}

export interface SizeMaster {
  readonly atoms: readonly MasterAtom[];
  /** p after `solve`, `[rows]`. */
  readonly weights: Float64Array;
  /** Starts over with the network's neurons against the adversary's last attack. */
  load(network: FactoredNetwork): void;
  add(direction: Float64Array, sign: number, block: number): void;
  /** Forgets atoms of size 0 that are far from entering, judged at the last solve. */
  prune(): void;
  solve(width: number): void;
}

export function createSizeMaster(
  adversary: Adversary,
  loss: RowLoss,
  kappa: Float64Array,
  beta: number,
  /** Gradient at which `solve` stops, relative to beta: a bound loses about this share. */
  precision: number,
  kernels: Kernels,
): SizeMaster {
  const { dimension: d, samples, rowsPerSample: k } = adversary;
  const slacks = new Float64Array(samples * k);
  const weights = new Float64Array(samples * k);
  const chosen = new Int32Array(block);
  const roots = new Float64Array(block);
  let groups: readonly RowGroup[] = [];
  let groupSlacks: Float64Array[] = [];
  let groupWeights: Float64Array[] = [];
  let atoms: MasterAtom[] = [];
  let workspace: Workspace | null = null;
  let capacity = 0;
  let gathered: Float64Array = new Float64Array(0);
  let hessian: Float64Array = new Float64Array(0);
  let system: Float64Array = new Float64Array(0);
  let local: Float64Array = new Float64Array(0);
  let step: Float64Array = new Float64Array(0);
  let gradient: Float64Array = new Float64Array(0);

  function reserve(count: number): Workspace {
    if (workspace && count <= capacity) return workspace;
    capacity = Math.max(32, 2 * count);
    const square = capacity * capacity;
    workspace = kernels.workspace(workspaceSize(block * capacity, square, square, square, capacity));
    gathered = workspace.float64(block * capacity);
    hessian = workspace.float64(square);
    system = workspace.float64(square);
    local = workspace.float64(square);
    step = workspace.float64(capacity);
    gradient = new Float64Array(capacity);
    return workspace;
  }

  function append(direction: Float64Array, sign: number, owner: number, size: number): void {
    const columns: [number, Float64Array][] = [];
    groups.forEach(({ plus, minus, rows }, g) => {
      if (rows.length === 0 || (plus !== owner && minus !== owner)) return;
      const values = new Float64Array(rows.length);
      adversary.respond(g, direction, values, 1, 0);
      const side = plus === owner ? sign : -sign;
      for (let t = 0; t < values.length; t++) values[t] *= side;
      columns.push([g, values]);
    });
    atoms.push({ direction: Float64Array.from(direction), sign, block: owner, start: size, size, columns });
  }

  /** Smoothed value at the present sizes; fills slacks and weights. */
  function value(width: number): number {
    slacks.fill(Number.NEGATIVE_INFINITY);
    groupSlacks.forEach((own) => {
      own.fill(1);
    });
    let total = 0;
    for (const atom of atoms) {
      const { size } = atom;
      total += beta * size;
      if (size === 0) continue;
      for (const [g, column] of atom.columns) {
        const own = groupSlacks[g];
        for (let t = 0; t < column.length; t++) own[t] -= size * column[t];
      }
    }
    groups.forEach(({ rows }, g) => {
      const own = groupSlacks[g];
      for (let t = 0; t < rows.length; t++) slacks[rows[t]] = own[t];
    });
    return total + evaluateRows(loss, slacks, k, kappa, width, weights);
  }

  /** Gradient at the weights last computed; the weights are copied group by group so that the products run over whole columns. */
  function differentiate(): void {
    groups.forEach(({ rows }, g) => {
      const own = groupWeights[g];
      for (let t = 0; t < rows.length; t++) own[t] = weights[rows[t]];
    });
    for (let j = 0; j < atoms.length; j++) {
      let total = 0;
      for (const [g, column] of atoms[j].columns) {
        const own = groupWeights[g];
        for (let t = 0; t < column.length; t++) total += own[t] * column[t];
      }
      gradient[j] = beta - total;
    }
  }

  /** Whether the row lies where the loss is curved; for the `max` loss, also how many of its sample do when they sum to 1. */
  function curved(row: number, width: number): boolean {
    if (loss === "sum") return slacks[row] > 0 && slacks[row] < width;
    return weights[row] > 0;
  }

  /** Second derivatives over the candidates, `[m, m]` in `hessian`. */
  function differentiateTwice(space: Workspace, candidates: readonly number[], width: number): void {
    const m = candidates.length;
    hessian.fill(0, 0, m * m);
    // Candidates of each group, ascending, with their columns.
    const members = groups.map((): number[] => []);
    const parts = groups.map((): Float64Array[] => []);
    candidates.forEach((j, f) => {
      for (const [g, column] of atoms[j].columns) {
        members[g].push(f);
        parts[g].push(column);
      }
    });
    groups.forEach(({ rows }, g) => {
      const columns = parts[g];
      const own = columns.length;
      if (own === 0) return;
      local.fill(0, 0, own * own);
      let next = 0;
      while (next < rows.length) {
        let count = 0;
        for (; next < rows.length && count < block; next++) {
          const weight = kappa[Math.floor(rows[next] / k)];
          if (weight === 0 || !curved(rows[next], width)) continue;
          chosen[count] = next;
          roots[count++] = Math.sqrt(weight);
        }
        if (count === 0) break;
        for (let f = 0; f < own; f++) {
          const column = columns[f];
          for (let t = 0, p = f; t < count; t++, p += own) gathered[p] = roots[t] * column[chosen[t]];
        }
        space.syrk(true, own, count, 1 / width, gathered, own, 1, local, own);
      }
      for (let f = 0; f < own; f++) {
        for (let h = 0; h < own; h++) hessian[members[g][f] * m + members[g][h]] += local[f * own + h];
      }
    });
    if (loss === "max" && k > 1) subtractTied(space, candidates, width);
  }

  /** For samples whose weights sum to kappa, the curvature lacks the direction of their sum. */
  function subtractTied(space: Workspace, candidates: readonly number[], width: number): void {
    const m = candidates.length;
    const tied = new Int32Array(samples);
    for (let i = 0; i < samples; i++) {
      let sum = 0;
      let support = 0;
      for (let r = i * k; r < (i + 1) * k; r++) {
        sum += weights[r];
        if (weights[r] > 0) support++;
      }
      if (kappa[i] > 0 && sum > kappa[i] * (1 - 1e-12)) tied[i] = support;
    }
    const sums = new Float64Array(samples * m);
    candidates.forEach((j, f) => {
      for (const [g, column] of atoms[j].columns) {
        const { rows } = groups[g];
        for (let t = 0; t < rows.length; t++) {
          const i = Math.floor(rows[t] / k);
          if (tied[i] > 0 && weights[rows[t]] > 0) sums[i * m + f] += column[t];
        }
      }
    });
    let count = 0;
    for (let i = 0; i <= samples; i++) {
      if (i < samples && tied[i] > 0) {
        const root = Math.sqrt(kappa[i] / tied[i]);
        for (let f = 0; f < m; f++) gathered[count * m + f] = root * sums[i * m + f];
        count++;
      }
      if (count === block || (i === samples && count > 0)) {
        space.syrk(true, m, count, -1 / width, gathered, m, 1, hessian, m);
        count = 0;
      }
    }
  }

  /** Newton step over the free candidates; sizes at zero that would turn negative leave. Empty: nothing to do; null: singular. */
  function newton(space: Workspace, candidates: readonly number[], damping: number): number[] | null {
    const total = candidates.length;
    let free = candidates.map((_, f) => f);
    while (free.length > 0) {
      const m = free.length;
      let trace = 0;
      for (const f of free) trace += hessian[f * total + f];
      for (let f = 0; f < m; f++) {
        for (let h = 0; h < m; h++) system[f * m + h] = hessian[free[f] * total + free[h]];
        system[f * m + f] += damping * (trace > 0 ? trace / m : beta);
        step[f] = -gradient[candidates[free[f]]];
      }
      if (space.potrf(m, system, m) !== 0) return null;
      space.trsm("left", false, m, 1, system, m, step, 1);
      space.trsm("left", true, m, 1, system, m, step, 1);
      const kept = free.filter((f, t) => atoms[candidates[f]].size > 0 || step[t] >= 0);
      if (kept.length === m) return free.map((f) => candidates[f]);
      free = kept;
    }
    return [];
  }

  /** Goes along `step`, at most to the first bound; the new value, or null when nothing decreases. */
  function follow(free: readonly number[], current: number, width: number): number | null {
    let longest = 1;
    let slope = 0;
    free.forEach((j, f) => {
      slope += gradient[j] * step[f];
      if (step[f] < 0) longest = Math.min(longest, -atoms[j].size / step[f]);
    });
    const before = free.map((j) => atoms[j].size);
    for (let length = longest, search = 0; search < 12; search++, length *= 0.4) {
      free.forEach((j, f) => {
        const next = before[f] + length * step[f];
        atoms[j].size = next > 1e-14 * before[f] ? next : 0;
      });
      const next = value(width);
      if (next <= current + 1e-4 * length * slope && next < current) return next;
    }
    free.forEach((j, f) => {
      atoms[j].size = before[f];
    });
    return null;
  }

  return {
    get atoms() {
      return atoms;
    },
    weights,
    load(network) {
      groups = adversary.groups();
      groupSlacks = groups.map(({ rows }) => new Float64Array(rows.length));
      groupWeights = groups.map(({ rows }) => new Float64Array(rows.length));
      atoms = [];
      for (let j = 0; j < network.count; j++) {
        const v = network.vectors.subarray(j * d, (j + 1) * d);
        let square = 0;
        for (let l = 0; l < d; l++) square += v[l] * v[l];
        if (!(square > 0)) continue;
        const length = Math.sqrt(square);
        append(
          v.map((entry) => entry / length),
          network.signs[j],
          network.blocks[j],
          square,
        );
      }
    },
    add(direction, sign, owner) {
      append(direction, sign, owner, 0);
    },
    prune() {
      atoms = atoms.filter(({ size, start }, j) => size > 0 || start > 0 || gradient[j] < enteringShare * beta);
    },
    solve(width) {
      const space = reserve(atoms.length);
      let current = value(width);
      differentiate();
      let damping = 1e-8;
      let small = 0;
      for (let iteration = 0; iteration < maximumSteps; iteration++) {
        const candidates: number[] = [];
        let violation = 0;
        atoms.forEach((atom, j) => {
          if (!(atom.size > 0 || gradient[j] < -precision * beta)) return;
          candidates.push(j);
          violation = Math.max(violation, Math.abs(gradient[j]));
        });
        if (violation <= precision * beta) break;
        differentiateTwice(space, candidates, width);
        let next: number | null = null;
        while (next === null && damping < 1e6) {
          const free = newton(space, candidates, damping);
          if (free?.length === 0) break;
          next = free && follow(free, current, width);
          damping = next === null ? 100 * damping : Math.max(1e-10, 0.1 * damping);
        }
        if (next === null) break;
        small = current - next < 1e-12 * current ? small + 1 : 0;
        current = next;
        if (small === 2) break;
        differentiate();
      }
      // A failed search leaves the slacks of its last trial.
      value(width);
      differentiate();
    },
  };
}
