// Exact feasibility of ReLU pieces. violation(v) = max_i radius ||v||_{q*} - s_i x_i'v, at least 0, evaluated in float64 in the order written
// here; "feasible" means that this number is exactly 0. The margin is concave and positively homogeneous, so a piece just outside its cone is
// moved inside by adding a little of an interior direction, and dropped if rounding defeats that: zero is always feasible.
// pieces: [2, P, outputs, D]   directions: [P, D]

import { lengthOf } from "../ballSupport.js";
import type { Objective } from "../program/objective.js";
import { regulariserOf, sampleLoss } from "../program/objective.js";
import type { ReluProgram } from "../program/program.js";

/** How far pieces are outside their robust cones. */
export interface ConeViolation {
  readonly maximum: number;
  /** Mean over all samples and pieces. */
  readonly mean: number;
}

/** Largest and mean violation of the robust cones over all samples and pieces `[2, P, outputs, D]`. */
export function coneViolation(program: ReluProgram, pieces: Float64Array): ConeViolation {
  const { samples, width, outputs, gateCount, featureCount, dualExponent, radius, inputs, bits } = program;
  const groups = pieces.length / width;
  let maximum = 0;
  let total = 0;
  for (let g = 0; g < groups; g++) {
    const from = g * width;
    if (isZero(pieces, from, width)) continue;
    const p = Math.floor(g / outputs) % gateCount;
    const reach = radius > 0 ? radius * lengthOf(pieces, from, featureCount, dualExponent) : 0;
    for (let i = 0; i < samples; i++) {
      let score = 0;
      for (let k = 0; k < width; k++) score += inputs[i * width + k] * pieces[from + k];
      if (bits[i * gateCount + p] === 0) score = -score;
      if (score >= reach) continue;
      maximum = Math.max(maximum, reach - score);
      total += reach - score;
    }
  }
  return { maximum, mean: groups > 0 ? total / (groups * samples) : 0 };
}

/** Moves every piece into its cone in place, or drops it. `directions` holds zeros for gates without an interior direction. */
export function makeFeasible(program: ReluProgram, pieces: Float64Array, directions: Float64Array): void {
  const { width, outputs, gateCount } = program;
  const groups = pieces.length / width;
  for (let g = 0; g < groups; g++) {
    const p = Math.floor(g / outputs) % gateCount;
    const part = pieces.subarray(g * width, (g + 1) * width);
    const inside = directions.subarray(p * width, (p + 1) * width);
    const size = lengthOf(part, 0, width, 2);
    const room = -excess(program, p, inside);
    for (let attempt = 0; attempt < 60; attempt++) {
      const out = excess(program, p, part);
      if (out <= 0) break;
      if (!(room > 0) || attempt === 59) part.fill(0);
      else {
        const step = (out / room) * (1 + 1e-9) + 1e-16 * size * 2 ** attempt;
        for (let k = 0; k < width; k++) part[k] += step * inside[k];
      }
    }
  }
}

/** max_i radius ||v||_{q*} - s_i x_i'v of one piece of gate p; 0 for the zero piece. */
export function excess(program: ReluProgram, p: number, v: Float64Array): number {
  const { samples, width, gateCount, featureCount, dualExponent, radius, inputs, bits } = program;
  if (isZero(v, 0, width)) return 0;
  const reach = radius > 0 ? radius * lengthOf(v, 0, featureCount, dualExponent) : 0;
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < samples; i++) {
    let score = 0;
    for (let k = 0; k < width; k++) score += inputs[i * width + k] * v[k];
    if (bits[i * gateCount + p] === 0) score = -score;
    if (score < least) least = score;
  }
  return reach - least;
}

/** Objective of pieces `[2, P, outputs, D]`; gates without pieces cost nothing. */
export function reluObjective(program: ReluProgram, pieces: Float64Array): Objective {
  const { samples, width, outputs, gateCount, bits, beta } = program;
  const half = pieces.length / 2;
  const row = outputs * width;
  const used: number[] = [];
  const difference = new Float64Array(half);
  for (let k = 0; k < half; k++) difference[k] = pieces[k] - pieces[half + k];
  for (let p = 0; p < gateCount; p++) if (!isZero(difference, p * row, row)) used.push(p);
  const sums = new Float64Array(row);
  const spare = new Float64Array(width);
  let loss = 0;
  for (let i = 0; i < samples; i++) {
    sums.fill(0);
    for (const p of used) {
      if (bits[i * gateCount + p] === 0) continue;
      for (let k = 0; k < row; k++) sums[k] += difference[p * row + k];
    }
    loss += sampleLoss(program, i, sums, spare);
  }
  loss /= samples;
  const regulariser = beta * regulariserOf(program, pieces);
  return { total: loss + regulariser, loss, regulariser };
}

function isZero(values: Float64Array, from: number, length: number): boolean {
  for (let k = from; k < from + length; k++) if (values[k] !== 0) return false;
  return true;
}
