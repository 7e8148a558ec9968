// Worst margin of one sample by branch and bound over its unstable gates (math.md 13.5, made exact).
// A node fixes some gates open or closed: the half-spaces +-(h_p + g_p'z) >= 0, with the pieces of open gates in the linear form. The other
// gates are bounded from below over the whole ball:
//   piece kappa g, kappa > 0   kappa max(0, h + g'z), convex: kept as a soft half-space, exact, never branched on
//   piece kappa g, kappa < 0   the chord kappa u (h + g'z - l) / (u - l) between l = h - r||g||_{q*} and u = h + r||g||_{q*}
//   any other piece            min(0, least value of the piece over the ball with the gate open)
// The bound of a node is the dual value of a convex problem (regionMinimum.ts), so it holds whatever the accuracy; its point is a
// perturbation, and the margin there an upper bound. A node ends when bound and margin meet. Best bound first.

import { ballSupport, dualExponentOf, lengthOf, normExponent, type PerturbationNorm } from "../ballSupport.js";
import { type LocalPair, marginAt, type UnstableGate } from "./localPieces.js";
import { type Region, RegionSolver } from "./regionMinimum.js";

export interface BranchingLimits {
  /** Stop when upper - lower is at most this. */
  readonly tolerance: number;
  readonly maximumNodes: number;
  /** Stop as soon as lower > 0 or upper <= 0: enough to tell whether the class can change. */
  readonly signOnly: boolean;
}

export interface BranchingOutcome {
  readonly lower: number;
  readonly upper: number;
  /** Perturbation `[d]` in the ball at which the margin is `upper`. */
  readonly point: Float64Array;
  /** Class whose margin `upper` is. */
  readonly rival: number;
  readonly nodes: number;
}

const [UNDECIDED, OPEN, CLOSED] = [0, 1, 2];

interface Node {
  readonly pair: number;
  readonly state: Uint8Array;
  readonly bound: number;
  /** Gate to branch on, or -1 when the node is solved. */
  readonly branch: number;
}

export function branchAndBound(
  pairs: readonly LocalPair[],
  length: number,
  norm: PerturbationNorm,
  radius: number,
  limits: BranchingLimits,
): BranchingOutcome {
  return new Search(pairs, length, norm, radius, limits).run();
}

/** Only the attack of the search, from the sample itself: an upper bound of the worst margin and where it is. */
export function localAttack(
  pairs: readonly LocalPair[],
  length: number,
  norm: PerturbationNorm,
  radius: number,
): Pick<BranchingOutcome, "upper" | "point" | "rival"> {
  const limits = { tolerance: 0, maximumNodes: 0, signOnly: false };
  return new Search(pairs, length, norm, radius, limits, false).attackAll();
}

class Search {
  private readonly solver: RegionSolver;
  private upper = Number.POSITIVE_INFINITY;
  private rival = -1;
  private readonly point: Float64Array;
  private readonly trial: Float64Array;
  private readonly reaches: Float64Array[];
  /** min(0, least value of the open piece) of gates that are not ReLUs. */
  private readonly drops: Float64Array[];
  private nodes = 0;

  constructor(
    private readonly pairs: readonly LocalPair[],
    private readonly length: number,
    private readonly norm: PerturbationNorm,
    private readonly radius: number,
    private readonly limits: BranchingLimits,
    bounds = true,
  ) {
    this.solver = new RegionSolver(norm, radius, length);
    this.point = new Float64Array(length);
    this.trial = new Float64Array(length);
    this.reaches = pairs.map(({ unstable }) =>
      Float64Array.from(unstable, ({ gate }) => ballSupport(gate, 0, length, norm, radius)),
    );
    this.drops = (bounds ? pairs : []).map(({ unstable }) => Float64Array.from(unstable, (gate) => this.drop(gate)));
  }

