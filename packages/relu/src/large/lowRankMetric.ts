// The metric of proximal/sharedMetric.ts for many features: the direction in which all pieces of a class move together is kept on r principal
// directions of the features only, so that a proximal step needs r x r systems.
//   per class  <t, M t> = a sum_p ||t_p||^2 + (sum_p t_p)' U q U' (sum_p t_p),   U [D, r] orthonormal,
//   q = 1/m sum_i dbar_i^2 (U'x_i)(U'x_i)',  dbar_i = mean over the gates in use of d_pi,
//   a = largest eigenvalue of the Gram matrix 1/m ((dt_i'dt_j)(x_i'x_j) + P dbar_i dbar_j (x_i'x_j - x_i'UU'x_j)),  dt_i = d_i - dbar_i
// Proximal step: t_p = shrink(b_p - U z / (L a), beta / (L a)), b_p = y_p - g_p / (L a), z in R^r the minimiser of the convex function
//   psi(z) = 1/2 z'(L q)^-1 z + L a sum_p 1/2 (||b_p - U z / (L a)|| - beta / (L a))_+^2 + z'U'sum_p y_p,
// where ||b_p - U z / a||^2 = ||b_p||^2 - 2 (U'b_p)'z / a + ||z||^2 / a^2.
// t, y, g: groups in use, class by class, [groups, D]

import { type Kernels, type Workspace, workspaceSize } from "@worstcase/linalg";

export interface MetricClass {
  /** Groups of this class. */
  readonly count: number;
  readonly own: number;
  /** q and its inverse, `[r, r]`. */
  readonly shared: Float64Array;
  readonly inverse: Float64Array;
}

export class LowRankMetric {
  private readonly slope: Float64Array;
  private readonly step: Float64Array;
  private readonly trial: Float64Array;
  private readonly hessian: Float64Array;
  private readonly duals: Float64Array;
  private readonly image: Float64Array;
  private readonly sums: Float64Array;
  private readonly squares: Float64Array;
  private readonly seen: Float64Array;
  private readonly sumSeen: Float64Array;
  private readonly workspace: Workspace;
  /** In the workspace: U', and b of one class, `[most, D]`. */
  private readonly directions: Float64Array;
  private readonly moved: Float64Array;
  private lastCurvature = 0;

  constructor(
    private readonly width: number,
    private readonly rank: number,
    /** U', `[r, D]`. */
    private readonly basis: Float64Array,
    private readonly classes: readonly MetricClass[],
    kernels: Kernels,
  ) {
    const most = Math.max(1, ...classes.map(({ count }) => count));
    this.workspace = kernels.workspace(workspaceSize(rank * width, most * width, most * rank));
    this.directions = this.workspace.float64(rank * width);
    this.directions.set(basis);
    this.moved = this.workspace.float64(most * width);
    this.seen = this.workspace.float64(most * rank);
    this.slope = new Float64Array(rank);
    this.step = new Float64Array(rank);
    this.trial = new Float64Array(rank);
    this.sumSeen = new Float64Array(rank);
    this.hessian = new Float64Array(rank * rank);
    this.duals = new Float64Array(classes.length * rank);
    this.image = new Float64Array(width);
    this.sums = new Float64Array(width);
    this.squares = new Float64Array(most);
  }

  /** <s, M t> */
  inner(s: Float64Array, t: Float64Array): number {
    const { width, rank, classes, sums, image, trial, step } = this;
    let total = 0;
    let from = 0;
    for (const { count, own, shared } of classes) {
      sums.fill(0);
      image.fill(0);
      let product = 0;
      for (let p = from; p < from + count * width; p += width) {
        for (let k = 0; k < width; k++) {
          const a = s[p + k];
          const b = t[p + k];
          product += a * b;
          sums[k] += a;
          image[k] += b;
        }
      }
      this.coordinates(sums, 0, trial, 0);
      this.coordinates(image, 0, step, 0);
      total += own * product;
      for (let j = 0; j < rank; j++) total += trial[j] * dot(shared, j * rank, step, 0, rank);
      from += count * width;
    }
    return total;
  }

