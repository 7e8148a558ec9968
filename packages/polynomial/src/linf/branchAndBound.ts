// Exact minimum of y f over a box (math.md 12.2) by branch and bound, best bound first:
//   bound: diagonal S-procedure of the node's box, evaluated in the safe direction;  incumbent: coordinate descent from its mean
//   a coordinate whose slope keeps its sign on the node's box is fixed at the better end;
//   one with curvature <= 0 is branched into its two ends (the minimum is at an end whatever the others are);
//   one with positive curvature is cut in two near the relaxation's mean.
// The branching coordinate is the one that loses most in the relaxation: multiplier_k (1 - mean_k^2).
// Boxes shrink and the S-procedure is exact in the limit, so the gap closes; `node-limit` is a result, not an error.

import { throwIfAborted } from "@worstcase/core";
import type { Quadratic } from "../quadratic.js";
import { unitRoundoff } from "../worstCase/rotatedForm.js";
import { allocateBoxProblem, loadBoxProblem } from "./boxProblem.js";
import type { BoxRelaxation } from "./contracts.js";
import type { CoordinateDescent } from "./coordinateDescent.js";

export interface BranchSettings {
  /** Gap to close, relative to 1 + |value|. */
  readonly tolerance: number;
  readonly maxNodes: number;
  /** Stop as soon as it is known whether the minimum is above this value; null computes the minimum. */
  readonly decide: number | null;
  readonly signal: AbortSignal | undefined;
}

export interface BranchOutcome {
  readonly status: "optimal" | "decided" | "node-limit";
  /** Attained at `move`. */
  readonly value: number;
  /** Never above the true minimum. */
  readonly lowerBound: number;
  readonly nodes: number;
}

interface Node {
  readonly lower: Float64Array;
  readonly upper: Float64Array;
  readonly bound: number;
}

