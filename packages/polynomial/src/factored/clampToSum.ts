// Projection onto { 0 <= w_i <= most_i, sum w_i = total }: w_i = clip(v_i - shift, 0, most_i), the shift by bisection.

/** In place; `total` must lie between 0 and the sum of `most`. */
export function clampToSum(values: Float64Array, most: Float64Array, total: number): void {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) {
    low = Math.min(low, values[i] - most[i]);
    high = Math.max(high, values[i]);
  }
  // At `low` every value is at its most, at `high` at zero.
  for (let halving = 0; halving < 60 && low < high; halving++) {
    const middle = 0.5 * (low + high);
    if (middle <= low || middle >= high) break;
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += Math.min(most[i], Math.max(0, values[i] - middle));
    if (Math.abs(sum - total) <= 1e-14 * total) {
      low = middle;
      high = middle;
    } else if (sum > total) low = middle;
    else high = middle;
  }
  for (let i = 0; i < values.length; i++) values[i] = Math.min(most[i], Math.max(0, values[i] - low));
}
