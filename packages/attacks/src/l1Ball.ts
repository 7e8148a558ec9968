// The l1 ball inside bounds, for one sample with room r_k >= 0 in the direction of each coordinate of z.
//   Euclidean projection: v_k = sign(z_k) min(max(|z_k| - t, 0), r_k) with the smallest t >= 0 that gives ||v||_1 <= epsilon
//   (KKT conditions of ball and box; t by safeguarded Newton steps on a piecewise linear function)
//   linear maximiser: coordinates in order of falling |g_k|, each to its room, until epsilon is spent

/** The threshold t of the projection; 0 when z is inside already. */
export function projectionThreshold(z: Float64Array, room: Float64Array, epsilon: number): number {
  let low = 0;
  let high = 0;
  for (let k = 0; k < z.length; k++) high = Math.max(high, Math.abs(z[k]));
  let t = 0;
  for (let pass = 0; pass < 200; pass++) {
    let total = 0;
    let free = 0;
    for (let k = 0; k < z.length; k++) {
      const value = Math.abs(z[k]) - t;
      if (value <= 0) continue;
      if (value < room[k]) {
        total += value;
        free++;
      } else total += room[k];
    }
    const excess = total - epsilon;
    if (t === 0 && excess <= 0) return 0;
    if (Math.abs(excess) <= 1e-13 * epsilon) return t;
    if (excess > 0) low = t;
    else high = t;
    const newton = free > 0 ? t + excess / free : Number.NaN;
    const next = newton > low && newton < high ? newton : (low + high) / 2;
    if (next === t || high - low <= 1e-16 * high) return high;
    t = next;
  }
  return high;
}

/** Writes the point of the ball with the largest product with `direction`, as a displacement, into `out`. */
export function steepestDisplacement(
  direction: Float64Array,
  room: Float64Array,
  epsilon: number,
  out: Float64Array,
): void {
  const order = Array.from(direction.keys()).sort((a, b) => Math.abs(direction[b]) - Math.abs(direction[a]) || a - b);
  out.fill(0);
  let left = epsilon;
  for (const k of order) {
    if (left <= 0 || direction[k] === 0) break;
    const move = Math.min(left, room[k]);
    out[k] = Math.sign(direction[k]) * move;
    left -= move;
  }
}