/** Minimises over the box lower .. upper; writes the minimiser into `move`. Q as of `symmetrised`. */
export function branchAndBound(
  quadratic: Quadratic,
  point: ArrayLike<number>,
  at: number,
  label: number,
  lower: Float64Array,
  upper: Float64Array,
  tools: { readonly relaxation: BoxRelaxation; readonly descent: CoordinateDescent },
  settings: BranchSettings,
  move: Float64Array,
): BranchOutcome {
  const d = quadratic.dimension;
  const problem = allocateBoxProblem(d);
  const trial = new Float64Array(d);
  const slack = monotoneSlack(quadratic, point, at, lower, upper);
  let value = Number.POSITIVE_INFINITY;
  let closed = Number.POSITIVE_INFINITY;
  let nodes = 0;
  const heap: Node[] = [];
  const attempt = (start: Float64Array) => {
    const reached = tools.descent.improve(quadratic, point, at, label, lower, upper, start);
    if (reached < value) {
      value = reached;
      move.set(start);
    }
  };
  const margin = () => settings.tolerance * (1 + Math.abs(value));
  /** A bound above this needs no further work. */
  const enough = () => {
    const least = value - margin();
    return settings.decide !== null && value > settings.decide ? Math.min(least, settings.decide) : least;
  };

  attempt(trial.fill(0));
  visit({ lower, upper, bound: Number.NEGATIVE_INFINITY });
  while (heap.length > 0) {
    if (heap[0].bound > enough()) break;
    if (settings.decide !== null && value <= settings.decide) break;
    if (nodes >= settings.maxNodes) break;
    throwIfAborted(settings.signal, "branch and bound");
    expand(pop(heap));
  }
  const open = heap.length > 0 ? heap[0].bound : Number.POSITIVE_INFINITY;
  const lowerBound = Math.min(open, closed, value);
  const solved = lowerBound >= value - margin();
  const decided = settings.decide !== null && (value <= settings.decide || lowerBound > settings.decide);
  return { status: solved ? "optimal" : decided ? "decided" : "node-limit", value, lowerBound, nodes };

  /** Reduces and bounds a box; closes it or puts it on the heap. */
  function visit(node: Node): void {
    nodes++;
    fixMonotone(node);
    loadBoxProblem(problem, quadratic, point, at, label, node.lower, node.upper);
    const limits = { tolerance: 0.1 * settings.tolerance, stopAbove: enough() };
    const bound = Math.max(node.bound, tools.relaxation.solve(problem, limits));
    for (let k = 0; k < d; k++) trial[k] = problem.centre[k];
    for (let i = 0; i < problem.size; i++)
      trial[problem.index[i]] += problem.half[problem.index[i]] * tools.relaxation.mean[i];
    attempt(trial);
    if (problem.size === 0 || bound > enough()) {
      closed = Math.min(closed, bound);
      return;
    }
    push(heap, { ...node, bound });
  }

  function expand(node: Node): void {
    loadBoxProblem(problem, quadratic, point, at, label, node.lower, node.upper);
    tools.relaxation.solve(problem, {
      tolerance: 1e-3,
      stopAbove: Number.POSITIVE_INFINITY,
    });
    let chosen = 0;
    let most = -1;
    for (let i = 0; i < problem.size; i++) {
      const loss = tools.relaxation.multipliers[i] * Math.max(0, 1 - tools.relaxation.mean[i] ** 2);
      if (loss > most) {
        most = loss;
        chosen = i;
      }
    }
    const k = problem.index[chosen];
    const [low, high] = [node.lower[k], node.upper[k]];
    const concave = problem.curvature[chosen * problem.size + chosen] <= 0;
    // Keep the cut away from the ends, so that both parts shrink.
    const cut = problem.centre[k] + problem.half[k] * Math.max(-0.6, Math.min(0.6, tools.relaxation.mean[chosen]));
    for (const [from, to] of concave
      ? [
          [low, low],
          [high, high],
        ]
      : [
          [low, cut],
          [cut, high],
        ]) {
      const child = { lower: node.lower.slice(), upper: node.upper.slice(), bound: node.bound };
      child.lower[k] = from;
      child.upper[k] = to;
      visit(child);
    }
  }

  function fixMonotone(node: Node): void {
    for (let changed = true; changed; ) {
      changed = false;
      for (let k = 0; k < d; k++) {
        if (!(node.upper[k] > node.lower[k])) continue;
        let middle = quadratic.q[k];
        let reach = slack[k];
        for (let l = 0; l < d; l++) {
          const entry = 2 * quadratic.Q[k * d + l];
          middle += entry * (point[at + l] + 0.5 * (node.lower[l] + node.upper[l]));
          reach += Math.abs(entry) * 0.5 * (node.upper[l] - node.lower[l]);
        }
        middle *= label;
        if (Math.abs(middle) < reach) continue;
        // The node may share the caller's arrays.
        if (node.lower === lower) (node as { lower: Float64Array }).lower = lower.slice();
        if (node.upper === upper) (node as { upper: Float64Array }).upper = upper.slice();
        if (middle > 0) node.upper[k] = node.lower[k];
        else node.lower[k] = node.upper[k];
        changed = true;
      }
    }
  }
}

/** Bound of the rounding in the slope of each coordinate: below it a sign is not trusted. */
function monotoneSlack(
  { dimension: d, Q, q }: Quadratic,
  point: ArrayLike<number>,
  at: number,
  lower: Float64Array,
  upper: Float64Array,
): Float64Array {
  return Float64Array.from({ length: d }, (_, k) => {
    let size = Math.abs(q[k]);
    for (let l = 0; l < d; l++) {
      const reach = Math.abs(point[at + l]) + Math.max(Math.abs(lower[l]), Math.abs(upper[l]));
      size += 2 * Math.abs(Q[k * d + l]) * reach;
    }
    return 8 * (d + 8) * unitRoundoff * size;
  });
}

function push(heap: Node[], node: Node): void {
  let i = heap.push(node) - 1;
  while (i > 0) {
    const parent = (i - 1) >> 1;
    if (heap[parent].bound <= node.bound) break;
    heap[i] = heap[parent];
    i = parent;
  }
  heap[i] = node;
}

function pop(heap: Node[]): Node {
  const top = heap[0];
  const last = heap.pop() as Node;
  if (heap.length === 0) return top;
  let i = 0;
  for (;;) {
    let child = 2 * i + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && heap[child + 1].bound < heap[child].bound) child++;
    if (heap[child].bound >= last.bound) break;
    heap[i] = heap[child];
    i = child;
  }
  heap[i] = last;
  return top;
}
