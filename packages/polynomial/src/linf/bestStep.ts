// Line search of the barrier methods: the best of a geometric sequence of steps along a Newton direction.

/**
 * The best of a sequence of steps along a Newton direction, 0 when none decreases the barrier: falling, since the first that does may
 * lie next to the boundary, or rising, since away from there a Newton step only doubles the distance.
 */
export function bestStep(valueAt: (length: number) => number, decrement: number): number {
  const start = valueAt(0);
  let [least, found] = [Number.POSITIVE_INFINITY, 0];
  for (let length = 1; length > 1e-8; length *= 0.7) {
    const value = valueAt(length);
    if (found > 0 && value >= least) break;
    if (value < start - 0.1 * length * decrement * decrement) [least, found] = [value, length];
  }
  if (found < 1) return found;
  for (let length = 3; length < 1e12; length *= 3) {
    const value = valueAt(length);
    if (!(value < least)) break;
    [least, found] = [value, length];
  }
  return found;
}