  /** out = proximal step from y along gradient with curvature L. */
  proximal(y: Float64Array, gradient: Float64Array, curvature: number, beta: number, out: Float64Array): void {
    const { width, rank, classes, sums, squares, seen, sumSeen, moved, workspace } = this;
    if (this.lastCurvature > 0 && this.lastCurvature !== curvature) {
      for (let k = 0; k < this.duals.length; k++) this.duals[k] *= curvature / this.lastCurvature;
    }
    this.lastCurvature = curvature;
    let from = 0;
    classes.forEach(({ count, own, inverse }, c) => {
      const a = curvature * own;
      const z = this.duals.subarray(c * rank, (c + 1) * rank);
      sums.fill(0);
      for (let p = 0; p < count; p++) {
        const start = from + p * width;
        let square = 0;
        for (let k = 0; k < width; k++) {
          sums[k] += y[start + k];
          const b = y[start + k] - gradient[start + k] / a;
          moved[p * width + k] = b;
          square += b * b;
        }
        squares[p] = square;
      }
      workspace.gemm(false, true, count, rank, width, 1, moved, width, this.directions, width, 0, seen, rank);
      this.coordinates(sums, 0, sumSeen, 0);
      if (count > 0) this.minimise(z, count, curvature, a, beta / a, inverse);
      const lifted = this.lift(z);
      for (let p = 0; p < count; p++) {
        const start = from + p * width;
        let square = 0;
        for (let k = 0; k < width; k++) {
          const t = moved[p * width + k] - lifted[k] / a;
          out[start + k] = t;
          square += t * t;
        }
        const size = Math.sqrt(square);
        const factor = size > beta / a ? 1 - beta / a / size : 0;
        for (let k = 0; k < width; k++) out[start + k] = factor > 0 ? factor * out[start + k] : 0;
      }
      from += count * width;
    });
  }

  private coordinates(vector: Float64Array, from: number, out: Float64Array, to: number): void {
    const { width, rank, basis } = this;
    for (let j = 0; j < rank; j++) out[to + j] = dot(basis, j * width, vector, from, width);
  }

  private lift(z: Float64Array): Float64Array {
    const { width, rank, basis, image } = this;
    image.fill(0);
    for (let j = 0; j < rank; j++) {
      const factor = z[j];
      for (let k = 0; k < width; k++) image[k] += factor * basis[j * width + k];
    }
    return image;
  }

  private minimise(
    z: Float64Array,
    count: number,
    curvature: number,
    a: number,
    threshold: number,
    inverse: Float64Array,
  ): void {
    const { rank, slope, step, trial, hessian } = this;
    let value = this.value(z, count, curvature, a, threshold, inverse);
    for (let round = 0; round < 40; round++) {
      const scale = this.derivatives(z, count, curvature, a, threshold, inverse);
      let size = 0;
      for (let k = 0; k < rank; k++) size = Math.max(size, Math.abs(slope[k]));
      if (size <= 1e-9 * scale) return;
      step.set(slope);
      if (!solveInPlace(hessian, step, rank)) return;
      const descent = dot(slope, 0, step, 0, rank);
      let length = 1;
      let next = value;
      for (let attempt = 0; attempt < 40; attempt++) {
        for (let k = 0; k < rank; k++) trial[k] = z[k] - length * step[k];
        next = this.value(trial, count, curvature, a, threshold, inverse);
        if (next <= value - 1e-4 * length * descent || descent <= 1e-14 * Math.abs(value)) break;
        length /= 2;
      }
      z.set(trial);
      if (descent <= 1e-14 * Math.abs(value)) return;
      value = next;
    }
  }

