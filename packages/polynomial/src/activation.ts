// Degree-two activation sigma(t) = a t^2 + b t + c (math.md 2).

import { SettingError } from "@worstcase/core";

export interface Activation {
  /** Coefficient of t^2; positive. */
  readonly a: number;
  /** Coefficient of t. */
  readonly b: number;
  /** Constant. */
  readonly c: number;
}

/** The rounded coefficients of arXiv 2405.14033: (0.09, 0.5, 0.47). */
export const paperActivation: Activation = { a: 0.09, b: 0.5, c: 0.47 };

/** Pure square, sigma(t) = t^2. The network then is a quadratic form and the regulariser its nuclear norm. */
export const quadraticActivation: Activation = { a: 1, b: 0, c: 0 };

/**
 * Least-squares fit of ReLU on [-halfWidth, halfWidth]: a = 15/(32 L), b = 1/2, c = 3 L/32 (math.md 2).
 * Throws SettingError unless halfWidth is finite and positive.
 */
export function reluFit(halfWidth: number): Activation {
  if (!Number.isFinite(halfWidth) || halfWidth <= 0) {
    throw new SettingError({ argument: "halfWidth", expected: "a finite number > 0", received: halfWidth });
  }
  return { a: 15 / (32 * halfWidth), b: 0.5, c: (3 * halfWidth) / 32 };
}

/** Throws SettingError unless a > 0 (needed by the convex program) and b, c are finite. */
export function checkActivation(activation: Activation, argument = "activation"): void {
  const { a, b, c } = activation;
  if (!Number.isFinite(a) || a <= 0) {
    throw new SettingError({ argument: `${argument}.a`, expected: "a finite number > 0", received: a });
  }
  if (!Number.isFinite(b)) {
    throw new SettingError({ argument: `${argument}.b`, expected: "a finite number", received: b });
  }
  if (!Number.isFinite(c)) {
    throw new SettingError({ argument: `${argument}.c`, expected: "a finite number", received: c });
  }
}
