// The longest step that keeps M + t D positive semidefinite, from M = L L': 1 / max(0, -smallest eigenvalue of
// L^-1 D L^-T). Small orders by a full decomposition, others by Lanczos. A Lanczos value lies above the smallest
// eigenvalue by at most its residual, so value minus residual never promises too long a step (Toh, SIAM J. Optim. 12, 2002).

import type { Workspace } from "@worstcase/linalg/kernels";

const EXACT_ORDER = 16;
const MAXIMUM_LANCZOS = 60;

/** Numbers of workspace that `smallestRatio` needs for one order. */
export function stepScratch(order: number): number[] {
  return order <= EXACT_ORDER ? [order * order, order] : [order, order, order, order];
}

/** A lower bound, tight to a few percent, of the smallest eigenvalue of L^-1 D L^-T. `multiply` sets y = D x. */
export function smallestRatio(
  workspace: Workspace,
  order: number,
  l: Float64Array,
  d: Float64Array,
  scratch: readonly Float64Array[],
): number {
  if (order <= EXACT_ORDER) {
    const [b, eigenvalues] = scratch;
    b.set(d);
    workspace.trsm("left", false, order, order, l, order, b, order);
    workspace.trsm("right", true, order, order, l, order, b, order);
    return workspace.syevd(order, b, order, eigenvalues) === 0 ? eigenvalues[0] : Number.NEGATIVE_INFINITY;
  }
  return lanczos(workspace, order, l, d, scratch);
}

function lanczos(
  workspace: Workspace,
  n: number,
  l: Float64Array,
  d: Float64Array,
  [q, previous, t, w]: readonly Float64Array[],
): number {
  const diagonal: number[] = [];
  const offDiagonal: number[] = [];
  // a fixed start without symmetry
  let size = 0;
  for (let i = 0; i < n; i++) {
    q[i] = Math.sin(1.7 * i + 0.3) + 0.25 * Math.cos(0.31 * i * i);
    size += q[i] * q[i];
  }
  size = 1 / Math.sqrt(size);
  for (let i = 0; i < n; i++) q[i] *= size;
  previous.fill(0);
  let beta = 0;
  for (let k = 1; ; k++) {
    t.set(q);
    workspace.trsv(true, n, l, n, t);
    workspace.symv(n, 1, d, n, t, 0, w);
    workspace.trsv(false, n, l, n, w);
    let alpha = 0;
    for (let i = 0; i < n; i++) alpha += w[i] * q[i];
    let square = 0;
    for (let i = 0; i < n; i++) {
      const value = w[i] - alpha * q[i] - beta * previous[i];
      square += value * value;
      w[i] = value;
    }
    diagonal.push(alpha);
    beta = Math.sqrt(square);
    if (!Number.isFinite(beta)) return Number.NEGATIVE_INFINITY;
    const last = k === n || k === MAXIMUM_LANCZOS || beta < 1e-14 * Math.abs(diagonal[0]);
    if (last || (k > 4 && k % 3 === 0)) {
      const { value, tail } = smallestOfTridiagonal(diagonal, offDiagonal);
      const residual = beta * tail;
      // more precision only where the step would be shorter than about 1
      if (last || residual <= 0.02 * Math.abs(value) || (value - residual > -0.2 && residual < 0.1))
        return value - residual;
    }
    offDiagonal.push(beta);
    previous.set(q);
    for (let i = 0; i < n; i++) q[i] = w[i] / beta;
  }
}

/** Smallest eigenvalue of a symmetric tridiagonal matrix and the absolute last entry of its unit eigenvector. */
export function smallestOfTridiagonal(
  diagonal: readonly number[],
  offDiagonal: readonly number[],
): { value: number; tail: number } {
  const k = diagonal.length;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.POSITIVE_INFINITY;
  for (let i = 0; i < k; i++) {
    const radius = (i > 0 ? Math.abs(offDiagonal[i - 1]) : 0) + (i < k - 1 ? Math.abs(offDiagonal[i]) : 0);
    low = Math.min(low, diagonal[i] - radius);
    high = Math.min(high, diagonal[i]);
  }
  // bisection on the sign of the first pivots: x is below the smallest eigenvalue when all pivots are positive
  const below = (x: number) => {
    let pivot = diagonal[0] - x;
    for (let i = 1; pivot > 0 && i < k; i++)
      pivot = diagonal[i] - x - (offDiagonal[i - 1] * offDiagonal[i - 1]) / pivot;
    return pivot > 0;
  };
  for (let step = 0; step < 60 && high - low > 1e-13 * Math.max(Math.abs(low), Math.abs(high)); step++) {
    const middle = (low + high) / 2;
    if (below(middle)) low = middle;
    else high = middle;
  }
  // with the pivots of T - low I = L D L' all positive, one inverse iteration from the last unit vector gives its tail
  const pivots = [diagonal[0] - low];
  for (let i = 1; i < k; i++)
    pivots.push(diagonal[i] - low - (offDiagonal[i - 1] * offDiagonal[i - 1]) / pivots[i - 1]);
  let entry = 1;
  let square = 1;
  for (let i = k - 2; i >= 0; i--) {
    entry *= -offDiagonal[i] / (pivots[i] > 0 ? pivots[i] : Number.MIN_VALUE);
    square += entry * entry;
    if (!Number.isFinite(square)) return { value: low, tail: 0 };
  }
  return { value: low, tail: 1 / Math.sqrt(square) };
}
