// The long loops of the restricted master (master.ts) over its table H, by columns: entry (e, j) at j * stride + e. Four columns at a
// time and the cuts in chunks, so that what is written stays in the cache. Functions of their own stay compiled between masters.

/** Cuts looked at at a time. */
const chunk = 1024;

/** slack_e <- 1 - sum over the `used` columns j listed in `present` of t_j H_ej, for the cuts 0 .. cuts - 1. */
export function slackOf(
  slack: Float64Array,
  table: Float64Array,
  stride: number,
  cuts: number,
  t: Float64Array,
  present: Int32Array,
  used: number,
): void {
  slack.fill(1, 0, cuts);
  for (let from = 0; from < cuts; from += chunk) {
    const to = Math.min(cuts, from + chunk);
    let f = 0;
    for (; f + 4 <= used; f += 4) {
      const t0 = t[present[f]];
      const t1 = t[present[f + 1]];
      const t2 = t[present[f + 2]];
      const t3 = t[present[f + 3]];
      const p0 = present[f] * stride;
      const p1 = present[f + 1] * stride;
      const p2 = present[f + 2] * stride;
      const p3 = present[f + 3] * stride;
      for (let e = from; e < to; e++) {
        slack[e] -= t0 * table[p0 + e] + t1 * table[p1 + e] + t2 * table[p2 + e] + t3 * table[p3 + e];
      }
    }
    for (; f < used; f++) {
      const size = t[present[f]];
      for (let e = from, p = present[f] * stride + from; e < to; e++, p++) slack[e] -= size * table[p];
    }
  }
}

/** gradient_j <- beta - sum over the cuts of p_e H_ej, for the columns 0 .. count - 1. */
export function gradientOf(
  gradient: Float64Array,
  table: Float64Array,
  stride: number,
  cuts: number,
  weights: Float64Array,
  beta: number,
  count: number,
): void {
  gradient.fill(beta, 0, count);
  for (let from = 0; from < cuts; from += chunk) {
    const to = Math.min(cuts, from + chunk);
    let j = 0;
    for (; j + 4 <= count; j += 4) {
      const p0 = j * stride;
      const p1 = p0 + stride;
      const p2 = p1 + stride;
      const p3 = p2 + stride;
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      for (let e = from; e < to; e++) {
        const p = weights[e];
        s0 += p * table[p0 + e];
        s1 += p * table[p1 + e];
        s2 += p * table[p2 + e];
        s3 += p * table[p3 + e];
      }
      gradient[j] -= s0;
      gradient[j + 1] -= s1;
      gradient[j + 2] -= s2;
      gradient[j + 3] -= s3;
    }
    for (; j < count; j++) {
      let sum = 0;
      for (let e = from, p = j * stride + from; e < to; e++, p++) sum += weights[e] * table[p];
      gradient[j] -= sum;
    }
  }
}

/**
 * Sum over the groups g of kappa_g times max over q >= 0, sum q <= 1 of q'm - width/2 ||q||^2, m the slack of the group's cuts
 * starts_g .. starts_{g + 1} - 1; kappa_g q into `weights`. With one cut this is the Huber hinge. `samples` names each group's kappa.
 */
export function smoothedMaxima(
  slack: Float64Array,
  weights: Float64Array,
  starts: Int32Array,
  samples: Int32Array,
  hingeWeights: Float64Array,
  width: number,
): number {
  let total = 0;
  for (let g = 0; g < samples.length; g++) {
    const kappa = hingeWeights[samples[g]];
    const from = starts[g];
    const to = starts[g + 1];
    let threshold = 0;
    let support = 0;
    for (let previous = -1; ; ) {
      let sum = 0;
      support = 0;
      for (let e = from; e < to; e++) {
        if (slack[e] > threshold) {
          sum += slack[e];
          support++;
        }
      }
      if (support === 0 || support === previous) break;
      previous = support;
      const next = (sum - width) / support;
      if (!(next > threshold)) break;
      threshold = next;
    }
    let own = 0;
    for (let e = from; e < to; e++) {
      const m = slack[e];
      const q = m > threshold ? (m - threshold) / width : 0;
      weights[e] = kappa * q;
      own += q * (m - 0.5 * width * q);
    }
    total += kappa * own;
  }
  return total;
}

/** gathered[row, f] <- roots_row H_ej, e = active_row and j = columns_f, `[rows, count]`. */
export function gatherColumns(
  gathered: Float64Array,
  table: Float64Array,
  stride: number,
  columns: Int32Array,
  count: number,
  active: Int32Array,
  roots: Float64Array,
  rows: number,
): void {
  for (let f = 0; f < count; f++) {
    const column = columns[f] * stride;
    for (let row = 0, p = f; row < rows; row++, p += count) gathered[p] = roots[row] * table[column + active[row]];
  }
}
