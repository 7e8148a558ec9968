// Objective of the best constant scores t_1 .. t_C under the two multi-class hinges, for the collapse detector (no regulariser):
//   sum: min over t of sum_y W_y sum_{c != y} max(0, 1 - t_y + t_c)      max: the same with max over c
// The first is a network linear program: an optimum is integer, ordered as the class weights W, with steps of 0 or 1 between
// neighbours, so it is a cut of the ordered classes into levels. The second is min(1, 2 (1 - largest share)) of the total.

import type { RowLoss } from "./rowLoss.js";

/** classMass: sum of kappa over the samples of each class, `[classes]`. */
export function bestConstantObjective(classMass: Float64Array, loss: RowLoss): number {
  const masses = Float64Array.from(classMass).sort();
  const total = masses.reduce((sum, mass) => sum + mass, 0);
  const count = masses.length;
  if (loss === "max") return Math.min(total, 2 * (total - masses[count - 1]));
  const below = new Float64Array(count + 1);
  for (let c = 0; c < count; c++) below[c + 1] = below[c] + masses[c];
  // cost[e]: least cost of the first e classes in levels ending at e. A pair inside a level costs both masses; a pair across
  // levels costs the lower one's mass once, and once more for every boundary between them.
  const cost = new Float64Array(count + 1).fill(Number.POSITIVE_INFINITY);
  cost[0] = 0;
  for (let e = 1; e <= count; e++) {
    for (let from = 0; from < e; from++) {
      const level = below[e] - below[from];
      const inside = (e - from - 1) * level;
      const across = (count - e) * level;
      const boundary = from === 0 ? 0 : (count - from) * below[from];
      cost[e] = Math.min(cost[e], cost[from] + inside + across + boundary);
    }
  }
  return cost[count];
}