  run(): BranchingOutcome {
    const { limits, pairs } = this;
    this.attackAll();
    const heap = new NodeHeap();
    pairs.forEach(({ unstable }, pair) => {
      heap.push(this.evaluate(pair, new Uint8Array(unstable.length), Number.NEGATIVE_INFINITY));
    });
    let lower = heap.least();
    let closed = Number.POSITIVE_INFINITY; // least bound of the nodes that are solved
    for (;;) {
      lower = Math.max(lower, Math.min(heap.least(), closed));
      if (lower >= this.upper - limits.tolerance || this.nodes >= limits.maximumNodes) break;
      if (limits.signOnly && (lower > 0 || this.upper <= 0)) break;
      const node = heap.pop();
      if (!node) break;
      if (node.branch < 0) {
        closed = Math.min(closed, node.bound);
        continue;
      }
      for (const side of [OPEN, CLOSED]) {
        const state = node.state.slice();
        state[node.branch] = side;
        const child = this.evaluate(node.pair, state, node.bound);
        if (child.bound < this.upper - limits.tolerance) heap.push(child);
        else closed = Math.min(closed, child.bound);
      }
    }
    return {
      lower: Math.min(lower, this.upper),
      upper: this.upper,
      point: this.point,
      rival: this.rival,
      nodes: this.nodes,
    };
  }

  attackAll(): Pick<BranchingOutcome, "upper" | "point" | "rival"> {
    this.pairs.forEach((_, pair) => {
      this.attack(pair, new Float64Array(this.length));
    });
    return { upper: this.upper, point: this.point, rival: this.rival };
  }

  private evaluate(pair: number, state: Uint8Array, parent: number): Node {
    this.nodes++;
    const region = this.relax(pair, state);
    const { lower, point } = this.solver.minimise(region, this.limits.tolerance / 4, this.upper);
    const bound = Math.max(parent, lower);
    if (bound >= this.upper - this.limits.tolerance) return { pair, state, bound, branch: -1 };
    this.trial.set(point);
    const branch = this.worstRelaxed(pair, state, this.trial);
    this.attack(pair, this.trial);
    return { pair, state, bound, branch };
  }

  private relax(pair: number, state: Uint8Array): Region {
    const { base, form, unstable } = this.pairs[pair];
    const region: Region = { constant: base, form: form.slice(), rows: [], offsets: [], caps: [] };
    const { form: sum, rows, offsets, caps } = region;
    unstable.forEach(({ opening, gate, score, piece, slope }, p) => {
      const reach = this.reaches[pair][p];
      if (state[p] === UNDECIDED) {
        if (slope > 0) {
          rows.push(gate.map((value) => -value));
          offsets.push(-opening);
          caps.push(slope);
        } else if (slope < 0) {
          const [constant, share] = chord(opening, reach, slope);
          region.constant += constant;
          for (let k = 0; k < sum.length; k++) sum[k] += share * gate[k];
        } else region.constant += this.drops[pair][p];
        return;
      }
      if (state[p] === OPEN) {
        region.constant += score;
        for (let k = 0; k < sum.length; k++) sum[k] += piece[k];
      }
      const sign = state[p] === OPEN ? 1 : -1;
      rows.push(sign === 1 ? gate : gate.map((value) => -value));
      offsets.push(sign * opening);
      caps.push(Number.POSITIVE_INFINITY);
    });
    return region;
  }

  // Undecided gate whose term at z is most above its bound; -1 when none is above by more than rounding.
  private worstRelaxed(pair: number, state: Uint8Array, z: Float64Array): number {
    let branch = -1;
    let most = 1e-3 * this.limits.tolerance;
    this.pairs[pair].unstable.forEach(({ opening, gate, score, piece, slope }, p) => {
      if (state[p] !== UNDECIDED || slope > 0) return;
      let open = opening;
      let value = score;
      for (let k = 0; k < z.length; k++) {
        open += gate[k] * z[k];
        value += piece[k] * z[k];
      }
      const term = open >= 0 ? value : 0;
      const [constant, share] = slope < 0 ? chord(opening, this.reaches[pair][p], slope) : [this.drops[pair][p], 0];
      const bound = constant + share * (open - opening);
      if (term - bound > most) {
        most = term - bound;
        branch = p;
      }
    });
    return branch;
  }

