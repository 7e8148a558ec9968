// Maximum of a concave function of t in [0, end] from values and slopes: the next t is where the tangents of the two sides meet, kept
// away from the ends of the bracket; the height there bounds what is left to gain.

export interface ClimbSettings {
  /** Relative to 1 + |bound|. */
  readonly tolerance: number;
  /** A value above this is good enough. */
  readonly enough: number;
  readonly maxSteps: number;
  /** First t to try beyond 0. */
  readonly first: number;
  /** The largest value seen so far, on this line or another. */
  readonly best: () => number;
}

interface Point {
  readonly t: number;
  readonly bound: number;
  readonly slope: number;
}

export function climb(
  start: number,
  end: number,
  { tolerance, enough, maxSteps, first, best }: ClimbSettings,
  evaluate: (t: number) => { readonly bound: number; readonly slope: number },
): void {
  let left: Point | null = null;
  let right: Point | null = null;
  let next = Math.min(start, end);
  for (let step = 0; step < maxSteps; step++) {
    const found = evaluate(next);
    if (best() > enough) return;
    const here = { t: next, ...found };
    if (found.slope > 0) left = here;
    else right = here;
    if ((next === 0 && found.slope <= 0) || (next === end && found.slope > 0)) return;
    const margin = tolerance * (1 + Math.abs(best()));
    if (found.slope <= 0 && Math.abs(found.slope) * next <= 0.1 * margin) return;
    if (!right) {
      next = Math.min(end, Math.max(4 * next, first, 1e-12));
      if (!Number.isFinite(next)) return;
      continue;
    }
    if (!left) {
      if (right.t < 1e-290) return;
      // Look at 0 only after points between.
      next = step > 3 ? 0 : 0.25 * right.t;
      continue;
    }
    const width = right.t - left.t;
    const meeting =
      (left.bound - right.bound + right.slope * right.t - left.slope * left.t) / (right.slope - left.slope);
    const most = left.bound + left.slope * (meeting - left.t);
    if (most - best() <= margin || !(width > 1e-15 * right.t)) return;
    next = Math.min(right.t - 0.05 * width, Math.max(left.t + 0.05 * width, meeting));
    if (!Number.isFinite(next)) next = 0.5 * (left.t + right.t);
  }
}
