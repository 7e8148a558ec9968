// How far an attack stays behind the exact worst case: gap_i = exact margin_i - attacked margin_i, margins as in math.md 16.

import { checkFinite, SettingError, ShapeError } from "@worstcase/core";

export interface AttackGap {
  readonly samples: number;
  readonly mean: number;
  readonly max: number;
  /** Fraction of the samples whose gap is at most the tolerance. */
  readonly solved: number;
  /** Positions of the samples with larger gaps. */
  readonly unsolved: readonly number[];
  /** Samples where the attack exceeds the exact margin by more than the tolerance; more than 0 means that it was not exact. */
  readonly exceeded: number;
}

/**
 * Compares worst margins `[samples]` of an attack with the exact ones. The attack must not stop at success (`stopWhenFooled: false`), or its
 * margins end at the boundary. Tolerance in units of the margin, default 1e-4. Throws ShapeError, DataError or SettingError on misuse.
 */
export function attackGap(exact: ArrayLike<number>, attacked: ArrayLike<number>, tolerance = 1e-4): AttackGap {
  if (exact.length === 0 || attacked.length !== exact.length) {
    throw new ShapeError({
      argument: "attacked",
      expected: `${exact.length || "some"} margins`,
      received: attacked.length,
    });
  }
  if (!(Number.isFinite(tolerance) && tolerance >= 0)) {
    throw new SettingError({ argument: "tolerance", expected: "a finite number >= 0", received: tolerance });
  }
  checkFinite(exact, "exact");
  checkFinite(attacked, "attacked");
  const unsolved: number[] = [];
  let total = 0;
  let max = Number.NEGATIVE_INFINITY;
  let exceeded = 0;
  for (let i = 0; i < exact.length; i++) {
    const gap = exact[i] - attacked[i];
    total += gap;
    max = Math.max(max, gap);
    if (gap > tolerance) unsolved.push(i);
    if (gap < -tolerance) exceeded++;
  }
  const samples = exact.length;
  return { samples, mean: total / samples, max, solved: 1 - unsolved.length / samples, unsolved, exceeded };
}