  private value(
    z: Float64Array,
    count: number,
    curvature: number,
    a: number,
    threshold: number,
    inverse: Float64Array,
  ): number {
    const { rank, squares, seen, sumSeen } = this;
    let value = dot(z, 0, sumSeen, 0, rank);
    for (let j = 0; j < rank; j++) value += (z[j] * dot(inverse, j * rank, z, 0, rank)) / (2 * curvature);
    const own = dot(z, 0, z, 0, rank) / (a * a);
    for (let p = 0; p < count; p++) {
      const square = squares[p] - (2 * dot(seen, p * rank, z, 0, rank)) / a + own;
      const excess = Math.sqrt(Math.max(0, square)) - threshold;
      if (excess > 0) value += (a / 2) * excess * excess;
    }
    return value;
  }

  private derivatives(
    z: Float64Array,
    count: number,
    curvature: number,
    a: number,
    threshold: number,
    inverse: Float64Array,
  ): number {
    const { rank, squares, seen, sumSeen, slope, hessian, trial } = this;
    let scale = 0;
    for (let j = 0; j < rank; j++) {
      const first = dot(inverse, j * rank, z, 0, rank) / curvature;
      slope[j] = first + sumSeen[j];
      scale = Math.max(scale, Math.abs(first), Math.abs(sumSeen[j]));
    }
    for (let k = 0; k < hessian.length; k++) hessian[k] = inverse[k] / curvature;
    const own = dot(z, 0, z, 0, rank) / (a * a);
    let identity = 0;
    for (let p = 0; p < count; p++) {
      const square = squares[p] - (2 * dot(seen, p * rank, z, 0, rank)) / a + own;
      const size = Math.sqrt(Math.max(0, square));
      if (size <= threshold) continue;
      const factor = 1 - threshold / size;
      identity += factor / a;
      const outer = threshold / (a * size * square);
      for (let j = 0; j < rank; j++) trial[j] = seen[p * rank + j] - z[j] / a;
      for (let j = 0; j < rank; j++) {
        slope[j] -= factor * trial[j];
        scale = Math.max(scale, Math.abs(factor * trial[j]));
        const weight = outer * trial[j];
        for (let k = 0; k <= j; k++) hessian[j * rank + k] += weight * trial[k];
      }
    }
    for (let j = 0; j < rank; j++) hessian[j * (rank + 1)] += identity;
    return scale;
  }
}

/** Directions kept. */
const RANK = 32;

/** Picked samples `[m, D]` and, per class, the bits of its gates in use on them, `[m, count]`. */
export function lowRankMetric(
  points: Float64Array,
  samples: number,
  width: number,
  bits: readonly { readonly values: Float64Array; readonly count: number }[],
  kernels: Kernels,
  /** Longest perturbation: every sample moves by as much in some direction. */
  reach: number,
): LowRankMetric {
  const most = Math.max(1, ...bits.map(({ count }) => count));
  const m = samples;
  const workspace = kernels.workspace(
    workspaceSize(m * width, m * m, m * m, m, m * RANK, m * m, m * most, m * m, m, m),
  );
  const x = workspace.float64(m * width);
  x.set(points);
  const gram = workspace.float64(m * m);
  const vectors = workspace.float64(m * m);
  const values = workspace.float64(m);
  workspace.syrk(false, m, width, 1 / m, x, width, 0, gram, m);
  vectors.set(gram);
  workspace.syevd(m, vectors, m, values);
  const largest = values[m - 1];
  let rank = 0;
  while (rank < Math.min(RANK, m, width) && values[m - 1 - rank] > 1e-6 * largest && largest > 0) rank++;
  // U_j = X'v_j / sqrt(m lambda_j);  U_j'x_i = sqrt(m lambda_j) v_ji
  const basis = new Float64Array(rank * width);
  const seen = workspace.float64(m * rank);
  for (let j = 0; j < rank; j++) {
    const at = (m - 1 - j) * m;
    const size = Math.sqrt(m * values[m - 1 - j]);
    for (let i = 0; i < m; i++) {
      const weight = vectors[at + i] / size;
      for (let k = 0; k < width; k++) basis[j * width + k] += weight * points[i * width + k];
      seen[i * rank + j] = size * vectors[at + i];
    }
  }
  // x_i'x_j - x_i'UU'x_j
  const rest = workspace.float64(m * m);
  rest.set(gram);
  if (rank > 0) workspace.syrk(false, m, rank, -1 / m, seen, rank, 1, rest, m);
  const spread = workspace.float64(m * most);
  const [vector, image] = [workspace.float64(m), workspace.float64(m)];
  const product = workspace.float64(m * m);
  let trace = 0;
  for (let i = 0; i < m; i++) trace += gram[i * (m + 1)];
  const classes = bits.map(({ values: open, count }): MetricClass => {
    const share = new Float64Array(m);
    for (let i = 0; i < m; i++) {
      for (let p = 0; p < count; p++) share[i] += open[i * count + p] / count;
      for (let p = 0; p < count; p++) spread[i * count + p] = open[i * count + p] - share[i];
    }
    const shared = new Float64Array(rank * rank);
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < rank; j++) {
        const weight = (share[i] * share[i] * seen[i * rank + j]) / m;
        for (let k = 0; k < rank; k++) shared[j * rank + k] += weight * seen[i * rank + k];
      }
    }
    let size = 0;
    for (let j = 0; j < rank; j++) size += shared[j * (rank + 1)] / rank;
    for (let j = 0; j < rank; j++) shared[j * (rank + 1)] += 1e-3 * size + 1e-12;
    let own = 0;
    if (count > 0) {
      workspace.syrk(false, m, count, 1, spread, count, 0, product, m);
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < m; j++) {
          const at = i * m + j;
          product[at] = product[at] * gram[at] + count * share[i] * share[j] * rest[at];
        }
      }
      own = largestEigenvalue(workspace, product, vector, image);
    }
    own += (count * reach * reach) / width;
    return { count, own: Math.max(own, 1e-4 * count * trace, 1e-12), shared, inverse: inverseOf(shared, rank) };
  });
  return new LowRankMetric(width, rank, basis, classes, kernels);
}