  // Margin at z, then at the worst point of the ball for the pattern found there, as long as that falls.
  private attack(pair: number, start: Float64Array): void {
    const local = this.pairs[pair];
    const { length, norm, radius } = this;
    const z = start.slice();
    const slope = new Float64Array(length);
    let best = Number.POSITIVE_INFINITY;
    for (let step = 0; step < 8; step++) {
      const margin = marginAt(local, z, true);
      if (!(margin < best)) return;
      this.record(z);
      best = margin;
      slope.set(local.form);
      for (const { opening, gate, piece } of local.unstable) {
        let open = opening;
        for (let k = 0; k < length; k++) open += gate[k] * z[k];
        if (open >= 0) for (let k = 0; k < length; k++) slope[k] += piece[k];
      }
      steepestPoint(slope, norm, radius, z);
    }
  }

  private record(z: Float64Array): void {
    for (const local of this.pairs) {
      const margin = marginAt(local, z, true);
      if (margin >= this.upper) continue;
      this.upper = margin;
      this.rival = local.rival;
      this.point.set(z);
    }
  }

  private drop({ opening, gate, score, piece, slope }: UnstableGate): number {
    if (!Number.isNaN(slope)) return 0;
    const region: Region = {
      constant: score,
      form: piece,
      rows: [gate],
      offsets: [opening],
      caps: [Number.POSITIVE_INFINITY],
    };
    return Math.min(0, this.solver.minimise(region, this.limits.tolerance / 4, 0).lower);
  }
}

/** Constant and factor of g'z of the line below slope max(0, h + g'z), slope < 0, on |g'z| <= reach; exact where the gate never changes. */
function chord(opening: number, reach: number, slope: number): [number, number] {
  if (opening - reach >= 0) return [slope * opening, slope];
  if (opening + reach <= 0) return [0, 0];
  const share = (slope * (opening + reach)) / (2 * reach);
  return [share * reach, share];
}

/** Writes to z the point of the ball, shrunk by a hair against rounding, at which slope'z is least. */
function steepestPoint(slope: Float64Array, norm: PerturbationNorm, radius: number, z: Float64Array): void {
  const r = radius * (1 - 1e-15);
  if (norm === "linf") {
    for (let k = 0; k < z.length; k++) z[k] = slope[k] > 0 ? -r : slope[k] < 0 ? r : 0;
    return;
  }
  if (norm === "l1") {
    let largest = 0;
    for (let k = 1; k < z.length; k++) if (Math.abs(slope[k]) > Math.abs(slope[largest])) largest = k;
    const step = slope[largest] > 0 ? -r : slope[largest] < 0 ? r : 0;
    z.fill(0);
    z[largest] = step;
    return;
  }
  const exponent = dualExponentOf(norm);
  const size = lengthOf(slope, 0, z.length, exponent);
  for (let k = 0; k < z.length; k++) {
    const share = size > 0 ? (Math.abs(slope[k]) / size) ** (exponent - 1) : 0;
    z[k] = -r * Math.sign(slope[k]) * share;
  }
  // rounding of the powers
  const length = exponent === 2 ? r : lengthOf(z, 0, z.length, normExponent(norm));
  if (length > r) for (let k = 0; k < z.length; k++) z[k] *= (r / length) * (1 - 1e-15);
}

class NodeHeap {
  private readonly nodes: Node[] = [];

  least(): number {
    return this.nodes.length > 0 ? this.nodes[0].bound : Number.POSITIVE_INFINITY;
  }

  push(node: Node): void {
    const { nodes } = this;
    let at = nodes.push(node) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (nodes[parent].bound <= nodes[at].bound) return;
      [nodes[parent], nodes[at]] = [nodes[at], nodes[parent]];
      at = parent;
    }
  }

  pop(): Node | undefined {
    const { nodes } = this;
    const top = nodes[0];
    const last = nodes.pop();
    if (!last || nodes.length === 0) return top;
    nodes[0] = last;
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < nodes.length && nodes[child].bound < nodes[least].bound) least = child;
      }
      if (least === at) return top;
      [nodes[least], nodes[at]] = [nodes[at], nodes[least]];
      at = least;
    }
  }
}
