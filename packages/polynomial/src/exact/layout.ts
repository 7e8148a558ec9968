// Symmetric matrices of order p = d + 1 with W[d][d] = trace of the leading block, as vectors, and sums of symmetric
// Kronecker products on them (solvers.md 3).
//   entries: upper triangle row by row, N = p (p + 1) / 2; the corner is the last one and depends on the others, so a
//   vector has N - 1 free numbers. gradient(M)_k = d <M, W(v)> / d v_k = weight_k M_k (+ M_corner on diagonal entries).
//   <E_ab, sum_i C_i E_cd D_i> = (K[bc,da] + K[ac,db] + K[bd,ca] + K[ad,cb]) / 4,   K = sum_i upper(C_i) upper(D_i)'

/** Number of features d, order p = d + 1, entries N, free numbers N - 1. */
export interface Dimensions {
  readonly features: number;
  readonly order: number;
  readonly entries: number;
  readonly free: number;
}

export interface Layout extends Dimensions {
  /** Row and column of entry k, `[N]`, and entry of (row, column), `[p, p]`. */
  readonly row: Int32Array;
  readonly column: Int32Array;
  readonly entry: Int32Array;
  /** Factors a, b/2, c of the lift of a pair to the coefficients of the quadratic, `[p, p]`. */
  readonly lift: Float64Array;
  /** 1 on the diagonal, else 2, `[N]`; and the same times the lift. */
  readonly weight: Float64Array;
  readonly liftedWeight: Float64Array;
}

export function dimensionsOf(features: number): Dimensions {
  const order = features + 1;
  const entries = (order * (order + 1)) / 2;
  return { features, order, entries, free: entries - 1 };
}

export function createLayout(features: number, activation: { a: number; b: number; c: number }): Layout {
  const dimensions = dimensionsOf(features);
  const { features: d, order: p, entries } = dimensions;
  const row = new Int32Array(entries);
  const column = new Int32Array(entries);
  const entry = new Int32Array(p * p);
  const lift = new Float64Array(p * p).fill(activation.a);
  for (let k = 0; k < d; k++) lift[k * p + d] = lift[d * p + k] = 0.5 * activation.b;
  lift[d * p + d] = activation.c;
  const weight = new Float64Array(entries);
  const liftedWeight = new Float64Array(entries);
  let next = 0;
  for (let i = 0; i < p; i++) {
    for (let j = i; j < p; j++) {
      row[next] = i;
      column[next] = j;
      entry[i * p + j] = entry[j * p + i] = next;
      weight[next] = i === j ? 1 : 2;
      liftedWeight[next] = weight[next] * lift[i * p + j];
      next++;
    }
  }
  // A plain literal: one made by spreading has a new hidden class in every solve, and the loops on it are compiled anew.
  return { features: d, order: p, entries, free: dimensions.free, row, column, entry, lift, weight, liftedWeight };
}

/** target <- target + factor * gradient of <matrix, W(v)>; matrix symmetric `[p, p]`, target `[N]` (corner left alone). */
export function addGradient(
  { order, features, entries, row, column, weight, liftedWeight, entry }: Layout,
  matrix: Float64Array,
  lifted: boolean,
  factor: number,
  target: Float64Array,
  from = 0,
): void {
  const scale = lifted ? liftedWeight : weight;
  const last = entries - 1;
  for (let k = 0; k < last; k++) target[from + k] += factor * scale[k] * matrix[row[k] * order + column[k]];
  const corner = factor * scale[last] * matrix[order * order - 1];
  for (let j = 0; j < features; j++) target[from + entry[j * order + j]] += corner;
}

/** matrix <- W(v), symmetric `[p, p]` with the corner equal to the trace of the rest. */
export function expand(
  { order, features, free, row, column }: Layout,
  vector: Float64Array,
  matrix: Float64Array,
): void {
  for (let k = 0; k < free; k++) {
    const value = vector[k];
    matrix[row[k] * order + column[k]] = value;
    matrix[column[k] * order + row[k]] = value;
  }
  let trace = 0;
  for (let j = 0; j < features; j++) trace += matrix[j * order + j];
  matrix[order * order - 1] = trace;
}

/** Upper triangle of a symmetric matrix, unweighted, into `[N]` numbers of target. */
export function pack({ order }: Layout, matrix: Float64Array, at: number, target: Float64Array, from: number): void {
  let next = from;
  for (let i = 0; i < order; i++) {
    for (let j = i, q = at + i * order + i; j < order; j++) target[next++] = matrix[q++];
  }
}

/**
 * Adds the matrix of the operator sum_i C_i W D_i (symmetric part) between gradients to the lower triangle of hessian,
 * `[N, N]`, from K = sum_i upper(C_i) upper(D_i)', `[N, N]`, which is symmetrised in place. The corner is folded into the
 * diagonal entries; its own row is scratch.
 */
export function addKronecker(layout: Layout, k: Float64Array, lifted: boolean, hessian: Float64Array): void {
  const { order: p, features: d, entries: n, entry, weight, liftedWeight } = layout;
  const scale = lifted ? liftedWeight : weight;
  symmetriseBlocked(k, n);
  const last = n - 1;
  hessian.fill(0, last * n, n * n);
  // With K symmetric the four terms are two: (K[ea, cb] + K[eb, ca]) / 2. All rows read for one e stay in the cache.
  for (let e = 0; e < p; e++) {
    const entriesE = e * p;
    for (let c = 0; c <= e; c++) {
      const entriesC = c * p;
      const v = entry[entriesC + e];
      const factor = 0.5 * scale[v];
      const target = v * n;
      for (let a = 0, u = 0; a <= c; a++) {
        const row = entry[entriesE + a] * n;
        const column = entry[entriesC + a];
        const end = a < c ? p : e + 1;
        for (let b = a; b < end; b++, u++) {
          hessian[target + u] +=
            factor * scale[u] * (k[row + entry[entriesC + b]] + k[entry[entriesE + b] * n + column]);
        }
      }
    }
  }
  const corner = last * n;
  for (let j = 0; j < d; j++) {
    const g = entry[j * (p + 1)];
    for (let u = 0; u < g; u++) hessian[g * n + u] += hessian[corner + u];
    hessian[g * n + g] += 2 * hessian[corner + g];
    for (let u = g + 1; u < last; u++) hessian[u * n + g] += hessian[corner + u];
  }
  const both = hessian[corner + last];
  for (let i = 0; i < d; i++) for (let j = 0; j <= i; j++) hessian[entry[i * (p + 1)] * n + entry[j * (p + 1)]] += both;
}

/** k <- (k + k') / 2, in tiles that stay in the cache. */
function symmetriseBlocked(k: Float64Array, n: number): void {
  const tile = 32;
  for (let top = 0; top < n; top += tile) {
    for (let left = 0; left <= top; left += tile) {
      const bottom = Math.min(n, top + tile);
      for (let i = top; i < bottom; i++) {
        const right = Math.min(i, left + tile);
        for (let j = left; j < right; j++) {
          const mean = 0.5 * (k[i * n + j] + k[j * n + i]);
          k[i * n + j] = mean;
          k[j * n + i] = mean;
        }
      }
    }
  }
}