function largestEigenvalue(
  workspace: Workspace,
  matrix: Float64Array,
  vector: Float64Array,
  image: Float64Array,
): number {
  const order = vector.length;
  for (let k = 0; k < order; k++) vector[k] = Math.sin(1 + 1.7 * k);
  let value = 0;
  for (let round = 0; round < 24; round++) {
    const size = Math.sqrt(dot(vector, 0, vector, 0, order)) || 1;
    workspace.symv(order, 1 / size, matrix, order, vector, 0, image);
    value = Math.sqrt(dot(image, 0, image, 0, order));
    if (value === 0) break;
    vector.set(image);
  }
  return value;
}

function dot(a: Float64Array, i: number, b: Float64Array, j: number, length: number): number {
  let sum = 0;
  for (let k = 0; k < length; k++) sum += a[i + k] * b[j + k];
  return sum;
}

// Solves H s = b for symmetric positive H (lower triangle read, destroyed); b becomes s. False when H is not positive definite.
function solveInPlace(h: Float64Array, b: Float64Array, order: number): boolean {
  for (let j = 0; j < order; j++) {
    for (let i = j; i < order; i++) {
      const sum = h[i * order + j] - dot(h, i * order, h, j * order, j);
      if (i > j) h[i * order + j] = sum / h[j * (order + 1)];
      else if (sum > 0) h[j * (order + 1)] = Math.sqrt(sum);
      else return false;
    }
  }
  for (let j = 0; j < order; j++) b[j] = (b[j] - dot(h, j * order, b, 0, j)) / h[j * (order + 1)];
  for (let j = order - 1; j >= 0; j--) {
    let sum = b[j];
    for (let k = j + 1; k < order; k++) sum -= h[k * order + j] * b[k];
    b[j] = sum / h[j * (order + 1)];
  }
  return true;
}

function inverseOf(matrix: Float64Array, order: number): Float64Array {
  const inverse = new Float64Array(order * order);
  for (let c = 0; c < order; c++) {
    const column = new Float64Array(order);
    column[c] = 1;
    solveInPlace(matrix.slice(), column, order);
    for (let j = 0; j < order; j++) inverse[j * order + c] = column[j];
  }
  return inverse;
}
