// Perturbation budgets in input units, projection onto them, and measured distances.

import { type NumericBatch, sampleCount, sampleSize } from "./batch.js";
import { SettingError } from "./errors.js";

export type Norm = "linf" | "l2" | "l1";

/** An attack budget in input units (pixels in [0, 1]: 8/255, not 8). Never a training radius: that one is a {@link Radius}. */
export interface Budget {
  readonly norm: Norm;
  readonly epsilon: number;
}

/** Range of valid inputs, the same for every coordinate. */
export type Bounds = { readonly lower: number; readonly upper: number } | "unbounded";

/** A training radius in feature space. Kept apart from {@link Budget} by its brand, so the two cannot be exchanged. */
export interface Radius {
  readonly space: "feature";
  readonly norm: Norm;
  readonly value: number;
}

/** The norm whose unit ball is the polar of the given one: 1/q + 1/q* = 1. */
export function dualNorm(norm: Norm): Norm {
  return norm === "l2" ? "l2" : norm === "l1" ? "linf" : "l1";
}

/** Throws SettingError unless epsilon is finite, nonnegative and plausible for the bounds (8 instead of 8/255). */
export function checkBudget(budget: Budget, bounds: Bounds): void {
  const { norm, epsilon } = budget;
  if (norm !== "linf" && norm !== "l2" && norm !== "l1") {
    throw new SettingError({ argument: "budget.norm", expected: "linf, l2 or l1", received: norm });
  }
  if (!Number.isFinite(epsilon) || epsilon < 0) {
    throw new SettingError({ argument: "budget.epsilon", expected: "a finite number >= 0", received: epsilon });
  }
  if (norm === "linf" && bounds !== "unbounded" && epsilon > bounds.upper - bounds.lower) {
    const expected = `at most ${bounds.upper - bounds.lower}, the whole range of inputs [${bounds.lower}, ${bounds.upper}]`;
    const hint = Number.isInteger(epsilon) ? `did you mean ${epsilon} / 255?` : "epsilon is in input units";
    throw new SettingError({ argument: "budget.epsilon", expected, received: epsilon, hint });
  }
}

/** Length of a vector in a norm. */
export function normOf(vector: ArrayLike<number>, norm: Norm, from = 0, to: number = vector.length): number {
  let total = 0;
  if (norm === "linf") for (let i = from; i < to; i++) total = Math.max(total, Math.abs(vector[i]!));
  else if (norm === "l1") for (let i = from; i < to; i++) total += Math.abs(vector[i]!);
  else for (let i = from; i < to; i++) total += vector[i]! * vector[i]!;
  return norm === "l2" ? Math.sqrt(total) : total;
}

/** Distance of each sample of `moved` from the same sample of `origin`, `[samples]`. */
export function distances(origin: NumericBatch, moved: NumericBatch, norm: Norm): Float64Array {
  const size = sampleSize(origin);
  const difference = new Float64Array(size);
  return Float64Array.from({ length: sampleCount(origin) }, (_, i) => {
    for (let k = 0; k < size; k++) difference[k] = moved.data[i * size + k]! - origin.data[i * size + k]!;
    return normOf(difference, norm);
  });
}
