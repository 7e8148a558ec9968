// Nearest point of a polyhedron, or nearly so with a penalty, by an active-set method on the dual (Lawson and Hanson's NNLS):
//   minimise over u  ||u - q||^2 / 2   subject to  a_i'u >= b_i           (penalty = Infinity)
//   minimise over u  ||u - q||^2 / 2 + penalty/2 sum_i max(0, b_i - a_i'u)^2
//   dual: lambda >= 0, u = q + A'lambda; on the passive set (A_P A_P' + I / penalty) lambda_P = b_P - A_P q
// Exact up to rounding after finitely many exchanges. For b = 0 the polyhedron is a cone and never empty.
// rows A: [m, D]   bounds b: [m]   q, u: [D]

export interface PolyhedronProjection {
  /** `empty`: the rows contradict each other; `limit`: too many exchanges. `point` is then the last one. */
  readonly status: "ok" | "empty" | "limit";
  readonly point: Float64Array;
  /** Multipliers of the rows, `[m]`. */
  readonly multipliers: Float64Array;
}

export function projectOnPolyhedron(
  rows: Float64Array,
  bounds: Float64Array,
  target: Float64Array,
  penalty: number = Number.POSITIVE_INFINITY,
): PolyhedronProjection {
  return new ActiveSet(rows, bounds, target, penalty).run();
}

class ActiveSet {
  private readonly count: number;
  private readonly width: number;
  private readonly sizes: Float64Array;
  private readonly u: Float64Array;
  private readonly lambda: Float64Array;
  private readonly passive: number[] = [];
  private readonly ridge: number;
  private readonly scale: number;

  constructor(
    private readonly rows: Float64Array,
    private readonly bounds: Float64Array,
    private readonly target: Float64Array,
    penalty: number,
  ) {
    this.count = bounds.length;
    this.width = target.length;
    this.u = target.slice();
    this.lambda = new Float64Array(this.count);
    this.ridge = 1 / penalty;
    this.sizes = Float64Array.from({ length: this.count }, (_, i) => Math.sqrt(this.product(i, i)));
    this.scale = Math.hypot(...target);
    for (let i = 0; i < this.count; i++) {
      if (this.sizes[i] > 0) this.scale = Math.max(this.scale, Math.abs(bounds[i]) / this.sizes[i]);
    }
  }

  run(): PolyhedronProjection {
    const blocked = new Set<number>();
    const finish = (status: PolyhedronProjection["status"]): PolyhedronProjection => {
      return { status, point: this.u, multipliers: this.lambda };
    };
    for (let exchange = 0; exchange < 10 * (this.count + this.width) + 50; exchange++) {
      const next = this.mostViolated(blocked);
      if (next < 0) return finish(blocked.size > 0 ? "empty" : "ok");
      this.passive.push(next);
      if (!this.settle(next)) {
        // the row depends on the passive ones: no multiplier can satisfy it now
        blocked.add(next);
        continue;
      }
      blocked.clear();
    }
    return finish("limit");
  }

  private product(i: number, j: number): number {
    const { rows, width } = this;
    let sum = 0;
    for (let k = 0; k < width; k++) sum += rows[i * width + k] * rows[j * width + k];
    return sum;
  }

  private mostViolated(blocked: ReadonlySet<number>): number {
    const { rows, width, bounds, u, sizes, lambda, ridge, scale } = this;
    let next = -1;
    let most = 1e-11;
    for (let i = 0; i < this.count; i++) {
      if (lambda[i] > 0 || blocked.has(i)) continue;
      let short = bounds[i] - ridge * lambda[i];
      for (let k = 0; k < width; k++) short -= rows[i * width + k] * u[k];
      const relative = sizes[i] > 0 ? short / (sizes[i] * (scale || 1)) : short > 0 ? Number.POSITIVE_INFINITY : 0;
      if (relative > most) {
        most = relative;
        next = i;
      }
    }
    return next;
  }

