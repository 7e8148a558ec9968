// The part of the Schur complement (schur.ts) that belongs to rank-one matrices w u u': T = p q' with p = Y u, q = S^-1 u, against entries and
// against each other.

import type { PsdBlock } from "./reducedProblem.js";
import type { SchurScratch } from "./schur.js";

/** H (lower triangle, `[m, m]`) += what rank-one terms give; `left` and `right` of the scratch hold p and q. */
export function addRankOne(
  block: PsdBlock,
  { left: p, right: q }: SchurScratch,
  y: Float64Array,
  inverse: Float64Array,
  h: Float64Array,
  m: number,
): void {
  const { order: n, terms, rankOne } = block;
  const { variable, start, row, column, value } = terms;
  const add = (j: number, k: number, amount: number) => {
    h[j > k ? j * m + k : k * m + j] += amount;
  };
  for (let s = 0; s < rankOne.length; s++) {
    const { variable: k, weight, vector } = rankOne[s];
    for (let i = 0; i < n; i++) {
      let sumY = 0;
      let sumInverse = 0;
      for (let j = 0; j < n; j++) {
        sumY += y[i * n + j] * vector[j];
        sumInverse += inverse[i * n + j] * vector[j];
      }
      p[i] = sumY;
      q[i] = sumInverse;
    }
    for (let g = 0; g < variable.length; g++) {
      let sum = 0;
      for (let e = start[g]; e < start[g + 1]; e++) {
        const i = row[e];
        const j = column[e];
        sum += i === j ? value[e] * p[i] * q[i] : value[e] * (p[i] * q[j] + p[j] * q[i]);
      }
      add(variable[g], k, weight * sum * (variable[g] === k ? 2 : 1));
    }
    for (let t = 0; t <= s; t++) {
      const other = rankOne[t];
      let dotY = 0;
      let dotInverse = 0;
      for (let i = 0; i < n; i++) {
        dotY += other.vector[i] * p[i];
        dotInverse += other.vector[i] * q[i];
      }
      const twice = t < s && other.variable === k ? 2 : 1;
      add(other.variable, k, weight * other.weight * dotY * dotInverse * twice);
    }
  }
}
