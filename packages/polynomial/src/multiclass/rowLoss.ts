// Loss of one sample from the slacks m = 1 - w of its k rows, smoothed by a width (0: exact):
//   sum (Weston-Watkins, or a single row's hinge):  max over 0 <= q <= 1        of q'm - width/2 ||q||^2
//   max (Crammer-Singer):                           max over q >= 0, sum q <= 1 of q'm - width/2 ||q||^2
// The maximiser q is the derivative; p = kappa q are the dual weights, feasible by construction.

export type RowLoss = "sum" | "max";

/** Value of sum_i kappa_i loss_i; fills `weights` with p. slacks, weights: `[samples * k]`, kappa: `[samples]` */
export function evaluateRows(
  loss: RowLoss,
  slacks: Float64Array,
  k: number,
  kappa: Float64Array,
  width: number,
  weights: Float64Array,
): number {
  let total = 0;
  for (let i = 0; i < kappa.length; i++) {
    const at = i * k;
    total +=
      kappa[i] *
      (loss === "sum" || k === 1 ? sumRow(slacks, at, k, width, weights) : maxRow(slacks, at, k, width, weights));
    for (let r = at; r < at + k; r++) weights[r] *= kappa[i];
  }
  return total;
}

function sumRow(m: Float64Array, at: number, k: number, width: number, q: Float64Array): number {
  let total = 0;
  for (let r = at; r < at + k; r++) {
    if (!(m[r] > 0)) {
      q[r] = 0;
      if (Number.isNaN(m[r])) total = Number.NaN;
    } else if (m[r] < width) {
      q[r] = m[r] / width;
      total += (0.5 * m[r] * m[r]) / width;
    } else {
      q[r] = 1;
      total += m[r] - 0.5 * width;
    }
  }
  return total;
}

function maxRow(m: Float64Array, at: number, k: number, width: number, q: Float64Array): number {
  let largest = 0;
  let first = -1;
  for (let r = at; r < at + k; r++) {
    q[r] = 0;
    if (Number.isNaN(m[r])) return Number.NaN;
    if (m[r] > largest) {
      largest = m[r];
      first = r;
    }
  }
  if (first < 0) return 0;
  if (width === 0) {
    q[first] = 1;
    return largest;
  }
  // Projection of m / width on the simplex with slack: subtract a threshold >= 0 so that the sum is at most 1.
  let threshold = 0;
  for (let count = 0, previous = -1; ; ) {
    let sum = 0;
    count = 0;
    for (let r = at; r < at + k; r++) {
      if (m[r] > threshold) {
        sum += m[r];
        count++;
      }
    }
    const next = Math.max(0, (sum - width) / count);
    if (count === previous || next <= threshold) {
      threshold = Math.max(threshold, next);
      break;
    }
    previous = count;
    threshold = next;
  }
  let total = 0;
  for (let r = at; r < at + k; r++) {
    if (!(m[r] > threshold)) continue;
    q[r] = (m[r] - threshold) / width;
    total += q[r] * (m[r] - 0.5 * width * q[r]);
  }
  return total;
}