  /** Solves on the passive set, dropping rows whose multiplier would turn negative. False when the newest row cannot join. */
  private settle(newest: number): boolean {
    const { passive, lambda } = this;
    for (;;) {
      const trial = this.solvePassive();
      if (trial === null) {
        passive.splice(passive.indexOf(newest), 1);
        if (!this.exchange(newest)) return false;
        continue;
      }
      let share = 1;
      passive.forEach((i, at) => {
        if (trial[at] <= 0) share = Math.min(share, lambda[i] / (lambda[i] - trial[at]));
      });
      if (share === 1 && trial.every((value) => value > 0)) {
        passive.forEach((i, at) => {
          lambda[i] = trial[at];
        });
        this.refresh();
        return true;
      }
      if (!(share < 1)) share = 0;
      passive.forEach((i, at) => {
        lambda[i] += share * (trial[at] - lambda[i]);
      });
      const kept = passive.filter((i, at) => trial[at] > 0 || lambda[i] > 1e-14 * Math.abs(trial[at]));
      for (const i of passive) if (!kept.includes(i)) lambda[i] = 0;
      passive.length = 0;
      passive.push(...kept);
      this.refresh();
      if (!passive.includes(newest)) return false;
    }
  }

  /**
   * The newest row is a combination sum_i r_i a_i of the passive ones: trading lambda_i for it leaves u in place until the first lambda_i
   * with r_i > 0 is used up, whose row it replaces. False when no r_i is positive: then the rows contradict each other.
   */
  private exchange(newest: number): boolean {
    const { passive, lambda, rows, width } = this;
    const row = rows.subarray(newest * width, (newest + 1) * width);
    const r = this.solvePassive(row);
    if (r === null) return false;
    let leaving = -1;
    let share = Number.POSITIVE_INFINITY;
    r.forEach((value, at) => {
      if (value > 1e-12 && lambda[passive[at]] / value < share) {
        share = lambda[passive[at]] / value;
        leaving = at;
      }
    });
    if (leaving < 0) return false;
    r.forEach((value, at) => {
      lambda[passive[at]] = Math.max(0, lambda[passive[at]] - share * value);
    });
    lambda[passive[leaving]] = 0;
    lambda[newest] += share;
    passive.splice(leaving, 1);
    passive.push(newest);
    return true;
  }

  private refresh(): void {
    const { u, rows, width, lambda } = this;
    u.set(this.target);
    for (const i of this.passive) for (let k = 0; k < width; k++) u[k] += lambda[i] * rows[i * width + k];
  }

  /** The multipliers of the passive rows as equations; with `row`, its coefficients in the passive rows instead. Null when they depend. */
  private solvePassive(row?: Float64Array): Float64Array | null {
    const { passive, rows, width, bounds, target, ridge } = this;
    const m = passive.length;
    const a = new Float64Array(m * m);
    const x = new Float64Array(m);
    for (let r = 0; r < m; r++) {
      const i = passive[r];
      x[r] = row ? 0 : bounds[i];
      for (let k = 0; k < width; k++) x[r] += rows[i * width + k] * (row ? row[k] : -target[k]);
      for (let c = 0; c <= r; c++) {
        let sum = this.product(i, passive[c]) + (r === c ? ridge : 0);
        for (let k = 0; k < c; k++) sum -= a[r * m + k] * a[c * m + k];
        if (c < r) a[r * m + c] = sum / a[c * m + c];
        else {
          if (!(sum > 1e-12 * (this.sizes[i] ** 2 + ridge))) return null;
          a[r * m + r] = Math.sqrt(sum);
        }
      }
    }
    for (let r = 0; r < m; r++) {
      for (let k = 0; k < r; k++) x[r] -= a[r * m + k] * x[k];
      x[r] /= a[r * m + r];
    }
    for (let r = m - 1; r >= 0; r--) {
      for (let k = r + 1; k < m; k++) x[r] -= a[k * m + r] * x[k];
      x[r] /= a[r * m + r];
    }
    return x;
  }
}
