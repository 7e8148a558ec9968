// Exact minimum of y f over a box cut with a ball (math.md 12.2, 12.6) by branch and bound, best bound first. A part is a box; its
// bound is that of ballBoxBound.ts, what it attains that of ballBoxDescent.ts; it is cut across the feature that loses most in the
// relaxation. Parts inside the ball are pure boxes and go to the branch and bound of those.

import { throwIfAborted } from "@worstcase/core";
import { branchAndBound } from "../linf/branchAndBound.js";
import type { BoxRelaxation } from "../linf/contracts.js";
import type { CoordinateDescent } from "../linf/coordinateDescent.js";
import type { Quadratic } from "../quadratic.js";
import type { BallBoxBound } from "./ballBoxBound.js";
import type { BallBoxDescent } from "./ballBoxDescent.js";

export interface BallBoxTools {
  readonly relaxation: BoxRelaxation;
  readonly coordinates: CoordinateDescent;
  readonly bound: BallBoxBound;
  readonly descent: BallBoxDescent;
}

export interface BallBoxOutcome {
  /** Whether the gap closed. */
  readonly solved: boolean;
  /** Attained at `move`. */
  readonly value: number;
  /** Never above the true minimum. */
  readonly lowerBound: number;
  readonly nodes: number;
}

interface Part {
  readonly lower: Float64Array;
  readonly upper: Float64Array;
  readonly bound: number;
  readonly lambda: number;
  /** Where to cut, and at what displacement. */
  readonly feature: number;
  readonly cut: number;
}

/** `move` is an admissible start and ends as the minimiser. `maxNodes` 1 gives the relaxation alone. */
export function minimiseInBallAndBox(
  quadratic: Quadratic,
  point: ArrayLike<number>,
  at: number,
  label: number,
  lower: Float64Array,
  upper: Float64Array,
  radius: number,
  tools: BallBoxTools,
  settings: { readonly tolerance: number; readonly maxNodes: number; readonly signal: AbortSignal | undefined },
  move: Float64Array,
): BallBoxOutcome {
  const d = quadratic.dimension;
  const trial = new Float64Array(d);
  const parts: Part[] = [];
  let value = tools.descent.improve(quadratic, point, at, label, lower, upper, radius, move);
  let closed = Number.POSITIVE_INFINITY;
  let nodes = 0;
  const enough = () => value - settings.tolerance * (1 + Math.abs(value));
  const offer = (own: Part | null, start: Float64Array) => {
    const [low, high] = own ? [own.lower, own.upper] : [lower, upper];
    if (!tools.descent.project(start, low, high, radius)) return;
    const reached = tools.descent.improve(quadratic, point, at, label, lower, upper, radius, start);
    if (reached >= value) return;
    value = reached;
    move.set(start);
  };

  visit(lower.slice(), upper.slice(), Number.NEGATIVE_INFINITY, 0);
  while (parts.length > 0 && nodes < settings.maxNodes) {
    throwIfAborted(settings.signal, "branch and bound");
    let least = 0;
    for (let t = 1; t < parts.length; t++) if (parts[t].bound < parts[least].bound) least = t;
    const part = parts[least];
    if (part.bound >= enough()) break;
    parts[least] = parts[parts.length - 1];
    parts.pop();
    const [low, high] = [part.lower.slice(), part.upper.slice()];
    high[part.feature] = part.cut;
    low[part.feature] = part.cut;
    visit(part.lower, high, part.bound, part.lambda);
    visit(low, part.upper, part.bound, part.lambda);
  }
  let open = Number.POSITIVE_INFINITY;
  for (const { bound } of parts) open = Math.min(open, bound);
  const lowerBound = Math.min(open, closed, value);
  return { solved: lowerBound >= enough(), value, lowerBound, nodes };

  function visit(low: Float64Array, high: Float64Array, least: number, lambda: number): void {
    nodes++;
    if (!tighten(low, high, radius)) return;
    let farthest = 0;
    for (let k = 0; k < d; k++) farthest += Math.max(low[k] ** 2, high[k] ** 2);
    if (farthest <= radius * radius && settings.maxNodes > 1) {
      const limits = {
        tolerance: settings.tolerance,
        maxNodes: settings.maxNodes,
        decide: null,
        signal: settings.signal,
      };
      const inner = { relaxation: tools.relaxation, descent: tools.coordinates };
      const outcome = branchAndBound(quadratic, point, at, label, low, high, inner, limits, trial);
      nodes += outcome.nodes;
      closed = Math.min(closed, Math.max(least, outcome.lowerBound));
      offer(null, trial);
      return;
    }
    const limits = {
      tolerance: 0.1 * settings.tolerance,
      enough: enough(),
      maxSteps: settings.maxNodes > 1 && nodes > 1 ? 12 : 40,
      bend: nodes > 1,
    };
    const bound = Math.max(least, tools.bound.solve(quadratic, point, at, label, low, high, radius, lambda, limits));
    let feature = 0;
    let most = -1;
    const { mean, losses } = tools.bound;
    for (let k = 0; k < d; k++) {
      if (!(high[k] > low[k])) continue;
      // Where nothing is lost to speak of, the widest.
      const loss = losses[k] + 1e-12 * (high[k] - low[k]);
      if (loss > most) {
        most = loss;
        feature = k;
      }
    }
    const half = 0.5 * (high[feature] - low[feature]);
    const centre = 0.5 * (high[feature] + low[feature]);
    const cut = Math.max(centre - 0.6 * half, Math.min(centre + 0.6 * half, mean[feature]));
    const part = { lower: low, upper: high, bound, lambda: tools.bound.lambda, feature, cut };
    trial.set(mean);
    offer(part, trial);
    if (bound >= enough() || most < 0 || !(half > 0)) closed = Math.min(closed, bound);
    else parts.push(part);
  }
}

/** Cuts the box to what the ball allows; false when they do not meet. A little is left for rounding. */
function tighten(lower: Float64Array, upper: Float64Array, radius: number): boolean {
  let square = 0;
  for (let k = 0; k < lower.length; k++) square += Math.max(0, lower[k], -upper[k]) ** 2;
  const most = radius * radius * (1 + 1e-12);
  if (square > most) return false;
  for (let k = 0; k < lower.length; k++) {
    const own = Math.max(0, lower[k], -upper[k]);
    const reach = Math.sqrt(Math.max(0, most - square + own * own)) * (1 + 1e-12);
    lower[k] = Math.max(lower[k], -reach);
    upper[k] = Math.min(upper[k], reach);
  }
  return true;
}
