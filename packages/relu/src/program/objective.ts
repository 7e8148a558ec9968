// The objective of a program by its definition (program.ts), one sample at a time: what every trainer reports and every test compares with.
// pieces T: [P, outputs, D]   A: [outputs, D]

import { ballSupport } from "../ballSupport.js";
import type { ReluProgram } from "./program.js";

export interface Objective {
  readonly total: number;
  /** Mean robust loss. */
  readonly loss: number;
  /** beta times the regulariser. */
  readonly regulariser: number;
}

/** The objective of gated pieces T `[P, outputs, D]`. */
export function gatedObjective(program: ReluProgram, pieces: Float64Array): Objective {
  const loss = meanLoss(program, pieces);
  const regulariser = program.beta * regulariserOf(program, pieces);
  return { total: loss + regulariser, loss, regulariser };
}

/** Sum of group norms or of absolute values; `pieces` is any number of groups of D. */
export function regulariserOf({ regulariser, width }: ReluProgram, pieces: Float64Array): number {
  let total = 0;
  for (let from = 0; from < pieces.length; from += width) {
    let sum = 0;
    if (regulariser === "l1") for (let k = from; k < from + width; k++) sum += Math.abs(pieces[k]);
    else for (let k = from; k < from + width; k++) sum += pieces[k] * pieces[k];
    total += regulariser === "l1" ? sum : Math.sqrt(sum);
  }
  return total;
}

/** 1/n sum_i l_i(T) with gates held fixed on the ball. */
export function meanLoss(program: ReluProgram, pieces: Float64Array): number {
  const { samples, gateCount, outputs, width, bits } = program;
  const row = outputs * width;
  const sums = new Float64Array(row);
  const spare = new Float64Array(width);
  let total = 0;
  for (let i = 0; i < samples; i++) {
    sums.fill(0);
    for (let p = 0; p < gateCount; p++) {
      if (bits[i * gateCount + p] === 0) continue;
      for (let k = 0; k < row; k++) sums[k] += pieces[p * row + k];
    }
    total += sampleLoss(program, i, sums, spare);
  }
  return total / samples;
}

/** l_i from A_i `[outputs, D]`; `spare` holds D numbers. */
export function sampleLoss(program: ReluProgram, i: number, sums: Float64Array, spare: Float64Array): number {
  const { task, loss, outputs, width, targets, labels } = program;
  let total = 0;
  for (let o = 0; o < outputs; o++) {
    const target = targets[i * outputs + o];
    if (loss === "squared") {
      spare.set(sums.subarray(o * width, (o + 1) * width));
      const { score, reach } = scoreAndReach(program, i, spare);
      total += (Math.abs(score - target) + reach) ** 2 / 2;
    } else if (task === "two-class") {
      for (let k = 0; k < width; k++) spare[k] = target * sums[k];
      total += pairLoss(program, i, spare);
    } else if (o !== labels[i]) {
      for (let k = 0; k < width; k++) spare[k] = sums[labels[i] * width + k] - sums[o * width + k];
      total += pairLoss(program, i, spare);
    }
  }
  return total;
}

function pairLoss(program: ReluProgram, i: number, difference: Float64Array): number {
  const { score, reach } = scoreAndReach(program, i, difference);
  return marginLoss(program.loss, score - reach);
}

/** Hinge or logistic loss of a margin. */
export function marginLoss(loss: ReluProgram["loss"], margin: number): number {
  if (loss === "hinge") return Math.max(0, 1 - margin);
  return margin > 0 ? Math.log1p(Math.exp(-margin)) : Math.log1p(Math.exp(margin)) - margin;
}

function scoreAndReach(program: ReluProgram, i: number, a: Float64Array): { score: number; reach: number } {
  const { inputs, width, featureCount, norm, radius } = program;
  let score = 0;
  for (let k = 0; k < width; k++) score += a[k] * inputs[i * width + k];
  return { score, reach: ballSupport(a, 0, featureCount, norm, radius) };
}
